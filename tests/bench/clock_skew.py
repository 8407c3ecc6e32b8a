# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""How long from a wall clock that jumps to the finding of its node."""

import os
import random
import struct
import time

from lab import Lab
from report import quantile
from system import LabError
from witness import Witness

SHIFT_SECONDS = 2
SECONDS = 20
CLEAR_SECONDS = 40


class Clock:
    """The wall clock of one node's agent, by a library that is loaded into it."""

    def __init__(self, lab, build):
        self.path = lab.path("clock")
        self.library = os.path.join(os.path.abspath(build), "tests/live/preload/clock_shift.so")
        if not os.path.exists(self.library):
            raise LabError(f"{self.library} is missing; `make benches` builds it")
        self.shift(0)

    def shift(self, seconds):
        # In place: the agent has it mapped.
        with open(self.path, "r+b" if os.path.exists(self.path) else "wb") as file:
            file.write(struct.pack("=q", int(seconds * 1e9)))

    def start_agent(self, lab, node):
        os.environ.update(LD_PRELOAD=self.library, TOCSIN_CLOCK_SHIFT=self.path)
        try:
            lab.start_agents([node])
        finally:
            del os.environ["LD_PRELOAD"], os.environ["TOCSIN_CLOCK_SHIFT"]


def section(report, build, runs):
    report.section("A wall clock that jumps")
    times_ms, others = [], []
    with Lab(4, build) as lab:
        victim, *rest = lab.nodes
        clock = Clock(lab, build)
        clock.start_agent(lab, victim)
        lab.start_agents(rest)
        lab.wait_all_heard(15)
        witness = Witness(lab)

        def said(kind):
            return witness.of_kind(kind, witness=victim, finding="clock-skew")

        for number in range(runs):
            report.note(f"clock: {number + 1} of {runs}")
            time.sleep(random.uniform(0.2, 1.2))
            witness.forget()
            before_ns = time.monotonic_ns()
            clock.shift(SHIFT_SECONDS if number % 2 else -SHIFT_SECONDS)
            if witness.wait(SECONDS, lambda: said("finding")):
                times_ms.append((said("finding")[0]["monotonic_ns"] - before_ns) / 1e6)
            clock.shift(0)
            if not witness.wait(CLEAR_SECONDS, lambda: said("finding cleared")):
                raise LabError(f"clock-skew is not cleared {CLEAR_SECONDS} s after all is well")
            others += [s["witness"] for s in witness.of_kind("finding") if s["witness"] != victim]
    report.note("")
    report.say(
        f"Four nodes; the wall clock of one agent jumps by {SHIFT_SECONDS} s, forth and back in turn, {runs} times"
        " (looked at every 1 s, the median of its peers' offsets)."
    )
    report.say()
    report.table(
        ["n", "p50 ms", "p99 ms", "max ms"],
        [[len(times_ms), *(f"{quantile(times_ms, share):.0f}" for share in (0.5, 0.99, 1))]]
        if times_ms
        else [],
    )
    report.target(f"{runs - len(times_ms)} misses, target 0", len(times_ms) == runs)
    report.target(f"{len(others)} findings of other nodes, target 0", not others)
