# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the agents of a lab say of their cluster: verdicts, isolations, fences, refusals."""

import json
import time

# The log's event, and what it is called here.
KINDS = {
    "verdict": "verdict",
    "verdict cleared": "cleared",
    "node isolated": "isolated",
    "node released": "released",
    "this node is fenced": "fenced",
    "this node is not fenced any more": "unfenced",
    "not isolated": "refused",
    "edge changed": "edge",
}
CUT = ("unreachable", "egress-cut", "ingress-cut")


class Witness:
    """All that was said since the last forget(), oldest first."""

    def __init__(self, lab):
        self.lab = lab
        self.said = []
        self._offsets = {}

    def forget(self):
        self.poll()
        self.said.clear()

    def poll(self):
        for node in self.lab.nodes:
            try:
                with open(self.lab.log_file(node), "rb") as file:
                    file.seek(self._offsets.get(node, 0))
                    data = file.read()
            except OSError:
                continue
            whole, newline, _rest = data.rpartition(b"\n")
            self._offsets[node] = self._offsets.get(node, 0) + len(whole) + len(newline)
            for line in whole.splitlines():
                try:
                    event = json.loads(line)
                except ValueError:
                    continue
                kind = KINDS.get(event.get("event"))
                if kind:
                    self.said.append({**event, "kind": kind, "witness": node})

    def wait(self, seconds, done):
        """Polls until done() is true; returns whether it became so."""
        deadline = time.monotonic() + seconds
        while True:
            self.poll()
            if done():
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)

    def of_kind(self, kind, **fields):
        return [
            said
            for said in self.said
            if said["kind"] == kind and all(said.get(key) == value for key, value in fields.items())
        ]

    def first_ms(self, kind, since_ns, **fields):
        """Milliseconds from since_ns to the first of these, or None."""
        times = [
            (said["monotonic_ns"] - since_ns) / 1e6
            for said in self.of_kind(kind, **fields)
            if "monotonic_ns" in said
        ]
        return min(times, default=None)

    def verdicts(self):
        """(class, subjects) of all that were raised."""
        return {(said["class"], said["subjects"]) for said in self.of_kind("verdict")}
