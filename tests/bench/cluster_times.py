# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""How long until the cluster knows what is wrong, and until the bad node is isolated."""

import random
import time

from baseline import EtcdLease, EtcdLog
from cluster import Cluster, Failure
from lab import Lab
from report import quantile
from scenarios import SCENARIOS
from store import Store

TARGETS = {
    "edge verdict": (400, 700),
    "cluster verdict": (900, 1500),
    "isolation in force": (1500, 3000),
}
OUTCOME_SECONDS = 12
# After the verdict, so long nobody may be isolated who must not be.
QUIET_SECONDS = 2.5
HEAL_SECONDS = 40
# What is not well by then is told; after this time the bench gives up.
HEAL_LIMIT_SECONDS = 300
# So many of the runs of each fault wait for what etcd itself has to say, or a quarter of them.
BASELINE_RUNS = 5
BASELINE_SECONDS = 10
# What takes longer is told with all that was said, to find the reason.
SLOW_MS = 1500
CUT = ("unreachable", "egress-cut", "ingress-cut")
EXTRA = "isolation: {hold_down_ms: 1000, interval_ms: 0, max_ratio: 0.2}\n"


class Series:
    """All runs of one scenario."""

    def __init__(self, scenario):
        self.name = scenario.__doc__
        self.times = {name: [] for name in (*TARGETS, "cluster verdict of all")}
        self.runs = 0
        self.outcomes = []  # of runs that did not end as they must
        self.wrong = []
        self.false_isolations = []
        self.not_healed = []  # before a run: what stood for too long after the fault before
        self.isolates = False
        self.etcd_log_s, self.etcd_silent = [], 0

    def take(self, name, moment, said):
        if said:
            self.times[name].append((min(s["monotonic_ns"] for s in said) - moment.before_ns) / 1e6)


def verdicts_of(witness, case):
    return witness.of_kind(
        "verdict", **{"class": case.verdict}, subjects=",".join(case.subjects)
    )


def edges_of(witness, case):
    """Of links that end at a node of the fault; without any, agents that are silent."""
    ends = set(case.subjects)
    edges = [said for said in witness.of_kind("edge") if said["state"] in CUT]
    edges = edges or witness.of_kind("agent silent")
    return [said for said in edges if ends & {said["witness"], said["peer"]}]


def in_force(witness, case):
    """Each isolated node has its record, and its fence stands."""
    return all(
        witness.of_kind("isolated", node=node) and witness.of_kind("fenced", witness=node)
        for node in case.isolated
    )


def one_run(report, cluster, case, series, baseline):
    witness = cluster.witness
    time.sleep(random.uniform(0.2, 1.2))
    witness.forget()
    # Just before the fault, so that nothing of the time before is read.
    log = EtcdLog(cluster.lab) if baseline else None
    moment = case.inject()
    cluster.before_ns = moment.before_ns

    def settled():
        said_by = {said["witness"] for said in verdicts_of(witness, case)}
        return said_by >= set(case.witnesses) and in_force(witness, case)

    done = witness.wait(OUTCOME_SECONDS, settled)
    witness.wait(QUIET_SECONDS, lambda: False)
    series.runs += 1
    series.isolates |= bool(case.isolated)

    series.take("edge verdict", moment, edges_of(witness, case))
    right = [said for said in verdicts_of(witness, case) if said["witness"] in case.witnesses]
    series.take("cluster verdict", moment, right)
    firsts = {}
    for said in right:
        firsts.setdefault(said["witness"], said)
    if len(firsts) == len(case.witnesses):
        last_ns = max(said["monotonic_ns"] for said in firsts.values())
        series.times["cluster verdict of all"].append((last_ns - moment.before_ns) / 1e6)
    if case.isolated and in_force(witness, case):
        last_ns = max(
            min(said["monotonic_ns"] for said in witness.of_kind(kind, **{field: node}))
            for node in case.isolated
            for kind, field in (("isolated", "node"), ("fenced", "witness"))
        )
        series.times["isolation in force"].append((last_ns - moment.before_ns) / 1e6)
    others = {
        (said["class"], said["subjects"])
        for said in witness.of_kind("verdict")
        if said["witness"] in case.witnesses
    } - {(case.verdict, ",".join(case.subjects))}
    series.wrong += sorted(f"{name} of {subjects}" for name, subjects in others)
    acted_on = {said["node"] for said in witness.of_kind("isolated")}
    acted_on |= {said["witness"] for said in witness.of_kind("fenced")}
    series.false_isolations += sorted(acted_on - set(case.isolated))
    if not done:
        series.outcomes.append(f"{case.subjects}: {cluster.timeline()}; {cluster.told()}")
    times = series.times["cluster verdict" if not case.isolated else "isolation in force"]
    if not times or times[-1] > SLOW_MS or series.wrong:
        report.explain(f"{series.name}: slow or wrong: {case.subjects}: {cluster.timeline()}")

    if log:
        seconds = log.first_word(moment, BASELINE_SECONDS)
        if seconds is None:
            series.etcd_silent += 1
        else:
            series.etcd_log_s.append(seconds)
    case.undo()


