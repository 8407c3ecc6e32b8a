# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""How long from a fault of the node's own to the finding; a row of FAULTS each."""

import contextlib
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from agent import Agent, CONFIG
from report import quantile
from system import LabError

SCRAPE_SECONDS = 1
CLEAR_SECONDS = 30
TASK_HUNG_SECONDS = 5
# The rules' own numbers, but for how soon a finding is cleared, and for a wait that has nothing to say.
RULES = """
findings:
  disk-errors: {{clear_after_s: 1}}
  task-hung: {{after_s: %d}}
watch:
  - exe: {directory}/watched
""" % TASK_HUNG_SECONDS
# So that one of 100 waits for a CPU is over 20 ms: some 3 ms for each that stands before it.
HOGS_PER_CPU = 16


class Fault:
    """One row: what is done, which finding is expected, and within what time."""

    def __init__(self, finding, what, inject, heal, subject, seconds, kernel, **rest):
        self.finding = finding
        self.what = what
        # Of the bench. Returns when the fault was complete (CLOCK_MONOTONIC, in ns), if that is
        # not from when it was begun on.
        self.inject = inject
        self.heal = heal
        self.subject = subject  # of the bench: of the finding
        self.seconds = seconds  # to wait for it
        self.kernel = kernel  # of the bench: what a matching line of the kernel's log has
        self.target_ms = rest.get("target_ms")  # of the p99
        self.clear_s = rest.get("clear_s", CLEAR_SECONDS)  # 0: its end is not waited for
        self.rest_s = rest.get("rest_s", 0)  # before each run
        # Each run has an agent of its own, which knows nothing of the one before.
        self.anew = rest.get("anew", False)
        # Of the bench: begins and ends what must go on, and for how long before the first run.
        self.begin = rest.get("begin", lambda bench: None)
        self.end = rest.get("end", lambda bench: None)
        self.begin_s = rest.get("begin_s", 0)


def disk_fault(finding, what, order, undo="heal", subject=lambda bench: bench.disk.name, **rest):
    """One that the disk is ordered to have."""
    return Fault(
        finding,
        what,
        lambda bench: bench.disk.order(order),
        lambda bench: bench.disk.order(undo),
        subject,
        **rest,
    )


