# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the agents of a lab say, as they say it."""

import json
import time


class Logs:
    """The lines of all agents' logs, each once, as they are completed."""

    def __init__(self, lab):
        self.lab = lab
        self._offsets = {}

    def read(self):
        """Yields (node, event) for what has come since the last call."""
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
                    yield node, json.loads(line)
                except ValueError:
                    continue


class Events:
    """The edge changes that the agents log, and the state of every edge that follows from them."""

    def __init__(self, lab):
        self.lab = lab
        self.states = {(a, b): "healthy" for a in lab.nodes for b in lab.nodes if a != b}
        self._logs = Logs(lab)

    def poll(self):
        """The changes since the last call, oldest first; 'node' is who said it."""
        changes = [
            {**event, "node": node}
            for node, event in self._logs.read()
            if event.get("event") == "edge changed" and (node, event.get("peer")) in self.states
        ]
        changes.sort(key=lambda change: change["monotonic_ns"])
        for change in changes:
            self.states[(change["node"], change["peer"])] = change["state"]
        return changes

    def follow(self, seconds, done):
        """Yields changes as they come until done() or the time is up; done() tells which."""
        deadline = time.monotonic() + seconds
        while True:
            yield from self.poll()
            if done() or time.monotonic() > deadline:
                return
            time.sleep(0.01)

    def all_in(self, edges, *states):
        return all(self.states[edge] in states for edge in edges)
