# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The bench's report: markdown lines as they come, section by section, figures beside their peers', the
machine, and whether a target was missed."""

import itertools
import math
import os
import platform
import re
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

SIGNS = (
    "<!-- SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause -->\n"
    "<!-- Written by tests/bench/run. -->"
)
HEAD = "When, where and by which command it was measured stands in each section."
RATIOS = (
    "Ours over the peer's, of the same run and in turn with it: median (least to most) of the rounds."
    " What is missed is left so. The commands stand in the sections below."
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
        self.parts = {}  # lines of each section, by its name
        self.lines = []  # of the one that is being measured
        self.command = ""  # what measures it
        self.missed = 0
        self.directory = directory  # of the notes on sections

    def begin(self, name, command):
        """What is said from here on is of this section."""
        self.lines = self.parts[name] = []
        self.command = command

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
        when = time.strftime("%Y-%m-%d %H:%M %Z")
        self.say(f"Measured {when} by `{self.command}`; {'; '.join(machine())}.")
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

    def target(self, text, met):
        self.missed += not met
        self.say(f"- {text}: {'met' if met else '**MISSED**'}")

    def table(self, header, rows):
        for line in table_lines(header, rows):
            self.say(line)

    def write(self, path, title, order):
        """
        Into the file, in the order of the sections' names: what was measured now, and what stands in it of those
        that were not. The file is as it was, or all of the report.
        """
        parts = written_parts(path) | {name: "\n".join(lines).strip() for name, lines in self.parts.items()}
        texts = [f"{marker(name)}\n{parts[name]}" for name in order if name in parts]
        head = f"{SIGNS}\n# {title}\n\n{HEAD}\n\n"
        temporary = f"{path}.new"
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(head + summary(texts) + "\n\n".join(texts) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)


def marker(name):
    return f"<!-- section {name} -->"


def written_parts(path):
    """The text of each section of a report, by its name; none where there is no report yet."""
    try:
        with open(path, encoding="utf-8") as file:
            _, *rest = re.split(marker(r"(\S+)"), file.read())
    except FileNotFoundError:
        return {}
    return {name: text.strip() for name, text in zip(rest[::2], rest[1::2])}


def summary(texts):
    """All ratios of the sections, for the head of a document; nothing where there are none."""
    header = table_lines(ROW_COLUMNS, [])[:2]
    rows = []
    for text in texts:
        for table in text.split("\n".join(header) + "\n")[1:]:
            rows += itertools.takewhile(lambda line: line.startswith("|"), table.split("\n"))
    if not rows:
        return ""
    return "\n".join(["## Ratios first", "", RATIOS, "", *header, *rows, "", ""])


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


def machine():
    """What the figures were measured on."""
    model = "unknown CPU"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith(("model name", "Model", "cpu model")):
                model = line.partition(":")[2].strip()
                break
    with open("/proc/meminfo", encoding="utf-8") as file:
        memory_gib = int(file.readline().split()[1]) / (1 << 20)
    return [
        f"{model}, {os.cpu_count()} cores, {memory_gib:.1f} GiB",
        f"kernel {platform.release()} {platform.machine()}, {distribution()}",
        ", ".join(versions()),
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