FAULTS = (
    disk_fault(
        "disk-stalled",
        "all I/O of a disk hangs (rule: 2 s)",
        "stall",
        seconds=10,
        target_ms=2500,
        kernel=lambda bench: rf"\b{bench.disk.name}\b|blocked for more than",
    ),
    disk_fault(
        "disk-hung-request",
        "one read hangs, others are completed (rule: 5 s)",
        "hold",
        seconds=15,
        kernel=lambda bench: rf"\b{bench.disk.name}\b|blocked for more than",
    ),
    disk_fault(
        "disk-errors",
        "a read fails",
        "fail",
        seconds=10,
        target_ms=200,
        kernel=lambda bench: rf"\b{bench.disk.name}\b",
    ),
    Fault(
        "filesystem",
        "a file system is filled (looked at every 5 s)",
        lambda bench: bench.space.fill(),
        lambda bench: bench.space.empty(),
        lambda bench: bench.space.path,
        seconds=20,
        kernel=lambda bench: r"No space left|no space",
    ),
    Fault(
        "filesystem",
        "a file system is mounted anew, to be read only",
        lambda bench: bench.space.mount_again("ro"),
        lambda bench: bench.space.mount_again("rw"),
        lambda bench: bench.space.path,
        seconds=20,
        kernel=lambda bench: r"[Rr]emount|read-only",
    ),
    Fault(
        "watched-process-died",
        "a watched process is killed",
        lambda bench: bench.watched.kill(),
        lambda bench: bench.watched.start(),
        lambda bench: bench.watched.path,
        seconds=10,
        target_ms=50,
        kernel=lambda bench: r"\bwatched\b",
    ),
    Fault(
        "crash-loop",
        "a program crashes a third time within 60 s, from before that one",
        lambda bench: bench.crasher.crash_thrice(),
        lambda bench: None,
        lambda bench: f"program {bench.crasher.name}",
        seconds=10,
        target_ms=100,
        kernel=lambda bench: rf"\b{bench.crasher.name}\b",
        clear_s=0,
    ),
    Fault(
        "accept-overflow",
        "a listener does not accept (looked at every 1 s)",
        lambda bench: bench.listener.start(),
        lambda bench: bench.listener.close(),
        lambda bench: bench.listener.subject,
        seconds=10,
        kernel=lambda bench: r"SYN flooding|TCP: drop",
        clear_s=0,
    ),
    Fault(
        "memory-pressure",
        "a control group runs out of memory, and a process of it is killed",
        lambda bench: bench.group.run_out(),
        lambda bench: bench.group.close(),
        lambda bench: bench.group.subject,
        seconds=10,
        kernel=lambda bench: r"Memory cgroup out of memory|oom-kill:",
        clear_s=0,
        # Of few groups at a time it is told apart, for a minute each.
        rest_s=8,
    ),
)
# From here on each takes half a minute or more: sections of their own.
SLOW_DISK = (
    disk_fault(
        "disk-slow",
        "each read takes 50 ms (rule: 3 windows of 5 s)",
        "slow",
        "fast",
        seconds=40,
        kernel=lambda bench: rf"\b{bench.disk.name}\b",
        clear_s=60,
        begin=lambda bench: bench.disk.order("read"),
        end=lambda bench: bench.disk.order("heal"),
        # What is usual is known after 12 windows.
        begin_s=75,
    ),
    Fault(
        "task-hung",
        f"all I/O of a disk hangs, and who reads it (rule: 30 s, here {TASK_HUNG_SECONDS} s; looked at every 5 s)",
        lambda bench: bench.disk.order("stall"),
        lambda bench: bench.disk.order("heal"),
        # Who reads is the disk's own program.
        lambda bench: "fault_disk",
        seconds=60,
        kernel=lambda bench: r"blocked for more than",
    ),
)
OVERLOADS = (
    disk_fault(
        "io-pressure",
        "all I/O of a disk hangs, and nothing else is done (rule: 40 % of 10 s)",
        "stall",
        subject=lambda bench: "node",
        seconds=30,
        kernel=lambda bench: r"blocked for more than",
        clear_s=90,
    ),
    Fault(
        "memory-pressure",
        "a control group reads again and again what it has no room for (rule: 10 % of 10 s)",
        lambda bench: bench.group.thrash(),
        lambda bench: bench.group.close(),
        lambda bench: "node",
        seconds=60,
        kernel=lambda bench: r"page allocation|oom-kill:",
        clear_s=90,
    ),
    Fault(
        "cpu-overload",
        f"{HOGS_PER_CPU} busy processes a CPU (rule: 3 windows of 5 s)",
        lambda bench: bench.hogs.start(),
        lambda bench: bench.hogs.stop(),
        lambda bench: "node",
        seconds=40,
        target_ms=20000,
        kernel=lambda bench: r"soft lockup|blocked for more than|rcu.*stall",
        clear_s=0,
        anew=True,
    ),
)


