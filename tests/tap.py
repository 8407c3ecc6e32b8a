# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The tests of a program in Python, told as TAP."""

import traceback


def find(names):
    """Those of a module's names that are tests, in their order."""
    return [(name, value) for name, value in names.items() if name.startswith("test_")]


def run(tests, *arguments):
    """Runs (name, function) in turn, each with the arguments; returns the program's exit status."""
    print(f"1..{len(tests)}", flush=True)
    failed = 0
    for number, (name, test) in enumerate(tests, 1):
        try:
            test(*arguments)
            print(f"ok {number} - {name}", flush=True)
        except Exception as error:  # One broken test must not hide the others.
            failed += 1
            said = str(error) if isinstance(error, AssertionError) and str(error) else traceback.format_exc()
            print("\n".join(f"# {line}" for line in said.splitlines()))
            print(f"not ok {number} - {name}", flush=True)
    return 1 if failed else 0
