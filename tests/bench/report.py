# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The bench's report: markdown lines as they come, figures beside their peers', the machine, and
whether a target was missed."""

import math
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from typing import NamedTuple

# Whose figures stand beside ours, and what the project itself is built with.
PACKAGES = (
    "libbpf-tools", "bpftrace", "prometheus-node-exporter", "etcd-server", "fio", "libbpf1", "clang"
)


class Row(NamedTuple):
    """One figure in the rounds of a run; with a peer, its figure in the same rounds."""

    what: str
    command: str  # what measured it
    unit: str
    ours: tuple = ()
    peer: str = "none"
    theirs: tuple = ()
    # Of ours over the peer's; of ours itself where there is no peer. None: only printed.
    limit: float | None = None
    more: bool = False  # is better: the limit is the least, not the most
    why: str = ""  # it was not measured

    def ratios(self):
        return [ours / theirs for ours, theirs in zip(self.ours, self.theirs) if theirs]

    def judged(self):
        """The values that are held against the limit."""
        return self.ratios() if self.theirs else self.ours

    def met(self):
        """None where nothing is held against a limit."""
        values = self.judged()
        if self.limit is None or not values:
            return None
        middle = statistics.median(values)
        return middle >= self.limit if self.more else middle <= self.limit

    def target(self):
        if self.limit is None:
            return "-"
        unit = "" if self.theirs or self.peer != "none" else f" {self.unit}"
        return f"at {'least' if self.more else 'most'} {self.limit:.3g}{unit}"

    def result(self):
        if self.why:
            return "not measured"
        return {None: "-", True: "met", False: "**MISSED**"}[self.met()]


ROW_COLUMNS = ("what", "ratio", "target", "result", "ours", "peer", "peer's")


class Report:
    def __init__(self, directory=None):
        self.lines = []
        self.missed = 0
        self.all_rows = []
        self.head = 0  # so many lines are about the machine
        self.directory = directory  # of the notes on sections

    def say(self, text=""):
        self.lines.append(text)
        print(text, flush=True)

    def note(self, text):
        """Progress, for whoever waits; no part of the report."""
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\033[K{text}")
            sys.stderr.flush()

    def explain(self, text):
        """What helps to find the reason of a figure; no part of the report."""
        print(text, file=sys.stderr, flush=True)

    def section(self, title):
        self.note("")
        self.say()
        self.say(f"## {title}")
        self.say()

    def notes(self, name):
        """What a person has to say of a section, whatever its figures are."""
        path = os.path.join(self.directory, "notes", f"{name}.md")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                self.say()
                self.say(file.read().rstrip())

    def rows(self, rows):
        """Figures beside their peers', and what measured them. Counts what is missed."""
        self.note("")
        self.table(ROW_COLUMNS, [row_cells(row) for row in rows])
        commands = {}
        for row in rows:
            commands.setdefault(row.command, []).append(row.what)
            self.missed += row.met() is False
        for command, what in commands.items():
            self.say(f"- `{command}`: {'; '.join(what)}")
        for row in rows:
            if row.why:
                self.say(f"- {row.what}: not measured: {row.why}")
        self.all_rows += rows

    def target(self, text, met):
        self.missed += not met
        self.say(f"- {text}: {'met' if met else '**MISSED**'}")

    def table(self, header, rows):
        for line in table_lines(header, rows):
            self.say(line)

    def machine(self, title, command):
        model = "unknown"
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith(("model name", "Model", "cpu model")):
                    model = line.partition(":")[2].strip()
                    break
        with open("/proc/meminfo", encoding="utf-8") as file:
            memory_gib = int(file.readline().split()[1]) / (1 << 20)
        self.say(f"# {title}")
        self.say()
        self.say(f"Measured {time.strftime('%Y-%m-%d %H:%M %Z')} by `{command}`.")
        self.say()
        self.say(f"- CPU: {model}, {os.cpu_count()} cores, {memory_gib:.1f} GiB")
        self.say(f"- kernel: {platform.release()} {platform.machine()}, {distribution()}")
        self.say(f"- versions: {', '.join(versions())}")
        self.head = len(self.lines)

    def summary(self):
        """All ratios, for the head of a document."""
        if not self.all_rows:
            return []
        return [
            "",
            "## Ratios first",
            "",
            "Ours over the peer's, of the same run and in turn with it: median (least to most) of the rounds."
            " What is missed is left so. The commands stand in the sections below.",
            "",
            *table_lines(ROW_COLUMNS, [row_cells(row) for row in self.all_rows])[:-1],
        ]

    def write(self, path):
        """The file is as it was, or all of the report."""
        lines = self.lines[: self.head] + self.summary() + self.lines[self.head :]
        temporary = f"{path}.new"
        with open(temporary, "w", encoding="utf-8") as file:
            file.write("<!-- SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause -->\n")
            file.write("<!-- Written by tests/bench/run. -->\n")
            file.write("\n".join(lines).rstrip("\n") + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)


def table_lines(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows] + [""]


def figure(value):
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def spread(values, form=figure):
    """Median (least to most)."""
    if not values:
        return "-"
    middle, least, most = (form(f(values)) for f in (statistics.median, min, max))
    return middle if least == most else f"{middle} ({least} to {most})"


def row_cells(row):
    def with_unit(values):
        return f"{spread(values)} {row.unit}" if values else "-"

    ratio = spread(row.ratios(), lambda value: f"{value:.3f}")
    return [
        row.what, ratio if row.theirs else "-", row.target(), row.result(), with_unit(row.ours),
        row.peer, with_unit(row.theirs),
    ]


def versions():
    """Of the packages that matter to the figures, where dpkg knows them."""
    if not shutil.which("dpkg-query"):
        return ["unknown: no dpkg here"]
    command = ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *PACKAGES]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return [line for line in done.stdout.splitlines() if not line.endswith(" ")]


def distribution():
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown distribution")
    except OSError:
        return "unknown distribution"


def quantile(values, share):
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]