class Disk:
    """The program fault_disk: a disk that does what it is told."""

    def __init__(self, build):
        path = os.path.join(build, "tests", "bench", "fault_disk")
        if not os.access(path, os.X_OK):
            raise LabError(f"{path} is missing; `make benches` builds it")
        self.process = subprocess.Popen(
            [path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.name = self.process.stdout.readline().strip()
        if not re.fullmatch(r"loop\d+", self.name):
            raise LabError(f"no disk that fails to order: {self.name}")

    def order(self, order):
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if answer != "done":
            raise LabError(f"the disk was told to {order}: {answer}")

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Space:
    """A small file system in memory."""

    BYTES = 1 << 20

    def __init__(self, directory):
        self.path = os.path.join(directory, "space")
        os.mkdir(self.path)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={self.BYTES}", "bench", self.path], check=True
        )

    def fill(self):
        with open(os.path.join(self.path, "file"), "wb") as file:
            file.write(bytes(self.BYTES * 98 // 100))

    def empty(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.path, "file"))

    def mount_again(self, option):
        subprocess.run(["mount", "-o", f"remount,{option}", self.path], check=True)

    def close(self):
        subprocess.run(["umount", "-l", self.path], check=False)


class Watched:
    """A process that the agent watches by its program."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "watched")
        shutil.copy(shutil.which("sleep"), self.path)
        self.start()

    def start(self):
        self.process = subprocess.Popen([self.path, "3600"])

    def kill(self):
        self.process.kill()
        self.process.wait()

    close = kill


class Crasher:
    """A program that crashes, each time that it is told to under another name."""

    CRASHES = 3

    def __init__(self, directory):
        self.directory = directory
        self.number = 0
        self.name = "crasher"

    def crash_thrice(self):
        """Returns when the last crash was about to come."""
        self.number += 1
        self.name = f"crasher{self.number}"
        path = os.path.join(self.directory, self.name)
        shutil.copy(shutil.which("dash"), path)
        for _ in range(self.CRASHES):
            before_ns = time.monotonic_ns()
            done = subprocess.run(
                [path, "-c", "kill -SEGV $$"],
                check=False,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
            )
            if done.returncode != -signal.SIGSEGV:
                raise LabError(f"{self.name} did not crash: {done.returncode}")
        return before_ns


class Listener:
    """Something that listens, on another port each time, and does not accept."""

    CLIENTS = 8

    def __init__(self):
        self.sockets = []
        self.subject = None

    def start(self):
        listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        self.sockets.append(listener)
        port = listener.getsockname()[1]
        self.subject = f"127.0.0.1:{port} netns {os.stat('/proc/self/ns/net').st_ino}"
        for _ in range(self.CLIENTS):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
            self.sockets.append(client)

    def close(self):
        for one in self.sockets:
            one.close()
        self.sockets = []


class Group:
    """A control group whose processes may have little memory, another one each time."""

    BYTES = 32 << 20
    TREES = (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max"))
    READERS_PER_CPU = 2

    def __init__(self, directory):
        self.number = 0
        self.path = self.subject = None
        self.processes = []
        self.large = os.path.join(directory, "large")  # a file of twice the memory
        with open(self.large, "wb") as file:
            for _ in range(2 * self.BYTES >> 20):
                file.write(bytes(1 << 20))
            os.fsync(file.fileno())

    def _make(self):
        self.number += 1
        self.subject = f"/tocsin-bench-{os.getpid()}-{self.number}"
        for tree, limit in self.TREES:
            path = tree + self.subject
            with contextlib.suppress(OSError):
                os.mkdir(path)
                self.path = path
            with contextlib.suppress(OSError), open(f"{path}/{limit}", "w", encoding="ascii") as file:
                file.write(str(self.BYTES))
                return
        raise LabError("no memory controller of control groups")

    def _start(self, script):
        """Of a program of Python, in the group."""
        enter = f"open('{self.path}/cgroup.procs', 'w').write('0')\n"
        command = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-c", enter + script]
        self.processes.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))

    def run_out(self):
        self._make()
        self._start(f"bytearray(b'x') * {4 * self.BYTES}")
        self.processes[0].wait()

    def thrash(self):
        """Reads again and again what there is no room for."""
        # Of what is there already the group would not have to make room.
        with open(self.large, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        self._make()
        for _ in range(self.READERS_PER_CPU * os.cpu_count()):
            self._start(
                "import os\n"
                "while True:\n"
                f"    with open('{self.large}', 'rb', buffering=0) as file:\n"
                "        while file.read(1 << 16):\n"
                "            pass\n"
            )

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()
        self.processes = []
        # Who was killed may be in it for a moment yet.
        deadline = time.monotonic() + 2
        while self.path and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                os.rmdir(self.path)
                self.path = None
            time.sleep(0.01)


class Hogs:
    """Busy processes."""

    def __init__(self):
        self.processes = []

    def start(self):
        count = HOGS_PER_CPU * os.cpu_count()
        command = ["setpriv", "--pdeathsig", "KILL", "sh", "-c", "while :; do :; done"]
        self.processes = [subprocess.Popen(command) for _ in range(count)]

    def stop(self):
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()
        self.processes = []

    close = stop


class KernelLog:
    """Who reads the kernel's log once a second, from a fault on: what a log scraper learns."""

    def __init__(self, pattern):
        self.pattern = re.compile(pattern)
        self.seconds = None  # until the first matching line is read
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.fd, 0, os.SEEK_END)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._read, daemon=True)

    def start(self, before_ns):
        self.before_ns = before_ns
        self.thread.start()

    def _matches(self):
        while True:
            try:
                line = os.read(self.fd, 8192).decode(errors="replace")
            except BlockingIOError:
                return False
            except OSError:
                continue  # overwritten before it was read
            if self.pattern.search(line):
                return True

    def _read(self):
        wait = random.uniform(0, SCRAPE_SECONDS)
        while not self.ended.wait(wait):
            if self._matches():
                self.seconds = (time.monotonic_ns() - self.before_ns) / 1e9
                return
            wait = SCRAPE_SECONDS

    def close(self):
        self.ended.set()
        self.thread.join()
        os.close(self.fd)


class Bench:
    """An agent, and all that can be made to fail: what begin() makes, and ends with it."""

    def __init__(self, build):
        self.parts = contextlib.ExitStack()
        self.build = build

    def __enter__(self):
        with self.parts:
            self.begin()
            self.parts = self.parts.pop_all()
        return self

    def keep(self, part):
        return self.parts.enter_context(contextlib.closing(part))

    def __exit__(self, *error):
        self.parts.close()


