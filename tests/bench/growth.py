# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the agent takes as there is more and more of something: at most as much more of it."""

import contextlib
import ctypes
import fcntl
import mmap
import os
import resource
import signal
import socket
import statistics
import struct
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from lab import Lab
from parties import Missing, Process
from report import Row
from resources import AGENT_PORT, Server, bpf_mib, cpu_seconds, status_mib
from system import LabError, inside, run

SIZES = (10, 100, 1000, 10000)
SETTLE_SECONDS = 2
SCRAPES = 5
MAKE_SECONDS = 150  # for as many of them as there are to be
AT_A_TIME = 250  # are made before the time is looked at
PORT = 7000
SYS_CLONE3 = 435
EXTRA = f"tcp: {{max_peers: {1 << 14}}}\n"
# Series that come and go with the rest of the machine.
SERIES_SLACK = 1.05


class Peers:
    """Remote addresses, each with a connection to the first node that has had a request."""

    # A process of its own holds their other ends: there is a limit of open files.
    ANSWER = (
        "import socket, sys\n"
        "listener, held = socket.socket(fileno=int(sys.argv[1])), []\n"
        "while True:\n"
        "    held.append(listener.accept()[0])\n"
        "    held[-1].sendall(held[-1].recv(1))\n"
    )

    def __init__(self, lab):
        self.lab, self.clients = lab, []
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        if most < SIZES[-1] + 1000:
            raise Missing(f"the limit of open files (ulimit -n) is {most}, too low for {SIZES[-1]} connections")
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        # Through one gateway, or the table of neighbours would be too small.
        run(["ip", "-n", lab.namespace("n2"), "route", "add", "local", "10.78.0.0/16", "dev", "lo"])
        run(["ip", "-n", lab.namespace("n1"), "route", "add", "10.78.0.0/16", "via", lab.address("n2")])
        with inside(lab.namespace("n1")):
            listener = socket.create_server((lab.address("n1"), PORT), backlog=128)
        with listener:
            argv = [sys.executable, "-c", self.ANSWER, str(listener.fileno())]
            self.answers = Process("who answers", argv, pass_fds=[listener.fileno()])

    def add(self, numbers):
        with inside(self.lab.namespace("n2")):
            for number in numbers:
                self._add_one(number)

    def _add_one(self, number):
        source = (f"10.78.{number >> 8}.{number & 255}", 0)
        client = socket.create_connection(
            (self.lab.address("n1"), PORT), timeout=10, source_address=source
        )
        self.clients.append(client)
        client.sendall(b"x")
        client.recv(1)

    def close(self):
        self.answers.close()
        for client in self.clients:
            client.close()


