# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A root file system in memory: programs of this machine with the libraries they need, and modules."""

import lzma
import os
import re
import shutil
import stat
import subprocess

FIELDS = 13  # of a header of the "newc" format, 8 hexadecimal digits each after the magic number


class Initramfs:
    """What is added, as an archive that the kernel unpacks (newc, see cpio(5))."""

    def __init__(self):
        self.entries = {}  # path: (mode, bytes)

    def directory(self, path):
        path = path.strip("/")
        if path and path not in self.entries:
            self.directory(os.path.dirname(path))
            self.entries[path] = (stat.S_IFDIR | 0o755, b"")

    def link(self, path, target):
        self.directory(os.path.dirname(path))
        self.entries[path.strip("/")] = (stat.S_IFLNK | 0o777, target.encode())

    def data(self, path, contents, mode=0o644):
        self.directory(os.path.dirname(path))
        self.entries[path.strip("/")] = (stat.S_IFREG | mode, contents)

    def file(self, source, path=None):
        with open(source, "rb") as file:
            self.data(path or source, file.read(), os.stat(source).st_mode & 0o777)

    def program(self, source, path=None):
        """With its loader and libraries, at the same places as here."""
        path = path or source
        if path.strip("/") in self.entries:
            return
        self.file(os.path.realpath(source), path)
        done = subprocess.run(["ldd", source], capture_output=True, text=True, check=False)
        for library in re.findall(r"(/\S+) \(0x", done.stdout):
            if library.strip("/") not in self.entries:
                self.file(os.path.realpath(library), library)

    def tool(self, name):
        found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if not found:
            raise FileNotFoundError(name)
        self.program(found, f"/usr/bin/{name}")

    def write(self, path):
        with open(path, "wb") as file:
            for number, (name, (mode, contents)) in enumerate(self.entries.items(), 1):
                self._member(file, number, name, mode, contents)
            self._member(file, 0, "TRAILER!!!", 0, b"")

    @staticmethod
    def _member(file, number, name, mode, contents):
        encoded = name.encode() + b"\0"
        fields = [number, mode, 0, 0, 1, 0, len(contents), 0, 0, 0, 0, len(encoded), 0]
        assert len(fields) == FIELDS
        header = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        file.write(header + b"\0" * (-len(header) % 4))
        file.write(contents + b"\0" * (-len(contents) % 4))


def module_order(modules, wanted):
    """The files of these modules and of all that they need, in the order in which they load.

    Those that this kernel does not have (built in, or not at all) are left out.
    """
    files = {}
    for directory, _, names in os.walk(modules):
        for name in names:
            match = re.fullmatch(r"(.+?)\.ko(\.xz|\.zst|\.gz)?", name)
            if match:
                files[match[1].replace("-", "_")] = os.path.join(directory, name)
    order = []

    def add(name):
        name = name.replace("-", "_")
        if name not in files or files[name] in order:
            return
        done = subprocess.run(
            ["modinfo", "-F", "depends", files[name]], capture_output=True, text=True, check=True
        )
        for needed in filter(None, done.stdout.strip().split(",")):
            add(needed)
        order.append(files[name])

    for name in wanted:
        add(name)
    return order


def module_contents(path):
    if path.endswith(".xz"):
        with lzma.open(path) as file:
            return file.read()
    if path.endswith((".zst", ".gz")):
        unpack = ["zstd", "-dcq"] if path.endswith(".zst") else ["gzip", "-dc"]
        return subprocess.run([*unpack, path], stdout=subprocess.PIPE, check=True).stdout
    with open(path, "rb") as file:
        return file.read()
