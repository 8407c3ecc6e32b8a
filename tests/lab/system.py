# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Commands, processes, signals and namespaces: what the lab needs of the system."""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
NAMESPACES = "/run/netns"
CLONE_NEWNET = 0x40000000
COMMAND_SECONDS = 20

_libc = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    """What went wrong, in one line for a person."""


def require_root():
    """Ends the program with one clear line where a lab cannot be built."""
    program = os.path.basename(sys.argv[0])
    if os.geteuid() != 0:
        sys.exit(f"{program}: needs root, to make network namespaces; run it with sudo")
    for tool, package in (("ip", "iproute2"), ("nft", "nftables"), ("setpriv", "util-linux")):
        if shutil.which(tool) is None:
            sys.exit(f"{program}: '{tool}' is missing; install the package {package}")


def exit_on_signals(deadline_s=0):
    """SIGTERM, SIGHUP and a deadline end the program through its context managers, like ^C does."""

    def leave(number, _frame):
        if number == signal.SIGALRM:
            sys.stderr.write(f"gave up: not done within {deadline_s} s\n")
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, leave)
    signal.alarm(deadline_s)


def run(arguments, text=None, check=True):
    """Runs a command to its end, bounded in time; returns the completed process."""
    try:
        done = subprocess.run(
            arguments, input=text, capture_output=True, text=True, timeout=COMMAND_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"{' '.join(arguments)}: still running after {COMMAND_SECONDS} s") from None
    if check and done.returncode != 0:
        raise LabError(f"{' '.join(arguments)}: exit {done.returncode}: {done.stderr.strip()}")
    return done


def start_time(pid):
    """When a process was started, in clock ticks: tells it from a later one of the same number."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


@contextlib.contextmanager
def inside(namespace):
    """Sockets that this thread makes meanwhile belong to the namespace, for good."""

    def enter(fd):
        if _libc.setns(fd, CLONE_NEWNET) != 0:
            raise OSError(
                ctypes.get_errno(), f"setns {namespace}: {os.strerror(ctypes.get_errno())}"
            )

    back = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(os.path.join(NAMESPACES, namespace), os.O_RDONLY | os.O_CLOEXEC)
        try:
            enter(there)
            try:
                yield
            finally:
                enter(back)
        finally:
            os.close(there)
    finally:
        os.close(back)
