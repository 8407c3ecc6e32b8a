# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""How long a cut stays unnoticed, by how much traffic the pair has."""

import random
import time

from events import Events
from lab import Lab
from report import quantile
from system import LabError

P50_TARGET_MS = 400
P99_TARGET_MS = 700
VERDICT_SECONDS = 10
HEAL_SECONDS = 30
WARM_SECONDS = 3
BULK_MB_PER_SECOND = 25
HEALTHY = ("healthy", "lossy")

WORKLOADS = [
    ("idle", "no TCP between n1 and n3", []),
    ("1 request/s", "one connection, 64 bytes there, 256 back", ["n1:n3:requests=1"]),
    (
        "bulk",
        f"one connection, {BULK_MB_PER_SECOND} MB/s from n1 to n3",
        [f"n1:n3:bulk={BULK_MB_PER_SECOND}"],
    ),
]


class Outcome:
    """What a series of cuts of n3 brought to light."""

    def __init__(self):
        self.detected_ms = []  # n1 about n3, from just before the command that cuts
        self.witness_ms = []  # n2 about n3: the same cut on a pair without traffic
        self.cutting_ms = []  # how long the command took: how uncertain the start is
        self.recovered_ms = []
        self.misses = 0
        self.false_verdicts = []
        self.verdicts_ns = {}  # of the present cut
        self.cut_ns = self.healed_ns = 0
        self.last_ns = 0

    def take(self, change):
        """Only edges of n3 may be called unreachable, and only while n3 is cut off."""
        edge, now_ns = (change["node"], change["peer"]), change["monotonic_ns"]
        self.last_ns = max(self.last_ns, now_ns)
        if change["state"] != "unreachable":
            return
        is_cut = self.cut_ns and now_ns > self.cut_ns
        if "n3" in edge and is_cut and (not self.healed_ns or now_ns <= self.healed_ns):
            self.verdicts_ns.setdefault(edge, now_ns)
        else:
            self.false_verdicts.append(f"{edge[0]} of {edge[1]}: {change['evidence']}")

    def follow(self, events, seconds, done):
        for change in events.follow(seconds, done):
            self.take(change)


def one_cut(lab, events, outcome, rest_s):
    # The phase to every timer is left to chance.
    outcome.follow(events, rest_s + random.uniform(0.3, 1.5), lambda: False)
    moment = lab.cut("n3")
    outcome.cut_ns, outcome.healed_ns = moment.before_ns, 0
    outcome.verdicts_ns = {}
    outcome.cutting_ms.append((moment.after_ns - moment.before_ns) / 1e6)
    edges = [("n1", "n3"), ("n2", "n3"), ("n3", "n1"), ("n3", "n2")]
    outcome.follow(
        events, VERDICT_SECONDS, lambda: all(edge in outcome.verdicts_ns for edge in edges)
    )
    for edge, times in ((edges[0], outcome.detected_ms), (edges[1], outcome.witness_ms)):
        if edge in outcome.verdicts_ns:
            times.append((outcome.verdicts_ns[edge] - moment.before_ns) / 1e6)
    outcome.misses += edges[0] not in outcome.verdicts_ns

    outcome.healed_ns = outcome.last_ns = lab.heal().after_ns
    outcome.follow(events, HEAL_SECONDS, lambda: events.all_in(events.states, *HEALTHY))
    if lab.dead_agents():
        raise LabError(lab.dead_agents()[0])
    wrong = [f"{a} says {s} of {b}" for (a, b), s in events.states.items() if s not in HEALTHY]
    if wrong:
        raise LabError(f"not healthy {HEAL_SECONDS} s after healing: {', '.join(wrong)}")
    outcome.recovered_ms.append((outcome.last_ns - outcome.healed_ns) / 1e6)


def measure(report, build, flows, runs, rest_s, name):
    outcome = Outcome()
    with Lab(3, build) as lab:
        lab.start_agents()
        if flows:
            lab.start_traffic(flows)
        lab.wait_all_heard(15)
        time.sleep(WARM_SECONDS)
        events = Events(lab)
        events.poll()
        for number in range(runs):
            report.note(f"{name}: cut {number + 1} of {runs}")
            one_cut(lab, events, outcome, rest_s)
    return outcome


def row(name, who, values, outcome):
    times = [f"{quantile(values, share):.0f}" if values else "-" for share in (0.5, 0.99, 1)]
    return [
        name,
        who,
        len(values),
        *times,
        outcome.misses if who == "n1" else len(outcome.cutting_ms) - len(values),
        len(outcome.false_verdicts) if who == "n1" else "",
    ]


def section(report, build, runs, rest_s):
    """rest_s: how long all is healthy before the next cut, on top of 0.3 to 1.5 s."""
    report.section("Detection")
    report.say(
        f"Three nodes on a bridge; n3 is cut off both ways {runs} times for each kind of traffic"
        f" between n1 and n3, at a random phase, {rest_s + 0.3:g} to {rest_s + 1.5:g} s after the"
        " last recovery; n2 has no TCP with n3 at all. Time is from just before the command that cuts"
        " (its own time included) to the verdict 'unreachable' on the node named."
        + (" With less than 100 cuts the p99 is the maximum." if runs < 100 else "")
    )
    report.say()
    rows, outcomes = [], []
    for name, _meaning, flows in WORKLOADS:
        outcome = measure(report, build, flows, runs, rest_s, name)
        outcomes.append((name, outcome))
        rows.append(row(name, "n1", outcome.detected_ms, outcome))
        rows.append(row(name, "n2 (idle)", outcome.witness_ms, outcome))
    report.note("")
    report.table(
        [
            "n1 - n3",
            "seen by",
            "n",
            "p50 ms",
            "p99 ms",
            "max ms",
            f"misses ({VERDICT_SECONDS} s)",
            "false verdicts",
        ],
        rows,
    )
    for name, meaning, _flows in WORKLOADS:
        report.say(f"- {name}: {meaning}")
    cutting = [time_ms for _, outcome in outcomes for time_ms in outcome.cutting_ms]
    recovered = [time_ms for _, outcome in outcomes for time_ms in outcome.recovered_ms]
    report.say(
        f"- the command that cuts: p50 {quantile(cutting, 0.5):.0f} ms, max {max(cutting):.0f} ms, "
        "contained in the times above"
    )
    report.say(
        f"- all edges healthy again after healing: p50 {quantile(recovered, 0.5):.0f} ms, "
        f"max {max(recovered):.0f} ms"
    )
    for name, outcome in outcomes:
        for text in outcome.false_verdicts[:5]:
            report.say(f"- false verdict ({name}): {text}")
    report.say()
    for name, outcome in outcomes:
        values = outcome.detected_ms or [float("inf")]
        p50, p99 = quantile(values, 0.5), quantile(values, 0.99)
        report.target(
            f"{name}: p50 {p50:.0f} ms, target at most {P50_TARGET_MS} ms", p50 <= P50_TARGET_MS
        )
        report.target(
            f"{name}: p99 {p99:.0f} ms, target at most {P99_TARGET_MS} ms", p99 <= P99_TARGET_MS
        )
        report.target(f"{name}: {outcome.misses} misses, target 0", not outcome.misses)
        count = len(outcome.false_verdicts)
        report.target(f"{name}: {count} false verdicts, target 0", not count)
