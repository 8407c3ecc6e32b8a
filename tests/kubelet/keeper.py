# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Control groups, mounts and processes of a node on this machine, of which nothing stays, however the test ends."""

import contextlib
import ctypes
import glob
import os
import shutil
import signal
import sys
import time

from system import run

TREES = "/sys/fs/cgroup"
CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
CLEAR_SECONDS = 30

_libc = ctypes.CDLL(None, use_errno=True)


def leave_namespaces():
    """This process gets a network and mounts of its own; of its mounts nothing goes to the machine's."""
    if _libc.unshare(CLONE_NEWNS | CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"unshare: {os.strerror(ctypes.get_errno())}")
    run(["mount", "--make-rprivate", "/"])


def trees():
    """Where the trees of control groups are mounted: of v1 one a controller, of v2 one for all."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = [line.split() for line in file]
    return [fields[4] for fields in mounts if fields[fields.index("-") + 1] in ("cgroup", "cgroup2")]


def own_group():
    """A tree, and in it the directory of this process's group: of the controller of numbers of processes, or of v2."""
    where = {}
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        for line in file:
            _number, controller, path = line.rstrip("\n").split(":", 2)
            where[controller] = path
    for tree in trees():
        controller = os.path.basename(tree)
        if controller == ("pids" if "pids" in where else os.path.basename(TREES)):
            return tree, tree + where["pids" if "pids" in where else ""]
    raise OSError("neither a tree of 'pids' nor one of v2 is mounted")


def move(directory):
    with open(os.path.join(directory, "cgroup.procs"), "w", encoding="ascii") as file:
        file.write(str(os.getpid()))


class Groups:
    """A control group of one name in each tree."""

    def __init__(self, name):
        self.name, self.before = name, None
        self.directories = []
        for tree in trees():
            directory = os.path.join(tree, name)
            os.mkdir(directory)
            self.directories.append(directory)
            # What the tree of CPU sets demands of a group before a process may be in it.
            for item in ("cpuset.cpus", "cpuset.mems"):
                path = os.path.join(directory, item)
                if os.path.exists(path):
                    with open(os.path.join(tree, item), encoding="ascii") as above, open(path, "w", encoding="ascii") as file:
                        file.write(above.read())

    def enter(self):
        """This process, and what it starts, in one of the trees: so all that comes of it is found."""
        tree, self.before = own_group()
        (directory,) = [one for one in self.directories if os.path.dirname(one) == tree]
        os.mkdir(os.path.join(directory, "system"))
        move(os.path.join(directory, "system"))

    def leave(self):
        if self.before:
            move(self.before)

    def processes(self):
        found = set()
        for directory in self.directories:
            for path in glob.glob(f"{directory}/**/cgroup.procs", recursive=True):
                with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
                    found |= set(map(int, file.read().split()))
        return found

    def kill(self):
        """All that is in them, and what these make meanwhile. Returns whether nothing is left."""
        deadline = time.monotonic() + CLEAR_SECONDS
        while found := self.processes():
            if time.monotonic() > deadline:
                return False
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        return True

    def remove(self):
        for directory in self.directories:
            for below, _names, _files in os.walk(directory, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(below)


class Mounts:
    """Directories and files of one temporary directory in the place of the machine's."""

    def __init__(self, directory, places):
        self.directory, self.places = directory, places

    def put(self):
        for name, place in self.places.items():
            run(["mount", "--bind", os.path.join(self.directory, name), place])

    def share(self):
        """What is mounted from now on, others may see: systemd has it so on a node."""
        run(["mount", "--make-rshared", "/"])

    def remove(self):
        """Returns whether nothing is mounted below the directory, so that it may be removed."""
        for place in (*self.places.values(), self.directory):
            for point in reversed(mounted_below(place)):
                run(["umount", "--lazy", point], check=False)
        return not mounted_below(self.directory)


def mounted_below(directory):
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        points = [line.split()[4] for line in file]
    return [point for point in points if point.startswith(f"{directory}/")]


class Keeper:
    """A process that waits for the end of this one, also by SIGKILL, and then clears away after it."""

    def __init__(self, mounts, groups):
        end, self.hold = os.pipe()
        self.groups = groups
        self.pid = os.fork()
        if self.pid:
            os.close(end)
            return
        status = 1
        try:
            os.setsid()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
                signal.signal(number, signal.SIG_IGN)
            os.close(self.hold)
            os.read(end, 1)
            status = self.clear(mounts, groups)
        finally:
            os._exit(status)

    @staticmethod
    def clear(mounts, groups):
        if not groups.kill():
            sys.stderr.write(f"keeper: in the control groups {groups.name} processes do not die\n")
            return 1
        groups.remove()
        left = [one for one in groups.directories if os.path.exists(one)]
        if left:
            sys.stderr.write(f"keeper: cannot remove {' '.join(left)}\n")
        # Never what is mounted there.
        if not mounts.remove():
            sys.stderr.write(f"keeper: something is still mounted below {mounts.directory}\n")
            return 1
        shutil.rmtree(mounts.directory, ignore_errors=True)
        return 1 if left or os.path.exists(mounts.directory) else 0

    def end(self):
        self.groups.leave()
        os.close(self.hold)
        os.waitpid(self.pid, 0)
