# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Who takes part in a comparison: the agent, its peers, and the loads that both are put under."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from agent import Agent
from system import LabError

# All that the programs may see, and nothing is given up, however much it costs.
CONFIG = """
node: bench
state_dir: {directory}/state
log: {{format: json}}
tcp: {{loopback: true}}
budget: {{cpu_percent: 100}}
"""
ATTACH_SECONDS = 20
DISK_BYTES = 64 << 20
# Tools look for tracepoints in file systems that need not be mounted: in a mount namespace of their own.
TRACEPOINTS = (
    "unshare", "--mount", "sh", "-c",
    'mount -t debugfs none /sys/kernel/debug && mount -t tracefs none /sys/kernel/tracing; exec "$@"',
    "sh",
)


class Missing(Exception):
    """Why a row is not measured."""


def programs_of(pid):
    """{program: (tracepoint or None, ns, runs)} of the BPF programs that a process holds. There are times
    only while the kernel takes them."""
    tracepoints, runs = {}, {}
    for name in os.listdir(f"/proc/{pid}/fdinfo"):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/fdinfo/{name}", encoding="utf-8") as file:
                fields = dict(re.findall(r"^(\w+):\s*(.*)$", file.read(), re.M))
            program = fields.get("prog_id")
            if "run_cnt" in fields:
                runs[program] = (int(fields["run_time_ns"]), int(fields["run_cnt"]))
            elif "tp_name" in fields:
                tracepoints[program] = fields["tp_name"]
    return {program: (tracepoints.get(program), *values) for program, values in runs.items()}


def wait_until(done, seconds, what):
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not within {seconds} s")
        time.sleep(0.01)


class Process:
    """A program that goes on until it is told to end. 'name' stands in errors."""

    def __init__(self, name, argv, around=(), **options):
        if not shutil.which(argv[0]):
            raise Missing(f"{argv[0]} is missing; scripts/install-deps bench installs it")
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **options}
        self.name = name
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *around, *argv], stderr=self.errors, **options
        )
        self.pid = self.process.pid

    def check_alive(self):
        if self.process.poll() is not None:
            self.errors.seek(0)
            last = self.errors.read().strip().rpartition("\n")[2]
            raise Missing(f"{self.name} ended with {self.process.returncode}: {last[:200]}")

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for file in (self.errors, self.process.stdin, self.process.stdout):
            if file:
                file.close()


class Peer(Process):
    """A tool that attaches BPF programs of its own: so many."""

    def __init__(self, name, argv, programs):
        super().__init__(name, argv, around=TRACEPOINTS)

        def attached():
            self.check_alive()
            with contextlib.suppress(FileNotFoundError):
                return len(programs_of(self.pid)) >= programs
            return False

        try:
            wait_until(attached, ATTACH_SECONDS, f"{name} attaches {programs} programs")
        except BaseException:
            self.close()
            raise


class Empty(Process):
    """Programs that do nothing. The kernel takes the time of all programs while there are any."""

    def __init__(self, build, tracepoints):
        path = os.path.join(build, "tests", "bench", "empty_programs")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        super().__init__("the empty programs", [path, *tracepoints], **pipes)
        if self.process.stdout.readline().strip() != b"ready":
            self.check_alive()

    def close(self):
        self.process.stdin.close()
        self.process.stdin = None
        super().close()


class OurAgent:
    """The agent with all that it has, as long as it is wanted."""

    def __init__(self, build):
        self.directory = tempfile.TemporaryDirectory(prefix="tocsin-")
        try:
            self.agent = Agent(build, self.directory.name, CONFIG)
        except BaseException:
            self.directory.cleanup()
            raise
        self.pid = self.agent.process.pid

    def close(self):
        self.agent.close()
        self.directory.cleanup()


class Disk:
    """A loop device over memory."""

    def __init__(self):
        self.file = tempfile.NamedTemporaryFile(prefix="tocsin-", dir="/dev/shm")
        self.file.truncate(DISK_BYTES)
        command = ["losetup", "--find", "--show", self.file.name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            self.file.close()
            raise Missing("losetup finds no loop device")
        self.path = done.stdout.strip()

    def close(self):
        subprocess.run(["losetup", "--detach", self.path], check=False)
        self.file.close()


def fio_command(disk, seconds):
    return [
        "fio", "--name=reads", f"--filename={disk.path}", "--rw=randread", "--bs=4k", "--direct=1",
        "--ioengine=psync", "--time_based", f"--runtime={seconds}", "--output-format=json",
    ]


def load_command(build, kind, seconds):
    """In a network namespace of its own, which has a loopback and nothing else."""
    binary = os.path.join(build, "tests", "bench", "load")
    script = f"ip link set lo up && exec {binary} {kind} {seconds}"
    return ["unshare", "--net", "sh", "-c", script]
