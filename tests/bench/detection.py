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
    def __init__(self):
        self.detected_ms = []  # n1 about n3, from just before the command that cuts
        self.witness_ms = []  # n2 about n3: the same cut on a pair without traffic
        self.cutting_ms = []  # how long the command took: how uncertain the start is
        self.recovered_ms = []
        self.misses = 0
        self.false_verdicts = []


def false_verdict(change, cut):
    """Whether 'unreachable' is wrong; only edges of n3 may say it, and only while n3 is cut off."""
    return change["state"] == "unreachable" and not (
        cut and "n3" in (change["node"], change["peer"])
    )


def collect(events, seconds, done, cut, outcome):
    """Follows the changes; returns {edge: ns of its first 'unreachable'} and whether done() in time."""
    verdicts = {}
    for change in events.follow(seconds, done):
        if false_verdict(change, cut):
            outcome.false_verdicts.append(
                f"{change['node']} of {change['peer']}: {change['evidence']}"
            )
        elif change["state"] == "unreachable":
            verdicts.setdefault((change["node"], change["peer"]), change["monotonic_ns"])
    return verdicts, done()


def one_cut(lab, events, outcome):
    # The phase to every timer is left to chance.
    collect(events, random.uniform(0.3, 1.5), lambda: False, False, outcome)
    moment = lab.cut("n3")
    outcome.cutting_ms.append((moment.after_ns - moment.before_ns) / 1e6)
    edges = [("n1", "n3"), ("n2", "n3"), ("n3", "n1"), ("n3", "n2")]
    verdicts, _ = collect(
        events, VERDICT_SECONDS, lambda: events.all_in(edges, "unreachable"), True, outcome
    )
    for edge, times in ((edges[0], outcome.detected_ms), (edges[1], outcome.witness_ms)):
        if edge in verdicts:
            times.append((verdicts[edge] - moment.before_ns) / 1e6)
    outcome.misses += edges[0] not in verdicts

    healed = lab.heal()
    last_ns = healed.after_ns
    healthy = lambda: events.all_in(events.states, *HEALTHY)
    deadline = time.monotonic() + HEAL_SECONDS
    while not healthy() and time.monotonic() < deadline:
        # What was decided before the cut was lifted is no false verdict, whenever it is read.
        for change in events.follow(0, lambda: True):
            if change["monotonic_ns"] > healed.after_ns and false_verdict(change, False):
                outcome.false_verdicts.append(
                    f"{change['node']} of {change['peer']}: {change['evidence']}"
                )
            last_ns = max(last_ns, change["monotonic_ns"])
        time.sleep(0.01)
    if lab.dead_agents():
        raise LabError(lab.dead_agents()[0])
    if not healthy():
        wrong = [
            f"{a} says {state} of {b}"
            for (a, b), state in events.states.items()
            if state not in HEALTHY
        ]
        raise LabError(f"not healthy {HEAL_SECONDS} s after healing: {', '.join(wrong)}")
    outcome.recovered_ms.append((last_ns - healed.after_ns) / 1e6)


def measure(report, build, flows, runs, name):
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
            one_cut(lab, events, outcome)
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


def section(report, build, runs):
    report.section("Detection")
    report.say(
        f"Three nodes on a bridge; n3 is cut off both ways {runs} times for each kind of traffic"
        " between n1 and n3, at a random phase; n2 has no TCP with n3 at all. Time is from just"
        " before the command that cuts (its own time included) to the verdict 'unreachable' on the"
        " node named."
    )
    report.say()
    rows, outcomes = [], []
    for name, _meaning, flows in WORKLOADS:
        outcome = measure(report, build, flows, runs, name)
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
