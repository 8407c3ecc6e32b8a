# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Random faults and healings of a cluster for a long time, and what must never happen meanwhile."""

import collections
import json
import random
import signal
import time

from cluster import Cluster
from history import History
from lab import Lab
from overlap import Overlap
from scenarios import SCENARIOS, Case
from store import Store
from system import LabError

HOLD_DOWN_MS = 1000
FENCE_SECONDS = 8  # from a cut that lasts, until the minority's fence stands
# Loss is remembered for long: from 20 % to 1 % takes more than four of its half-lives of 30 s.
HEAL_SECONDS = 240
JOIN_SECONDS = 15
ISOLATED_ONE_BY_ONE_MAX = 1  # max_ratio of five
OVERLAP_SHARE = 0.4  # of the rounds: faults that overlap
ISOLATED_AT_ONCE_MAX = 2  # one by one: one; a whole minority: two
EXTRA = f"isolation: {{hold_down_ms: {HOLD_DOWN_MS}, interval_ms: 0, max_ratio: 0.2}}\n"


def lossy_node(lab, chance):
    """loss of 20 % at a node"""
    node = chance.choice(lab.nodes)
    return Case(lambda: lab.loss(node, 20), None, [node], lab=lab)


def short_cut(lab, chance):
    """a cut of 50 to 400 ms"""
    node = chance.choice(lab.nodes)
    case = Case(lambda: lab.cut(node), None, [node], lab=lab)
    case.lasts_s = chance.uniform(0.05, 0.4)
    return case


def agent_stopped(lab, chance):
    """an agent stopped (SIGSTOP)"""
    node = chance.choice(lab.nodes)
    return Case(lambda: lab.stop(node), None, [node], lab=lab)


def store_member_killed(lab, chance):
    """a member of etcd killed and started again"""
    node = chance.choice(lab.store.nodes)

    def undo():
        lab.store.start([node])
        lab.store.wait_healthy()

    return Case(lambda: lab.store.stop([node], signal.SIGKILL), None, [node], lab=lab, undo=undo)


FAULTS = [*SCENARIOS, lossy_node, short_cut, agent_stopped, store_member_killed]


class Soak:
    def __init__(self, cluster, chance, note):
        self.cluster, self.lab = cluster, cluster.lab
        self.witness = cluster.witness
        self.chance, self.note = chance, note
        self.faults = collections.Counter()
        self.isolations = collections.Counter()
        self.by_hand = 0
        self.violations = []
        self.history = History(cluster.lab.store, ISOLATED_ONE_BY_ONE_MAX, ISOLATED_AT_ONCE_MAX)

    def violate(self, text):
        self.violations.append(text)

    def isolated_now(self):
        """By the records, as the majority of those that answer has them."""
        counts = collections.Counter()
        for node in self.lab.nodes:
            found = self.lab.cluster(node)
            if found and found["store"]["connected"]:
                counts.update({item["node"] for item in found["isolations"]})
        return {node for node, count in counts.items() if count >= 2}

    def check_events(self, case):
        """After a fault and its healing: what was said while it lasted."""
        isolated = {said["node"] for said in self.witness.of_kind("isolated")}
        fenced = {said["witness"] for said in self.witness.of_kind("fenced")}
        self.isolations.update(isolated)
        if case.verdict:
            wrong = (isolated | fenced) - set(case.isolated)
        else:
            # These are no cuts that last: whoever they hit may fence itself, nobody else may.
            wrong = (isolated | fenced) - set(case.subjects)
        if wrong:
            self.violate(
                f"{case.name}: isolated or fenced without reason: {sorted(wrong)};"
                f" {self.cluster.timeline()[:3000]}"
            )
        now = set()
        changes = [said for said in self.witness.said if said["kind"] in ("isolated", "released")]
        for said in sorted(changes, key=lambda said: said["monotonic_ns"]):
            (now.add if said["kind"] == "isolated" else now.discard)(said["node"])
            if len(now) > ISOLATED_AT_ONCE_MAX:
                self.violate(f"{case.name}: isolated at once: {sorted(now)}")

    def release_by_hand(self):
        """Those that wait for a person."""
        found = self.lab.cluster(self.lab.nodes[0])
        for item in found["isolations"] if found else []:
            actor = found["store"]["actor_name"]
            if item["waits_for_person"] and actor:
                arguments = ["release", "-s", self.lab.path(actor), item["node"]]
                self.by_hand += self.lab.tocsin(actor, *arguments).returncode == 0

    def wait_well(self, case):
        deadline = time.monotonic() + HEAL_SECONDS
        while not self.cluster.well():
            if self.lab.dead_agents():
                raise LabError(self.lab.dead_agents()[0])
            if time.monotonic() > deadline:
                self.violate(f"{case.name}: not well after {HEAL_SECONDS} s: {self.cluster.describe()}")
                self.lab.store.forget_isolations()
                return
            self.release_by_hand()
            time.sleep(0.2)

    def one_fault(self):
        fault = self.chance.choice(FAULTS)
        case = fault(self.lab, self.chance)
        case.name = fault.__doc__
        self.faults[case.name] += 1
        self.note(case.name)
        self.witness.forget()
        self.cluster.before_ns = time.monotonic_ns()
        case.inject()
        if case.isolated:
            lasts = self.chance.random() < 0.7
            if lasts and not self.witness.wait(
                FENCE_SECONDS,
                lambda: all(
                    self.witness.of_kind("fenced", witness=node) and
                    self.witness.of_kind("isolated", node=node)
                    for node in case.isolated
                ),
            ):
                self.violate(
                    f"{case.name}: {case.isolated} not isolated and fenced after"
                    f" {FENCE_SECONDS} s; {self.cluster.timeline()[:3000]}"
                )
        lasts_s = getattr(case, "lasts_s", self.chance.uniform(0.2, 3))
        self.witness.wait(lasts_s, lambda: False)
        case.undo()
        self.wait_well(case)
        self.witness.poll()
        self.check_events(case)

    def overlapping_faults(self):
        overlap = Overlap(self.cluster, self.chance, self.violate)
        for fault in overlap.faults:
            self.faults[f"overlapping: {fault.kind}"] += 1
        self.note(overlap.name)
        self.witness.forget()
        overlap.run()
        self.wait_well(overlap)
        self.witness.poll()
        self.isolations.update({said["node"] for said in self.witness.of_kind("isolated")})
        overlap.check(self.history.read(self.violate), HOLD_DOWN_MS)

    def one_round(self):
        if self.chance.random() < OVERLAP_SHARE:
            self.overlapping_faults()
        else:
            self.one_fault()
            self.history.read(self.violate)

    def check_journals(self):
        """Each agent's journal is whole, knows every isolation, and has nothing open."""
        for node in self.lab.nodes:
            done = self.lab.tocsin(node, "incidents", "--json", "-s", self.lab.path(node))
            if done.returncode != 0:
                self.violate(f"journal of {node}: {done.stderr[:300]}")
                continue
            named = set()
            for line in done.stdout.splitlines():
                incident = json.loads(line)
                if incident["kind"] != "incident":
                    continue
                if incident["isolate_ns"] is not None:
                    named.update(incident["subject"])
                # Findings are of the whole machine, whatever else runs on it.
                if incident["state"] == "open" and incident["by"] != "finding":
                    self.violate(f"journal of {node}: open: {line[:500]}")
            missing = set(self.isolations) - named
            if missing:
                self.violate(f"journal of {node} has no isolation of {sorted(missing)}")


