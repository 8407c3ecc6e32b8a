# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What is really cut and stopped in a lab, at any time: what the agents' words are held against."""


class State:
    """What holds at one time. cut: (from, to) of each direction of a link that passes nothing;
    silent: nodes whose agent does not run; stopped: nodes whose member of the store does not."""

    def __init__(self, lab, cut=(), silent=(), stopped=()):
        self.nodes, self.hosts = lab.nodes, lab.store.nodes
        self.quorum = len(self.nodes) // 2 + 1
        self.cut, self.silent, self.stopped = set(cut), set(silent), set(stopped)

    def linked(self, one, other):
        """Both ways."""
        return one != other and not {(one, other), (other, one)} & self.cut

    def reach(self, node):
        """How many a node reaches both ways, itself included."""
        return 1 + sum(self.linked(node, other) for other in self.nodes)

    def _side(self, node, among):
        side, left = {node}, [node]
        while left:
            one = left.pop()
            joined = {other for other in among if self.linked(one, other)} - side
            side |= joined
            left += joined
        return side

    def lost(self):
        """Whom a majority has lost; nobody when there is none. Who is silent passes no word on, and
        is lost when more than half of its links to the side that speaks are cut."""
        speaking = [node for node in self.nodes if node not in self.silent]
        largest = max((self._side(node, speaking) for node in speaking), key=len, default=set())
        lost = set(speaking) - largest
        for node in self.silent:
            cut = sum(not self.linked(node, other) for other in largest)
            if cut * 2 > len(largest):
                lost.add(node)
        return lost if len(self.nodes) - len(lost) >= self.quorum else set()

    def must_fence(self, node):
        """It reaches no majority and cannot renew its lease."""
        side = self._side(node, self.nodes)
        members = [other for other in self.hosts if other in side and other not in self.stopped]
        return (
            node not in self.silent
            and self.reach(node) < self.quorum
            and len(members) < len(self.hosts) // 2 + 1
        )


class Truth:
    """The states one after the other."""

    def __init__(self, state, now_ns):
        self.states = [(now_ns, state)]

    def change(self, state, now_ns):
        self.states.append((now_ns, state))

    def between(self, from_ns, to_ns):
        """All states that held at some time between the two."""
        ends = [since_ns for since_ns, _state in self.states[1:]] + [to_ns + 1]
        return [
            state
            for (since_ns, state), end_ns in zip(self.states, ends)
            if since_ns <= to_ns and end_ns > from_ns
        ]
