# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A lab whose agents share a store, and what is expected of them."""

import json
import time

from system import LabError, run
from witness import Witness

VERDICT_S = 15
HEAL_S = 25
# An agent that was stopped says for a while that it was not scheduled in time: that it is overloaded
# (VIEW_DISTRUST_MAX is 0.5) is then what its row says, and no mistake.
DISTRUST_MAX = 0.4


class Failure(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failure(text)


def wait_for(done, text, seconds):
    """Until done(). What is said when it is too late may be a function."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise Failure(text() if callable(text) else text)
        time.sleep(0.05)


class Cluster:
    """A lab whose agents share a store, and what they say."""

    def __init__(self, lab):
        self.lab = lab
        self.witness = Witness(lab)

    def fault(self, inject):
        """Forgets what was said, injects, and notes when."""
        self.witness.forget()
        self.before_ns = time.monotonic_ns()
        inject()

    def expect_verdict(self, wanted, subjects, by=None):
        """These nodes (all on the majority's side) say exactly this, and nobody anything else."""
        by = by or self.lab.nodes
        subjects = ",".join(subjects)

        def all_said():
            return all(
                self.witness.of_kind("verdict", witness=node, **{"class": wanted}, subjects=subjects)
                for node in by
            )

        if not self.witness.wait(VERDICT_S, all_said):
            raise Failure(f"not all of {by} say {wanted} of {subjects}: {self.told()}")
        others = {
            (said["class"], said["subjects"])
            for said in self.witness.of_kind("verdict")
            if said["witness"] in by
        } - {(wanted, subjects)}
        check(not others, f"also said: {sorted(others)}; {self.timeline()}")

    def expect_isolated(self, nodes):
        check(
            self.witness.wait(
                VERDICT_S,
                lambda: all(self.witness.of_kind("isolated", node=node) for node in nodes),
            ),
            f"not isolated: {nodes}; {self.told()}",
        )
        others = {said["node"] for said in self.witness.of_kind("isolated")} - set(nodes)
        check(not others, f"also isolated: {others}")

    def expect_fenced(self, nodes):
        check(
            self.witness.wait(
                VERDICT_S,
                lambda: all(self.witness.of_kind("fenced", witness=node) for node in nodes),
            ),
            f"not fenced: {nodes}; {self.told()}",
        )
        for node in self.lab.nodes:
            check(self.has_fence(node) == (node in nodes), f"fence of {node}, wanted on {nodes}")

    def expect_said(self, kind, seconds=HEAL_S, **fields):
        check(
            self.witness.wait(seconds, lambda: self.witness.of_kind(kind, **fields)),
            f"nobody said {kind} {fields}; {self.told()}",
        )

    def expect_nobody_isolated(self, seconds):
        """For so long nobody is isolated or fenced."""
        self.witness.wait(seconds, lambda: False)
        for kind in ("isolated", "fenced"):
            check(not self.witness.of_kind(kind), f"{kind}: {self.witness.of_kind(kind)}")

    def has_fence(self, node):
        done = run(
            self.lab.command(node, ["nft", "list", "table", "inet", "tocsin_fence"]), check=False
        )
        return done.returncode == 0

    def actor(self):
        """The node whose agent acts, as another agent knows it."""
        return self.lab.cluster(self.lab.nodes[0])["store"]["actor_name"]

    def by_hand(self, command, node):
        """`tocsin isolate` or `release` where the actor is; elsewhere it must say where that is."""
        actor = self.actor()
        other = next(name for name in self.lab.nodes if name not in (actor, node))

        def run_on(name):
            return self.lab.tocsin(name, command, "-s", self.lab.path(name), node)

        refused = run_on(other)
        said = refused.stdout + refused.stderr
        check(refused.returncode == 1 and f"run this on {actor}" in said, f"{other} says: {said}")
        done = run_on(actor)
        check(done.returncode == 0, f"{actor} says: {done.stdout}{done.stderr}")

    def incidents(self, node):
        """What a node's journal has: incidents, and the totals as the last one."""
        done = self.lab.tocsin(node, "incidents", "--json", "-s", self.lab.path(node))
        check(done.returncode == 0, f"incidents of {node}: {done.stderr.strip()}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def told(self):
        said = {
            (s["kind"], s["witness"], s.get("class") or s.get("rule") or s.get("state", ""))
            for s in self.witness.said
            if s["kind"] != "edge"
        }
        return f"said so far: {sorted(said)}"

    def timeline(self):
        """All that was said, in the order of time, in ms from the fault."""
        lines = []
        for said in sorted(self.witness.said, key=lambda said: said.get("monotonic_ns", 0)):
            what = said.get("peer") or said.get("subjects") or said.get("node") or ""
            how = said.get("state") or said.get("class") or said.get("rule") or said.get("reason")
            at_ms = (said.get("monotonic_ns", self.before_ns) - self.before_ns) / 1e6
            lines.append(
                f"{at_ms:.0f} {said['witness']}: {said['kind']} {what}"
                f" {how or said.get('outcome', '')}".rstrip()
            )
        return ", ".join(lines)

    def well(self):
        """No verdict, nobody isolated, no fence, one actor, all with a row and confidence."""
        actors = 0
        for node in self.lab.nodes:
            found = self.lab.cluster(node)
            if (
                not found
                or found["verdicts"]
                or found["isolations"]
                or found["fenced"]
                or not found["store"]["connected"]
                or not all(
                    n["present"] and not n["edges"] and n["distrust_ratio"] <= DISTRUST_MAX
                    for n in found["nodes"]
                )
            ):
                return False
            actors += found["store"]["actor"]
        return actors == 1

    def wait_well(self, seconds=HEAL_S):
        deadline = time.monotonic() + seconds
        while not self.well():
            if self.lab.dead_agents():
                raise LabError(self.lab.dead_agents()[0])
            if time.monotonic() > deadline:
                raise Failure(f"not well after {seconds} s: {self.describe()}")
            time.sleep(0.1)

    def wait_paused(self, wanted, seconds=5):
        """Until all agents take acting for paused, or none does."""
        wait_for(
            lambda: all(
                (self.lab.cluster(node) or {}).get("paused") is wanted for node in self.lab.nodes
            ),
            f"not every agent has 'paused' {wanted}",
            seconds,
        )

    def wait_no_verdicts(self, seconds=HEAL_S):
        """Until no agent has a verdict."""
        wait_for(
            lambda: all(
                (self.lab.cluster(node) or {}).get("verdicts") == [] for node in self.lab.nodes
            ),
            lambda: f"verdicts after {seconds} s: {self.describe()}",
            seconds,
        )

    def describe(self):
        lines = []
        for node in self.lab.nodes:
            found = self.lab.cluster(node)
            lines.append(
                f"{node}: no answer"
                if not found
                else f"{node}: fenced={found['fenced']} store={found['store']['connected']}"
                f" {found['store']['reason']} verdicts={[v['sentence'] for v in found['verdicts']]}"
                f" isolations={[i['node'] for i in found['isolations']]}"
            )
            # Why a verdict or an edge stands, in the observer's own words.
            lines += [
                f"{node} of {peer['name']}: {peer['state']}: {peer['evidence']}"
                for peer in self.lab.peers(node)
                if peer["state"] != "healthy"
            ]
        return "; ".join(lines)