def section(report, build, seconds, seed):
    """seed: of all choices; None: of chance. Times are the machine's own, so that no two runs are
    quite the same."""
    seed = random.randrange(1 << 32) if seed is None else seed
    report.explain(f"soak: seed {seed}")
    chance = random.Random(seed)
    report.section("Chaos soak")
    with Lab(5, build, EXTRA, mode="enforce") as lab:
        store = Store(lab, lab.nodes[:3])
        store.start()
        store.wait_healthy()
        lab.start_agents()
        lab.wait_all_heard(JOIN_SECONDS)
        cluster = Cluster(lab)
        cluster.wait_well(JOIN_SECONDS)
        soak = Soak(cluster, chance, report.note)
        started = time.monotonic()
        while time.monotonic() < started + seconds:
            soak.one_round()
            # Or each node would soon wait for a person.
            if chance.random() < 0.5:
                store.forget_isolations()
            soak.witness.wait(chance.uniform(0, 2), lambda: False)
        soak.check_journals()
    report.note("")
    report.say(
        f"Random faults of all kinds, one after the other or up to three at once, for {seconds} s"
        f" (SOAK_SEED={seed}); mode enforce,"
        " five nodes, etcd on three of them. Held against: who is isolated or fenced without reason;"
        f" a minority that is not fenced and recorded {FENCE_SECONDS} s after a cut that lasts; more"
        f" than {ISOLATED_AT_ONCE_MAX} isolated at once; a node not released {HEAL_SECONDS} s after"
        " healing; a record that another than the actor of that moment wrote; two isolated one by one"
        " at the same time; a journal that does not know of an isolation."
    )
    report.say()
    report.table(["fault", "times"], sorted(soak.faults.items()))
    report.say(
        f"- isolations: {sum(soak.isolations.values())}"
        f" ({', '.join(f'{node}: {count}' for node, count in sorted(soak.isolations.items()))});"
        f" released by a person after the third relapse: {soak.by_hand};"
        f" records written: {soak.history.commits}, actors elected: {soak.history.actors}"
    )
    report.target(f"violations: {len(soak.violations)}, target 0", not soak.violations)
    for text in soak.violations[:10]:
        report.say(f"  - {text}")