class Devices:
    """Loop devices over one file in memory, of each of which something was read."""

    CONFIGURE, CLEAR, ADD, REMOVE = 0x4C0A, 0x4C01, 0x4C80, 0x4C81
    FIRST = 1000  # of their numbers, where nobody else's are
    BYTES = 4096
    AT_A_TIME, TRIES = 64, 40

    def __init__(self, _lab):
        self.file = tempfile.TemporaryFile(dir="/dev/shm")
        self.file.truncate(self.BYTES)
        self.control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
        self.numbers = []

    def add(self, numbers):
        # The kernel waits long for each, but for many at a time.
        with ThreadPoolExecutor(self.AT_A_TIME) as pool:
            list(pool.map(self._add_one, numbers))

    def _add_one(self, number):
        number += self.FIRST
        fcntl.ioctl(self.control, self.ADD, number)
        self.numbers.append(number)
        # struct loop_config: the file, the size of a block, struct loop_info64, reserved.
        config = struct.pack("II232x64x", self.file.fileno(), 0)
        device = os.open(f"/dev/loop{number}", os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
        try:
            fcntl.ioctl(device, self.CONFIGURE, config)
            with mmap.mmap(-1, self.BYTES) as buffer:
                os.preadv(device, [buffer], 0)
        finally:
            os.close(device)

    def _remove_one(self, number):
        with contextlib.suppress(OSError):
            device = os.open(f"/dev/loop{number}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.ioctl(device, self.CLEAR, 0)
            finally:
                os.close(device)
        # Somebody else may look at it for a moment.
        for _ in range(self.TRIES):
            with contextlib.suppress(OSError):
                fcntl.ioctl(self.control, self.REMOVE, number)
                return
            time.sleep(0.05)

    def close(self):
        """Signals wait until it is done."""
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        try:
            with ThreadPoolExecutor(self.AT_A_TIME) as pool:
                list(pool.map(self._remove_one, self.numbers))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(self.control)
        self.file.close()


def fork_into(group):
    """A child in a control group from its beginning: to move it there would wait for all CPUs."""
    # struct clone_args: flags CLONE_INTO_CGROUP, exit_signal, cgroup.
    arguments = struct.pack("Q24xQ40xQ", 0x200000000, signal.SIGCHLD, group)
    # Without letting go of the interpreter's lock.
    pid = ctypes.PyDLL(None, use_errno=True).syscall(SYS_CLONE3, arguments, len(arguments))
    if pid < 0:
        raise OSError(ctypes.get_errno(), f"clone3: {os.strerror(ctypes.get_errno())}")
    return pid


class Groups:
    """Control groups, in each of which a process has crashed."""

    def __init__(self, _lab):
        with open("/proc/mounts", encoding="utf-8") as file:
            trees = [line.split()[1] for line in file if line.split()[2] == "cgroup2"]
        if not trees:
            raise Missing("no cgroup2 is mounted")
        self.root = os.path.join(trees[0], f"tocsin-bench-{os.getpid()}")
        os.mkdir(self.root)
        self.count = 0
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def add(self, numbers):
        for number in numbers:
            self._add_one(number)

    def _add_one(self, number):
        path = os.path.join(self.root, str(number))
        os.mkdir(path)
        self.count += 1
        group = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        pid = fork_into(group)
        if not pid:
            os.kill(os.getpid(), signal.SIGSEGV)
            os._exit(1)
        os.close(group)
        status = os.waitpid(pid, 0)[1]
        if os.WTERMSIG(status) != signal.SIGSEGV:
            raise LabError(f"no process could crash in {path}")

    def close(self):
        for number in range(self.count):
            with contextlib.suppress(OSError):
                os.rmdir(os.path.join(self.root, str(number)))
        with contextlib.suppress(OSError):
            os.rmdir(self.root)


KINDS = {"peers": Peers, "devices": Devices, "control groups": Groups}


def add_up_to(size, some, there, note):
    """Some more, until there are as many."""
    deadline = time.monotonic() + MAKE_SECONDS
    for first in range(there, size, AT_A_TIME):
        if time.monotonic() > deadline:
            raise Missing(f"only {first} could be made within {MAKE_SECONDS} s")
        note(first)
        some.add(range(first, min(first + AT_A_TIME, size)))


def figures(lab, seconds):
    agent = Server(lab, "n1", lab.agents["n1"].pid, AGENT_PORT)
    if lab.dead_agents():
        raise LabError(lab.dead_agents()[0])
    time.sleep(SETTLE_SECONDS)
    cpu, begin = cpu_seconds(agent.pid), time.monotonic()
    time.sleep(seconds)
    percent = 100 * (cpu_seconds(agent.pid) - cpu) / (time.monotonic() - begin)
    for _ in range(SCRAPES):
        # An answer is given again for as long as it took to make.
        time.sleep(0.1)
        agent.scrape()
    return {
        "resident, MiB": status_mib(agent.pid, "VmRSS"),
        "BPF, MiB": bpf_mib(agent.pid),
        "CPU, %": percent,
        "scrape, ms": statistics.median(agent.milliseconds),
        "series": agent.series(),
    }


def measure(report, build, name, seconds):
    """{size: figures}, and why there are not all."""
    found = {}
    with Lab(2, build, EXTRA, members=False) as lab:
        lab.start_agents(["n1"])
        Server(lab, "n1", lab.agents["n1"].pid, AGENT_PORT).wait_answer()
        try:
            with contextlib.closing(KINDS[name](lab)) as some:
                there = 0
                for size in SIZES:
                    add_up_to(size, some, there, lambda n: report.note(f"growth: {n} {name}"))
                    there = size
                    found[size] = figures(lab, seconds)
        except (Missing, OSError) as error:
            return found, str(error)
    return found, ""


def rows_of(name, found, why, seconds):
    """The last size beside the one before: memory and CPU at most as many times more, series no more."""
    last, before = SIZES[-1], SIZES[-2]
    limits = {"resident, MiB": last / before, "BPF, MiB": last / before, "CPU, %": last / before,
              "series": SERIES_SLACK}
    for column, limit in limits.items():
        figure, _, unit = column.partition(", ")
        row = Row(
            f"{figure} with {last:,} {name}", f"GROWTH_SECONDS={seconds} tests/bench/run build growth",
            unit, peer=f"with {before:,}", limit=limit, why=why,
        )
        if not why:
            row = row._replace(ours=(found[last][column],), theirs=(found[before][column],))
        yield row


def section(report, build, seconds):
    report.section("Growth")
    report.say(
        "One agent, and more and more remote addresses with a connection, or disks of which something was"
        f" read, or control groups in which a process crashed. CPU over {seconds} s in which they are idle, in % of a"
        " core; the scrape is the median of"
        f" {SCRAPES}. Of the limits that an agent has by default only `tcp.max_peers` is raised, to {1 << 14}."
    )
    report.say()
    rows = []
    for name in KINDS:
        found, why = measure(report, build, name, seconds)
        report.note("")
        columns = list(next(iter(found.values()), {}))
        report.table(
            [name, *columns],
            [[f"{size:,}", *(f"{row[c]:.{0 if c == 'series' else 2}f}" for c in columns)]
             for size, row in found.items()],
        )
        rows += rows_of(name, found, why, seconds)
    report.rows(rows)