class NodeBench(Bench):
    """One agent alone, and its node."""

    def begin(self):
        self.directory = directory = self.parts.enter_context(tempfile.TemporaryDirectory(prefix="tocsin-"))
        self.disk = self.keep(Disk(self.build))
        self.space = self.keep(Space(directory))
        self.watched = self.keep(Watched(directory))
        self.crasher = Crasher(directory)
        self.listener = self.keep(Listener())
        self.group = self.keep(Group(directory))
        self.hogs = self.keep(Hogs())
        self.start_agent()

    def start_agent(self):
        self.agent = self.keep(Agent(self.build, self.directory, CONFIG + RULES))

    def start_agent_anew(self):
        self.agent.close()
        self.start_agent()


class Series:
    """All runs of one fault."""

    def __init__(self, fault):
        self.fault = fault
        self.times_ms, self.kernel_s = [], []
        self.missed = self.kernel_silent = 0
        self.others = []  # findings that nobody asked for


def one_run(bench, fault, series):
    def is_it(event):
        return lambda said: (
            said.get("event") == event
            and said.get("finding") == fault.finding
            and said.get("subject") == fault.subject(bench)
        )

    def note_other(said):
        if said.get("event") == "finding":
            series.others.append(f"{said['finding']} {said['subject']}: {said['sentence']}")

    if fault.anew:
        bench.start_agent_anew()
    time.sleep(fault.rest_s + random.uniform(0.2, 1.2))
    kernel = KernelLog(fault.kernel(bench))
    before_ns = time.monotonic_ns()
    kernel.start(before_ns)
    try:
        before_ns = fault.inject(bench) or before_ns
        found = bench.agent.wait(fault.seconds, is_it("finding"), note_other)
        if found:
            series.times_ms.append((found["monotonic_ns"] - before_ns) / 1e6)
        else:
            series.missed += 1
        # The scraper, too, may come by once more.
        time.sleep(SCRAPE_SECONDS)
    finally:
        kernel.close()
        fault.heal(bench)
    if kernel.seconds is None:
        series.kernel_silent += 1
    else:
        series.kernel_s.append(kernel.seconds)
    if not found or not fault.clear_s:
        return
    if not bench.agent.wait(fault.clear_s, is_it("finding cleared"), note_other):
        raise LabError(f"{fault.finding} is not cleared {fault.clear_s} s after all is well")


def row_of(series):
    times = series.times_ms
    figures = [f"{value:.{1 if value < 10 else 0}f}" for value in (quantile(times, 0.5), quantile(times, 0.99), max(times))
               ] if times else ["-"] * 3
    said = f"{quantile(series.kernel_s, 0.5) * 1000:.0f}" if series.kernel_s else "-"
    return [
        series.fault.finding,
        series.fault.what,
        len(times),
        *figures,
        series.missed,
        said,
        f"{series.kernel_silent} of {len(series.kernel_s) + series.kernel_silent}",
    ]


def section(report, build, runs):
    report.section("Findings")
    measure(report, NodeBench(build), runs, FAULTS)


def slow_disk(report, build, runs):
    report.section("A slow disk")
    measure(report, NodeBench(build), runs, SLOW_DISK)


def overload(report, build, runs):
    report.section("Overload")
    measure(report, NodeBench(build), runs, OVERLOADS)


def measure(report, opened, runs, faults):
    """opened: what an agent and its faults are, as a context manager."""
    report.say(
        f"One agent with the default rules; each fault {runs} times, at a random phase, from just before it is"
        " injected to the finding. Beside it, what somebody learns who reads the kernel's log every"
        f" {SCRAPE_SECONDS} s, until {SCRAPE_SECONDS} s after the finding: the median until the first line that"
        " names the device or its trouble. With less than 100 runs the p99 is the maximum."
    )
    report.say()
    all_series = []
    with opened as bench:
        for fault in faults:
            series = Series(fault)
            all_series.append(series)
            fault.begin(bench)
            time.sleep(fault.begin_s)
            for number in range(runs):
                report.note(f"findings: {fault.finding}, {number + 1} of {runs}")
                one_run(bench, fault, series)
            fault.end(bench)
    report.note("")
    report.table(
        ["finding", "fault", "n", "p50 ms", "p99 ms", "max ms", "misses", "kernel log ms",
         "kernel log silent"],
        [row_of(series) for series in all_series],
    )
    for series in all_series:
        name, target_ms = series.fault.finding, series.fault.target_ms
        report.target(f"{name}: {series.missed} misses, target 0", not series.missed)
        if target_ms and series.times_ms:
            p99 = quantile(series.times_ms, 0.99)
            report.target(f"{name}: p99 {p99:.0f} ms, target at most {target_ms} ms", p99 <= target_ms)
        for other in series.others:
            report.explain(f"{name}: also found: {other}")
