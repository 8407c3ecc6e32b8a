# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Faults that overlap, each beginning and ending at its own time, and what the agents must make of
that: held against what was really cut (truth.py), not against what a scenario expects."""

import signal
import time

from truth import State, Truth

# Before a decision, so long ago its reason may lie: evidence, an election of etcd's, a slow commit.
REASON_NS = 6_000_000_000
# From when a node reaches no majority and no store, until its fence stands: it takes lease_grace_ms
# and settle_ms, and what it takes to notice.
FENCE_NS = 4_000_000_000
# On top of the hold-down, from the end of all faults: edges, losses and etcd's members recover first.
RELEASE_SLACK_MS = 20_000
SPREAD_SECONDS = 3
LASTS_SECONDS = (1, 8)
# Loss is remembered for minutes, in which nothing else can be tried.
LOSS_SHARE = 0.15


class Fault:
    """How it is made and lifted, and what it does: see State. 'silent' and 'stopped' are nodes."""

    def __init__(self, kind, where, make, lift, cut=(), silent=(), stopped=()):
        self.kind, self.where, self.make, self.lift = kind, where, make, lift
        self.cut, self.silent, self.stopped = set(cut), set(silent), set(stopped)


def _between(some, others):
    return {pair for a in some for b in others if a != b for pair in ((a, b), (b, a))}


def _cut(lab, chance, _free):
    node = chance.choice(lab.nodes)
    return Fault(
        "cut",
        node,
        lambda: lab.cut(node),
        lambda: lab.heal(kind="cut"),
        cut=_between([node], lab.nodes),
    )


def _split(lab, chance, _free):
    nodes = chance.sample(lab.nodes, len(lab.nodes))
    first = chance.choice((1, 2))
    sides = [nodes[:first], nodes[first : chance.choice((4, 5))]]
    return Fault(
        "split",
        sides,
        lambda: lab.split(*sides),
        lambda: lab.heal(kind="split"),
        cut=_between(*sides),
    )


def _oneway(lab, chance, _free):
    source, target = chance.sample([*lab.nodes, "all"], 2)
    sources = lab.nodes if source == "all" else [source]
    targets = lab.nodes if target == "all" else [target]
    return Fault(
        "one-way",
        f"{source} to {target}",
        lambda: lab.oneway(source, target),
        lambda: lab.heal(kind="oneway"),
        cut={(a, b) for a in sources for b in targets if a != b},
    )


def _link_down(lab, chance, _free):
    node = chance.choice(lab.nodes)
    return Fault(
        "link down",
        node,
        lambda: lab.link_down(node),
        lambda: lab.heal(kind="link"),
        cut=_between([node], lab.nodes),
    )


def _loss(lab, chance, _free):
    node, percent = chance.choice([*lab.nodes, "all"]), chance.uniform(2, 15)
    return Fault(
        "loss", node, lambda: lab.loss(node, percent), lambda: lab.heal(kind="loss")
    )


def _agent_killed(lab, _chance, free):
    node = free.pop()

    def make():
        lab.agents[node].send_signal(signal.SIGKILL)
        lab.agents.pop(node).wait()

    return Fault("agent killed", node, make, lambda: lab.start_agents([node]), silent=[node])


def _agent_stopped(lab, _chance, free):
    node = free.pop()
    return Fault(
        "agent stopped",
        node,
        lambda: lab.stop(node),
        lambda: lab.heal(kind="stop"),
        silent=[node],
    )


def _all_stopped(lab, _chance, free):
    node = free.pop()
    return Fault(
        "all stopped",
        node,
        lambda: lab.stop_all(node),
        lambda: lab.heal(kind="stop-all"),
        silent=[node],
        stopped=[node],
    )


def _member_killed(lab, chance, free):
    # Of three, at most two others are taken by the other faults.
    node = chance.choice([host for host in lab.store.nodes if host in free])
    free.remove(node)
    return Fault(
        "member killed",
        node,
        lambda: lab.store.stop([node]),
        lambda: lab.store.start([node]),
        stopped=[node],
    )


# At most one of each at a time: they are lifted by kind.
MAKERS = [
    _cut,
    _split,
    _oneway,
    _link_down,
    _agent_killed,
    _agent_stopped,
    _all_stopped,
    _member_killed,
]


class Overlap:
    """Two or three faults; run() makes and lifts them all and leaves a cluster that may heal."""

    def __init__(self, cluster, chance, violate):
        self.cluster, self.lab, self.witness = cluster, cluster.lab, cluster.witness
        self.violate = violate
        free = chance.sample(self.lab.nodes, len(self.lab.nodes))
        makers = chance.sample(MAKERS, chance.choice((2, 3)))
        if chance.random() < LOSS_SHARE:
            makers[-1] = _loss
        self.faults = [maker(self.lab, chance, free) for maker in makers]
        self.name = " + ".join(f"{fault.kind} {fault.where}" for fault in self.faults)
        self.events = []  # (seconds, fault, whether it begins)
        for fault in self.faults:
            begins = chance.uniform(0, SPREAD_SECONDS)
            self.events.append((begins, fault, True))
            self.events.append((begins + chance.uniform(*LASTS_SECONDS), fault, False))
        self.events.sort(key=lambda event: event[0])
        self.active = []
        self.truth = Truth(State(self.lab), time.monotonic_ns())
        # Who was away may have no lease to lose, or distrust itself: it need not fence itself.
        self.were_silent = {node for fault in self.faults for node in fault.silent}
        self.must_since_ns = {}

    def _state(self):
        return State(
            self.lab,
            set().union(*(fault.cut for fault in self.active)),
            set().union(*(fault.silent for fault in self.active)),
            set().union(*(fault.stopped for fault in self.active)),
        )

    def _step(self, fault, begins):
        before_ns = time.monotonic_ns()
        if begins:
            fault.make()
            self.active.append(fault)
        else:
            fault.lift()
            self.active.remove(fault)
        self.truth.change(self._state(), before_ns)
        now_ns = time.monotonic_ns()
        for node in self.lab.nodes:
            if not self._state().must_fence(node):
                self.must_since_ns.pop(node, None)
            else:
                self.must_since_ns.setdefault(node, now_ns)

    def _check_fences(self):
        now_ns = time.monotonic_ns()
        for node, since_ns in list(self.must_since_ns.items()):
            if now_ns < since_ns + FENCE_NS:
                continue
            # Once for each time.
            self.must_since_ns[node] = now_ns + 3600 * 1_000_000_000
            if node not in self.were_silent and not self.cluster.has_fence(node):
                self.violate(
                    f"{self.name}: {node} reaches no majority for {FENCE_NS / 1e9:.0f} s and has no"
                    f" fence; {self.cluster.timeline()[:3000]}"
                )

    def run(self):
        begin = time.monotonic()
        self.cluster.before_ns = time.monotonic_ns()
        try:
            for at_s, fault, begins in self.events:
                while time.monotonic() < begin + at_s:
                    self.witness.wait(min(0.2, begin + at_s - time.monotonic()), lambda: False)
                    self._check_fences()
                self._step(fault, begins)
        finally:
            for fault in list(self.active):
                self._step(fault, False)
        self.healed_ns = time.monotonic_ns()

    def check(self, changes, hold_down_ms):
        """After all is well again; changes: of the records, see history.py."""
        for change in changes:
            states = self.truth.between(change.at_ns - REASON_NS, change.at_ns)
            if change.isolated and not any(change.node in state.lost() for state in states):
                self.violate(
                    f"{self.name}: {change.node} was isolated without having been lost:"
                    f" {change.record['sentence']}; {self.cluster.timeline()[:3000]}"
                )
            after_ms = (change.at_ns - self.healed_ns) / 1e6
            relapses = len(change.record["isolated_ms"]) - 1
            most_ms = (hold_down_ms << relapses) + RELEASE_SLACK_MS
            by_hand = change.record["sentence"] == "released by hand"
            if not change.isolated and not by_hand and after_ms > most_ms:
                self.violate(
                    f"{self.name}: {change.node} was released {after_ms:.0f} ms after the end of"
                    f" all faults, expected {most_ms} at most"
                )
        for said in self.witness.of_kind("minority"):
            at_ns, node = said["monotonic_ns"], said["witness"]
            states = self.truth.between(at_ns - REASON_NS, at_ns)
            if not any(state.reach(node) < state.quorum for state in states):
                self.violate(
                    f"{self.name}: {node} fenced itself but reached a majority: {said['sentence']};"
                    f" {self.cluster.timeline()[:3000]}"
                )
