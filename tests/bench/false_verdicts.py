# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Whether loss and a starved machine make an agent cry wolf."""

import os
import shutil
import signal
import statistics
import subprocess
import time

from events import Events
from lab import Lab
from system import LabError

NODES = 4
LOSS_PERCENT = 10
REQUESTS_PER_SECOND = 5
CONTROL_SECONDS = 60
VICTIM = "n3"


class Load:
    """stress-ng with four workers a core, until left."""

    def __init__(self, seconds):
        self.workers = 4 * os.cpu_count()
        self.command = ["stress-ng", "--cpu", str(self.workers)]
        self.limit = ["--timeout", f"{int(seconds)}s"]

    def __enter__(self):
        if shutil.which("stress-ng") is None:
            raise LabError("'stress-ng' is missing; install the package stress-ng")
        # A group of its own, so that ending it ends its workers.
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *self.command, *self.limit],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_exception):
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(5)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        self.process.wait()


def section(report, build, seconds):
    report.section("False verdicts")
    with Lab(NODES, build) as lab, Load(seconds + CONTROL_SECONDS + 120) as load:
        report.say(
            f"{NODES} nodes, {LOSS_PERCENT} % random loss each way between all of them, one"
            f" connection each way between every two with {REQUESTS_PER_SECOND} requests/s,"
            f" `{' '.join(load.command)}`, for {seconds} s."
        )
        report.say()
        flows = [
            f"{a}:{b}:requests={REQUESTS_PER_SECOND}"
            for a in lab.nodes
            for b in lab.nodes
            if a != b
        ]
        lab.start_agents()
        lab.start_traffic(flows)
        lab.wait_all_heard(60)
        events = Events(lab)
        start_ns = lab.loss("all", LOSS_PERCENT).before_ns
        counts, false, longest_ns = {}, [], 0
        end = time.monotonic() + seconds
        since = {}
        while time.monotonic() < end:
            report.note(
                f"false verdicts: {end - time.monotonic():.0f} s to go, {len(false)} so far"
            )
            for change in events.poll():
                if change["monotonic_ns"] < start_ns:
                    continue
                counts[change["state"]] = counts.get(change["state"], 0) + 1
                edge = change["node"], change["peer"]
                if change["state"] == "suspect":
                    since[edge] = change["monotonic_ns"]
                elif edge in since:
                    longest_ns = max(longest_ns, change["monotonic_ns"] - since.pop(edge))
                if change["state"] == "unreachable":
                    false.append(f"{change['node']} of {change['peer']}: {change['evidence']}")
            if lab.dead_agents():
                raise LabError(lab.dead_agents()[0])
            time.sleep(0.2)
        seen, lost = lab.measured_loss()
        if load.process.poll() is not None:
            raise LabError(f"stress-ng ended by itself with {load.process.returncode}")
        with open("/proc/loadavg", encoding="utf-8") as file:
            load_average = file.read().split()[0]

        # That nobody cried wolf is worth something only if they still can.
        report.note("false verdicts: the control, a real cut")
        accusers = [(node, VICTIM) for node in lab.nodes if node != VICTIM]
        moment, first = lab.cut(VICTIM), {}
        for change in events.follow(
            CONTROL_SECONDS, lambda: all(edge in first for edge in accusers)
        ):
            edge = change["node"], change["peer"]
            if (
                edge in accusers
                and change["state"] == "unreachable"
                and change["monotonic_ns"] > moment.before_ns
            ):
                first.setdefault(edge, (change["monotonic_ns"] - moment.before_ns) / 1e6)
    report.note("")
    report.say(
        f"- dropped: {lost} of {seen} packets ({lost / max(1, seen):.1%}); load average"
        f" {load_average}"
    )
    changes = ", ".join(f"{state} {count}" for state, count in sorted(counts.items())) or "none"
    report.say(f"- times that an edge came into a state: {changes}")
    if longest_ns:
        report.say(f"- longest time under suspicion: {longest_ns / 1e6:.0f} ms")
    for text in false[:10]:
        report.say(f"- false verdict: {text}")
    if first:
        report.say(
            f"- control, under the same loss and load: a real cut of {VICTIM} was seen by"
            f" {len(first)} of {len(accusers)} nodes, p50"
            f" {statistics.median(first.values()):.0f} ms, max {max(first.values()):.0f} ms"
        )
    report.say()
    report.target(
        f"{len(false)} verdicts 'unreachable' on edges that were not cut, target 0", not false
    )
    report.target(
        f"control: {len(first)} of {len(accusers)} nodes saw a real cut within {CONTROL_SECONDS} s",
        len(first) == len(accusers),
    )
