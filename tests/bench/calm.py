# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Whether a node with plenty to do, but well, is said to have anything: it must not."""

import contextlib
import glob
import os
import shutil
import subprocess
import tempfile
import threading
import time

from agent import Agent, CONFIG
from lab import Lab
from system import HERE as LAB_HERE
from system import LabError

BUSY_PERCENT = 70
DISK_IOPS = 300
NETWORK_MBIT = 100
SOURCES = os.path.join(LAB_HERE, "..", "..", "user")


def busy_and_all():
    with open("/proc/stat", encoding="ascii") as file:
        times = [int(value) for value in file.readline().split()[1:9]]
    return sum(times) - times[3] - times[4], sum(times)


class Builds:
    """The agent's own sources are compiled, as many at a time as there are CPUs, but only while the
    machine is less busy than it may be."""

    def __init__(self, directory):
        self.sources = sorted(glob.glob(f"{SOURCES}/base/*.c"))
        self.directory = directory
        self.compiled = 0
        self.failed = None
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(i,)) for i in range(os.cpu_count())]
        self.start = self.last = busy_and_all()
        for thread in self.threads:
            thread.start()

    def percent(self, since):
        now = busy_and_all()
        return 100 * (now[0] - since[0]) / max(1, now[1] - since[1])

    def _run(self, number):
        output = os.path.join(self.directory, f"{number}.o")
        while not self.ended.wait(0.05):
            if self.percent(self.start) >= BUSY_PERCENT:
                continue
            source = self.sources[(self.compiled + number) % len(self.sources)]
            includes = [f"-I{SOURCES}", f"-I{SOURCES}/.."]
            done = subprocess.run(
                ["cc", "-std=gnu11", "-O2", "-D_GNU_SOURCE", *includes, "-c", source, "-o", output],
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
            if done.returncode:
                self.failed = done.stderr
                return
            self.compiled += 1

    def close(self):
        self.ended.set()
        for thread in self.threads:
            thread.join()


def fio(directory, seconds):
    return subprocess.Popen(
        ["fio", "--name=mixed", f"--directory={directory}", "--size=256m", "--rw=randrw", "--bs=4k",
         "--ioengine=libaio", "--iodepth=4", "--direct=1", "--time_based", f"--runtime={seconds}",
         f"--rate_iops={DISK_IOPS}", "--output=/dev/null"],
        stdin=subprocess.DEVNULL,
    )


def iperf3(lab, seconds):
    server = subprocess.Popen(
        lab.command("n2", ["iperf3", "-s", "-1"]), stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )
    time.sleep(1)
    client = subprocess.Popen(
        lab.command("n1", ["iperf3", "-c", lab.address("n2"), "-t", str(seconds), "-b",
                           f"{NETWORK_MBIT}M"]),
        stdout=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    return [server, client]


def section(report, build, seconds):
    report.section("Calm")
    for program in ("fio", "iperf3", "cc"):
        if not shutil.which(program):
            raise LabError(f"'{program}' is missing; scripts/install-deps bench installs it")
    found = []
    with contextlib.ExitStack() as parts:
        directory = parts.enter_context(tempfile.TemporaryDirectory(prefix="tocsin-", dir="/var/tmp"))
        lab = parts.enter_context(Lab(2, build))
        agent = Agent(build, directory, CONFIG)
        parts.callback(agent.close)
        processes = [fio(directory, seconds), *iperf3(lab, seconds)]
        for process in processes:
            parts.callback(process.wait)
            parts.callback(process.kill)
        builds = Builds(directory)
        parts.callback(builds.close)
        agent.wait(
            seconds,
            lambda said: False,
            lambda said: found.append(said) if said.get("event") == "finding" else None,
        )
        percent = builds.percent(builds.start)
        alive = processes[0].poll() in (None, 0) and processes[2].poll() in (None, 0)
        compiled = builds.compiled
        if builds.failed:
            raise LabError(f"a source does not compile: {builds.failed.splitlines()[0]}")
    report.say(
        f"One agent with the default rules, {seconds} s of fio (random reads and writes of 4 KiB,"
        f" {DISK_IOPS} of each a second), iperf3 ({NETWORK_MBIT} Mbit/s) and compilers ({compiled} files), all"
        f" together {percent:.0f} % of the CPUs."
    )
    report.say()
    for said in found:
        report.say(f"- {said['finding']} {said['subject']}: {said['sentence']}")
    report.target("fio and iperf3 ran to the end", alive)
    report.target(f"{len(found)} findings, target 0", not found)
