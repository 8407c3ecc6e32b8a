# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a test has the server do wrong: refuse, wait, hang, break off.

A fault is a table of JSON, sent to /testing/faults:

    match           {field of an audit line: value or list of values}; all requests without it
    count           for how many requests; 1 without it
    code, reason    the answer instead of the right one, with retry_after_s as Retry-After
    delay_s         waits first
    hang            never answers, until the fault is cleared
    close           closes the connection without an answer
    done            with code, close or hang: the request is carried out all the same
"""

import threading
import time

from status import ApiError

REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}
FIELDS = {"match", "count", "code", "reason", "retry_after_s", "delay_s", "hang", "close", "done"}


class Close(Exception):
    """The connection is to be closed, with nothing said."""


class Faults:
    """The orders that stand; taken one by one by the requests that they match."""

    def __init__(self):
        self.changed = threading.Condition()
        self.orders = []
        # Raised to end all watches that began before.
        self.watch_epoch = 0
        self.stalled_until = 0.0
        # How many bytes of a watch come in one piece; 0 for whole events.
        self.piece_bytes = 0

    def add(self, order):
        unknown = set(order) - FIELDS
        if unknown:
            raise ApiError(400, "BadRequest", f"unknown: {', '.join(sorted(unknown))}")
        with self.changed:
            self.orders.append({"count": 1, **order})

    def clear(self):
        with self.changed:
            self.orders.clear()
            self.stalled_until = 0.0
            self.piece_bytes = 0
            self.changed.notify_all()

    def drop_watches(self):
        with self.changed:
            self.watch_epoch += 1

    def stall_watches(self, seconds):
        """Watches stay open and say nothing."""
        with self.changed:
            self.stalled_until = time.monotonic() + seconds

    def split_watches(self, size):
        """Events of watches come in pieces of so many bytes."""
        self.piece_bytes = size

    @staticmethod
    def _matches(order, request):
        for name, wanted in order.get("match", {}).items():
            if request.get(name) not in (wanted if isinstance(wanted, list) else [wanted]):
                return False
        return True

    def take(self, request):
        """The fault of this request, or None; a delay is over when it returns."""
        with self.changed:
            order = next((one for one in self.orders if self._matches(one, request)), None)
            if order is None:
                return None
            if not order.get("hang"):
                order["count"] -= 1
                if order["count"] <= 0:
                    self.orders.remove(order)
        time.sleep(order.get("delay_s", 0))
        return order

    def carry_out(self, order):
        """Does not return when the order is an end of its own."""
        if order.get("hang"):
            with self.changed:
                while order in self.orders:
                    self.changed.wait()
            raise Close
        if order.get("close"):
            raise Close
        if "code" in order:
            code = order["code"]
            reason = order.get("reason", REASONS.get(code, "Unknown"))
            raise ApiError(
                code, reason, f"{reason}, as a test ordered", retry_after_s=order.get("retry_after_s")
            )
