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


class Watch:
    """What the agents said since 'start_ns'; until 'cut_ns' every 'unreachable' is a false one."""

    def __init__(self, start_ns):
        self.start_ns = start_ns
        self.cut_ns = None
        self.counts = {}  # how often an edge came into a state, before the cut
        self.false = []
        self.longest_suspicion_ns = 0
        self.control_ms = {}
        self._suspect_since_ns = {}

    def take(self, change):
        now_ns, state = change["monotonic_ns"], change["state"]
        edge = change["node"], change["peer"]
        if now_ns < self.start_ns:
            return
        if self.cut_ns and now_ns > self.cut_ns and VICTIM in edge:
            if state == "unreachable":
                self.control_ms.setdefault(edge, (now_ns - self.cut_ns) / 1e6)
            return
        self.counts[state] = self.counts.get(state, 0) + 1
        if state == "unreachable":
            self.false.append(f"{edge[0]} of {edge[1]}: {change['evidence']}")
        if state == "suspect":
            self._suspect_since_ns[edge] = now_ns
        elif edge in self._suspect_since_ns:
            lasted_ns = now_ns - self._suspect_since_ns.pop(edge)
            self.longest_suspicion_ns = max(self.longest_suspicion_ns, lasted_ns)


def wait_in_trouble(report, lab, events, watch, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        remaining = f"{end - time.monotonic():.0f} s to go"
        report.note(f"false verdicts: {remaining}, {len(watch.false)} so far")
        for change in events.poll():
            watch.take(change)
        if lab.dead_agents():
            raise LabError(lab.dead_agents()[0])
        time.sleep(0.2)


def section(report, build, seconds):
    report.section("False verdicts")
    with Lab(NODES, build) as lab, Load(seconds + CONTROL_SECONDS + 120) as load:
        report.say(
            f"{NODES} nodes, {LOSS_PERCENT} % random loss each way between all of them, one"
            f" connection each way between every two with {REQUESTS_PER_SECOND} requests/s,"
            f" `{' '.join(load.command)}`, for {seconds} s."
        )
        report.say()
        pairs = [(a, b) for a in lab.nodes for b in lab.nodes if a != b]
        accusers = [(node, VICTIM) for node in lab.nodes if node != VICTIM]
        lab.start_agents()
        lab.start_traffic(f"{a}:{b}:requests={REQUESTS_PER_SECOND}" for a, b in pairs)
        lab.wait_all_heard(60)
        events = Events(lab)
        watch = Watch(lab.loss("all", LOSS_PERCENT).before_ns)
        wait_in_trouble(report, lab, events, watch, seconds)
        seen, lost = lab.measured_loss()
        if load.process.poll() is not None:
            raise LabError(f"stress-ng ended by itself with {load.process.returncode}")
        with open("/proc/loadavg", encoding="utf-8") as file:
            load_average = file.read().split()[0]

        # That nobody cried wolf is worth something only if they still can.
        report.note("false verdicts: the control, a real cut")
        watch.cut_ns = lab.cut(VICTIM).before_ns
        accused = lambda: all(edge in watch.control_ms for edge in accusers)
        for change in events.follow(CONTROL_SECONDS, accused):
            watch.take(change)
    report.note("")
    times = [watch.control_ms[edge] for edge in accusers if edge in watch.control_ms]
    changes = ", ".join(f"{state} {count}" for state, count in sorted(watch.counts.items()))
    report.say(f"- dropped: {lost} of {seen} packets ({lost / max(1, seen):.1%})")
    report.say(f"- load average at the end: {load_average}")
    report.say(f"- times that an edge came into a state: {changes or 'none'}")
    report.say(f"- longest time under suspicion: {watch.longest_suspicion_ns / 1e6:.0f} ms")
    for text in watch.false[:10]:
        report.say(f"- false verdict: {text}")
    if times:
        report.say(
            f"- control, under the same loss and load: a real cut of {VICTIM} was seen by"
            f" {len(times)} of {len(accusers)} nodes, p50 {statistics.median(times):.0f} ms,"
            f" max {max(times):.0f} ms"
        )
    report.say()
    report.target(
        f"{len(watch.false)} verdicts 'unreachable' on edges that were not cut, target 0",
        not watch.false,
    )
    report.target(
        f"control: {len(times)} of {len(accusers)} nodes saw a real cut within {CONTROL_SECONDS} s",
        len(times) == len(accusers),
    )
