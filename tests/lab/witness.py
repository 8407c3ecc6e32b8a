# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the agents of a lab say of their cluster: verdicts, isolations, fences, refusals."""

import time

from events import Logs

# The log's event, and what it is called here.
KINDS = {
    "verdict": "verdict",
    "verdict cleared": "cleared",
    "finding": "finding",
    "finding cleared": "finding cleared",
    "node isolated": "isolated",
    "node released": "released",
    "this node is fenced": "fenced",
    "this node is not fenced any more": "unfenced",
    "not isolated": "refused",
    "edge changed": "edge",
    "after-heal command": "after-heal",
    "not released yet": "kept",
    "would isolate": "advised",
    "would fence this node": "fence advised",
    "lease lost": "lease lost",
    "agent silent": "agent silent",
    "store connected": "store connected",
    "store not connected": "store not connected",
    "isolation record": "record",
    "this node is in the minority": "minority",
}


class Witness:
    """All that was said since the last forget(), oldest first."""

    def __init__(self, lab):
        self.lab = lab
        self.said = []
        self._logs = Logs(lab)

    def forget(self):
        self.poll()
        self.said.clear()

    def poll(self):
        for node, event in self._logs.read():
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

    def verdicts(self):
        """(class, subjects) of all that were raised."""
        return {(said["class"], said["subjects"]) for said in self.of_kind("verdict")}