def baseline_runs(runs):
    return max(1, min(runs // 4, BASELINE_RUNS))


def measure(report, cluster, scenario, runs):
    series = Series(scenario)
    for number in range(runs):
        try:
            cluster.wait_well(HEAL_SECONDS)
        except Failure as failure:
            series.not_healed.append(str(failure))
            cluster.wait_well(HEAL_LIMIT_SECONDS)
        cluster.lab.store.forget_isolations()
        report.note(f"{series.name}: {number + 1} of {runs}")
        case = scenario(cluster.lab, random)
        one_run(report, cluster, case, series, number < baseline_runs(runs))
    return series


def lease_seconds(cluster, runs):
    """How long after the cut of its holder a lease of 5 s is gone, as another node sees it."""
    lab, seconds = cluster.lab, []
    holder, watcher = lab.nodes[-1], lab.store.nodes[0]
    for _ in range(runs):
        cluster.wait_well(HEAL_SECONDS)
        lab.store.forget_isolations()
        lease = EtcdLease(lab.store, holder, watcher)
        time.sleep(random.uniform(1, 2))
        moment = lab.cut(holder)
        seconds.append(lease.wait_gone(moment))
        lab.heal()
        lease.stop()
    return seconds


def cells(values):
    return [f"{quantile(values, share):.0f}" if values else "-" for share in (0.5, 0.99, 1)]


def section(report, build, runs):
    report.section("Cluster verdict and isolation")
    report.say(
        "Five nodes on a bridge, mode enforce, etcd with three members on n1, n2 and n3; each fault"
        f" {runs} times on nodes taken at random (also those with etcd's members and leader), at a"
        " random phase, with a wait until all is well between. Times in ms, from just before the"
        " command that makes the fault. 'edge': the first agent that calls an edge cut (or an agent"
        " silent). 'verdict': the first agent that says the right class of the right nodes; 'of"
        " all': the last one. 'in force': the records of all isolated nodes are written and these"
        " nodes' own fences stand. In the cases of a partial partition etcd's leader keeps its"
        " links to its members, and of halves the larger one has two of the members. With less than"
        " 100 runs the p99 is the maximum."
    )
    report.say()
    all_series = []
    with Lab(5, build, EXTRA, mode="enforce") as lab:
        store = Store(lab, lab.nodes[:3])
        store.start()
        store.wait_healthy()
        lab.start_agents()
        lab.wait_all_heard(15)
        cluster = Cluster(lab)
        for scenario in SCENARIOS:
            all_series.append(measure(report, cluster, scenario, runs))
        lease = lease_seconds(cluster, baseline_runs(runs))
    report.note("")
    rows = []
    for series in all_series:
        rows.append(
            [
                series.name,
                series.runs,
                *cells(series.times["edge verdict"]),
                *cells(series.times["cluster verdict"]),
                *cells(series.times["cluster verdict of all"]),
                *(cells(series.times["isolation in force"]) if series.isolates else ["", "", ""]),
            ]
        )
    columns = [
        f"{name} {part}"
        for name in ("edge", "verdict", "of all", "in force")
        for part in ("p50", "p99", "max")
    ]
    report.table(["fault", "n", *columns], rows)
    report.say("What etcd says of the same faults, in seconds:")
    report.say()
    report.table(
        ["fault", "n", "first line of trouble in any member's log, read every 1 s", "silent for 10 s"],
        [
            [
                series.name,
                len(series.etcd_log_s) + series.etcd_silent,
                f"{quantile(series.etcd_log_s, 0.5):.1f} (max {max(series.etcd_log_s):.1f})"
                if series.etcd_log_s
                else "-",
                series.etcd_silent,
            ]
            for series in all_series
        ],
    )
    report.say(
        f"- a lease of 5 s, renewed every second by a node that is cut off: gone after"
        f" {quantile(lease, 0.5):.1f} s (max {max(lease):.1f} s)"
    )
    report.say()
    for series in all_series:
        for name, (p50_ms, p99_ms) in TARGETS.items():
            values = series.times[name]
            if name == "isolation in force" and not series.isolates:
                continue
            if not values:
                report.target(f"{series.name}: {name} was never seen", False)
                continue
            p50, p99 = quantile(values, 0.5), quantile(values, 0.99)
            report.target(
                f"{series.name}: {name} p50 {p50:.0f} ms (at most {p50_ms}), p99 {p99:.0f} ms"
                f" (at most {p99_ms})",
                p50 <= p50_ms and p99 <= p99_ms,
            )
    for title, pick in (
        ("runs without the right outcome", lambda series: series.outcomes),
        ("verdicts of a wrong class", lambda series: series.wrong),
        ("false isolations", lambda series: series.false_isolations),
        (f"faults not healed {HEAL_SECONDS} s after their end", lambda series: series.not_healed),
    ):
        found = [(series.name, what) for series in all_series for what in pick(series)]
        report.target(f"{title}: {len(found)}, target 0", not found)
        for name, what in found[:10]:
            report.say(f"  - {name}: {what}")
