# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The bench's report: markdown lines as they come, the machine, and whether a target was missed."""

import math
import os
import platform
import sys
import time


class Report:
    def __init__(self):
        self.lines = []
        self.missed = 0

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

    def target(self, text, met):
        self.missed += not met
        self.say(f"- {text}: {'met' if met else '**MISSED**'}")

    def table(self, header, rows):
        self.say("| " + " | ".join(header) + " |")
        self.say("|---" * len(header) + "|")
        for row in rows:
            self.say("| " + " | ".join(str(cell) for cell in row) + " |")
        self.say()

    def machine(self, command):
        model = "unknown"
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith(("model name", "Model", "cpu model")):
                    model = line.partition(":")[2].strip()
                    break
        with open("/proc/meminfo", encoding="utf-8") as file:
            memory_gib = int(file.readline().split()[1]) / (1 << 20)
        self.say("# Performance")
        self.say()
        self.say(f"Measured {time.strftime('%Y-%m-%d %H:%M %Z')} by `{command}`.")
        self.say()
        self.say(f"- CPU: {model}, {os.cpu_count()} cores, {memory_gib:.1f} GiB")
        self.say(f"- kernel: {platform.release()} {platform.machine()}, {distribution()}")

    def write(self, path):
        with open(path, "w", encoding="utf-8") as file:
            file.write("<!-- SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause -->\n")
            file.write("\n".join(self.lines) + "\n")


def distribution():
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown distribution")
    except OSError:
        return "unknown distribution"


def quantile(values, share):
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]
