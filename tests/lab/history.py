# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Every change of the election and of the isolation records, in the order in which etcd made them.

Logs tell what each agent believed. This is what was committed, by whom, and who was the actor at that
moment: what two actors that both commit could not hide from.
"""

import base64
import http.client
import json
import time

from store import CLIENT_PORT, ISOLATIONS
from system import inside

ACTOR = "/tocsin/actor"
# All keys from the one up to before the other: no rows.
BEGIN, END = ACTOR, ISOLATIONS[:-1] + "0"
QUIET_SECONDS = 1  # an open watch that says nothing for so long has said all
READ_SECONDS = 15


class Change:
    """A record as it was written."""

    def __init__(self, node, record):
        self.node = node
        self.record = record
        self.isolated = record["state"] == "isolated"
        # On this machine all clocks are one; the record has the wall's.
        self.at_ns = record["since_ms"] * 1_000_000 - (time.time_ns() - time.monotonic_ns())


class History:
    """From now on. 'limit': so many may be isolated one by one; 'most': in all."""

    def __init__(self, store, limit, most):
        self.store = store
        self.limit, self.most = limit, most
        self.actor = None
        self.isolated = {}  # node: its record
        self.actors = 0
        self.commits = 0
        node = store.nodes[0]
        found = store.call(node, "/kv/range", _range())
        self.revision = int(found["header"]["revision"])
        for pair in found.get("kvs", []):
            self._take(_text(pair["key"]), _text(pair.get("value", "")), lambda text: None)

    def read(self, violate):
        """Takes in what has come since, tells what must not be, and returns the records' changes."""
        node = next(iter(self.store.members))
        connection = http.client.HTTPConnection(
            self.store.lab.address(node), CLIENT_PORT, timeout=QUIET_SECONDS
        )
        with inside(self.store.lab.namespace(node)):
            connection.connect()
        watch = {"create_request": {**_range(), "start_revision": self.revision + 1}}
        changes = []
        deadline = time.monotonic() + READ_SECONDS
        try:
            connection.request("POST", "/v3/watch", json.dumps(watch))
            answer = connection.getresponse()
            while time.monotonic() < deadline:
                result = json.loads(answer.readline())["result"]
                for event in result.get("events", []):
                    pair = event["kv"]
                    self.revision = max(self.revision, int(pair["mod_revision"]))
                    deleted = event.get("type") == "DELETE"
                    value = None if deleted else _text(pair.get("value", ""))
                    changes += self._take(_text(pair["key"]), value, violate)
        except TimeoutError:
            pass
        finally:
            connection.close()
        return changes

    def _take(self, key, value, violate):
        """value: None when the key was deleted."""
        if key == ACTOR:
            self.actors += value is not None and value != self.actor
            self.actor = value
            return []
        node = key[len(ISOLATIONS) :]
        if value is None:
            self.isolated.pop(node, None)
            return []
        self.commits += 1
        change = Change(node, json.loads(value))
        record = change.record
        if record["by"] != self.actor:
            violate(f"{record['by']} wrote the record of {node}, but the actor is {self.actor}")
        if not change.isolated:
            self.isolated.pop(node, None)
            return [change]
        self.isolated[node] = record
        singly = sorted(name for name, other in self.isolated.items() if other["single"])
        if len(singly) > self.limit:
            violate(f"isolated one by one at the same time: {singly}, expected {self.limit} at most")
        if len(self.isolated) > self.most:
            violate(f"isolated at the same time: {sorted(self.isolated)}, expected {self.most} at most")
        return [change]


def _range():
    return {"key": _base64(BEGIN), "range_end": _base64(END)}


def _base64(text):
    return base64.b64encode(text.encode()).decode()


def _text(data):
    return base64.b64decode(data).decode()
