# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What can go wrong in a cluster of five that share a store, and what must be made of it.

Each scenario takes a lab with its store and a source of chance, and returns a Case. Where etcd's own
leader would be parted from its quorum on purpose, its election and not ours would be measured: the
cases of partial partitions leave its members' links to the leader alone, and say so.
"""

import itertools
import signal
import time

from faults import Moment


class Case:
    """One fault: how it is made, and what must follow from it."""

    def __init__(self, inject, verdict, subjects, isolated=(), witnesses=None, lab=None, undo=None):
        self.inject = inject  # makes it; returns its Moment
        self.verdict = verdict
        self.subjects = sorted(subjects)
        self.isolated = sorted(isolated)  # who must be, and nobody else
        cut_off = set(isolated)
        # Who must say so: those that still share the store.
        self.witnesses = sorted(witnesses or set(lab.nodes) - cut_off)
        self.undo = undo or lab.heal


def _one(lab, chance):
    return chance.choice(lab.nodes)


def _core(lab, chance):
    """Three nodes that stay together: those that host the store, or any."""
    return lab.store.nodes or chance.sample(lab.nodes, 3)


def one_node(lab, chance):
    """one node cut"""
    victim = _one(lab, chance)
    return Case(lambda: lab.cut(victim), "node-unreachable", [victim], [victim], lab=lab)


def halves(lab, chance):
    """halves 2/3"""
    # The majority's side has the store's majority, or it could not act.
    minorities = [
        pair
        for pair in itertools.combinations(lab.nodes, 2)
        if len(set(pair) & set(lab.store.nodes)) <= 1
    ]
    minority = list(chance.choice(minorities))
    majority = [node for node in lab.nodes if node not in minority]
    return Case(
        lambda: lab.split(majority, minority), "complete-partition", minority, minority, lab=lab
    )


def not_heard(lab, chance):
    """one-way: a node is not heard"""
    # Nor is what it has to say by way of the store: that it hears the others nobody can know.
    victim = _one(lab, chance)
    return Case(lambda: lab.oneway(victim, "all"), "node-unreachable", [victim], [victim], lab=lab)


def one_way_link(lab, chance):
    """one-way: of two nodes one is not heard by the other"""
    # Not a link of the store's own, see above.
    source, target = chance.choice(
        [
            (a, b)
            for a, b in itertools.permutations(lab.nodes, 2)
            if not {a, b} <= set(lab.store.nodes)
        ]
    )
    return Case(lambda: lab.oneway(source, target), "one-way", [source, target], lab=lab)


def hears_nobody(lab, chance):
    """one-way: a node hears nobody"""
    victim = _one(lab, chance)
    return Case(lambda: lab.oneway("all", victim), "one-way", [victim], [victim], lab=lab)


def bridge(lab, chance):
    """bridge (partial): two sides that one node reaches both"""
    # The members of the store stay on one side, with the bridge.
    core = _core(lab, chance)
    middle = chance.choice(core)
    one = [node for node in core if node != middle]
    other = [node for node in lab.nodes if node not in core]
    return Case(lambda: lab.split(one, other), "partial-partition", one + other, lab=lab)


def ring(lab, chance):
    """majorities ring: each node reaches only its two neighbours"""
    core = _core(lab, chance)
    leader = lab.store.leader() or core[0]
    followers = [node for node in core if node != leader]
    others = [node for node in lab.nodes if node not in core]
    chance.shuffle(others)
    order = [followers[0], leader, followers[1], *others]
    pairs = [(order[i], order[(i + 2) % 5]) for i in range(5)]

    def inject():
        moments = [lab.split([a], [b]) for a, b in pairs]
        return Moment(moments[0].before_ns, moments[-1].after_ns)

    return Case(inject, "partial-partition", lab.nodes, lab=lab)


def link_down(lab, chance):
    """link down"""
    victim = _one(lab, chance)
    return Case(lambda: lab.link_down(victim), "node-unreachable", [victim], [victim], lab=lab)


def agent_killed(lab, chance):
    """agent killed"""
    victim = _one(lab, chance)

    def inject():
        before_ns = time.monotonic_ns()
        lab.agents[victim].send_signal(signal.SIGKILL)
        lab.agents.pop(victim).wait()
        return Moment(before_ns, time.monotonic_ns())

    return Case(
        inject,
        "agent-down",
        [victim],
        witnesses=set(lab.nodes) - {victim},
        lab=lab,
        undo=lambda: lab.start_agents([victim]),
    )


def all_stopped(lab, chance):
    """all processes of a node stopped"""
    victim = _one(lab, chance)
    return Case(
        lambda: lab.stop_all(victim),
        "agent-down",
        [victim],
        witnesses=set(lab.nodes) - {victim},
        lab=lab,
    )


SCENARIOS = [
    one_node,
    halves,
    not_heard,
    hears_nobody,
    one_way_link,
    bridge,
    ring,
    link_down,
    agent_killed,
    all_stopped,
]
