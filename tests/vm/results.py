# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the tests in a machine came to, and the table of it."""

import json
import re
from dataclasses import dataclass


# How doctor says of what works that something of it is lost.
LOST = re.compile(r"\bdoes not tell\b|^without |; without ")


@dataclass(frozen=True)
class Outcome:
    """Of one test: its exit code, None when it did not end, how long it took and what it printed."""

    code: int | None
    seconds: int
    output: str

    def counts(self):
        """Passed, failed, skipped; a test that prints no TAP is one by its exit code."""
        found = re.findall(r"(not ok|ok) \d+ (?:- .*|(# SKIP).*)$", self.output, re.M)
        skipped = sum(bool(skip) for _, skip in found)
        failed = sum(word == "not ok" and not skip for word, skip in found)
        passed = len(found) - skipped - failed
        if not found:
            passed = int(self.code == 0)
        return passed, failed or int(self.code != 0), skipped

    def cell(self):
        passed, failed, skipped = self.counts()
        if self.code is None:
            return "**did not end**"
        if failed:
            return f"**failed** ({failed} of {passed + failed})"
        return "ok" + (f" {passed}" if passed > 1 else "") + (f", {skipped} skipped" if skipped else "")


def outcomes_of(said):
    """{test: outcome}, of what tests/vm/init prints."""
    found = {}
    for match in re.finditer(r"^begin (\S+)\n(.*?)(?:^end \1 (\d+) (\d+)$|\Z)", said, re.M | re.S):
        code = int(match[3]) if match[3] else None
        found[match[1]] = Outcome(code, int(match[4] or 0), match[2])
    return found


def lost_on(outcomes):
    """(probe, what of it is lost there), as doctor says it."""
    try:
        findings = json.loads(outcomes["doctor"].output)["findings"]
    except (ValueError, KeyError):
        return
    for one in findings:
        if one["usable"] == "no" or LOST.search(one["detail"]):
            yield one["name"], one["detail"]


def table(results, tests):
    """The lines of a table of {kernel: outcomes, or why there are none}, in markdown; a test a line."""
    lines = ["| | " + " | ".join(results) + " |", "|---" * (len(results) + 1) + "|"]
    for test in tests:
        cells = [
            found[test].cell() if isinstance(found, dict) and test in found else "**not run**"
            for found in results.values()
        ]
        lines.append(f"| {test} | " + " | ".join(cells) + " |")
    return lines


def losses(results):
    """The lines of what doctor says is lost, in markdown."""
    lines = []
    for kernel, found in results.items():
        if isinstance(found, dict):
            lines += ["", f"{kernel}:", ""]
            lines += [f"- {name}: {detail}" for name, detail in lost_on(found)]
    return lines
