# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A root file system in memory: programs with the libraries they need, and modules."""

import lzma
import os
import re
import shutil
import stat
import subprocess

FIELDS = 13  # of a header of the "newc" format, 8 hexadecimal digits each after the magic number


class Initramfs:
    """What is added, as an archive that the kernel unpacks (newc, see cpio(5))."""

    def __init__(self, root, triplet):
        """Programs and libraries are those of this root."""
        self.root = root.rstrip("/")
        self.libraries = [f"/lib/{triplet}", f"/usr/lib/{triplet}"]
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

    def file(self, source, path):
        with open(source, "rb") as file:
            self.data(path, file.read(), os.stat(source).st_mode & 0o777)

    def program(self, source, path):
        """With its loader and libraries, which have the same places as in the root."""
        if path.strip("/") in self.entries:
            return
        self.file(source, path)
        read = subprocess.run(["readelf", "-ld", source], capture_output=True, text=True, check=True)
        for loader in re.findall(r"interpreter: (/[^\]]+)", read.stdout):
            self.file(self.root + loader, loader)
        for name in re.findall(r"\(NEEDED\).*\[(.+)\]", read.stdout):
            self.library(name)

    def library(self, name):
        for directory in self.libraries:
            if os.path.exists(f"{self.root}{directory}/{name}"):
                self.program(f"{self.root}{directory}/{name}", f"{directory}/{name}")
                return
        raise FileNotFoundError(name)

    def tool(self, name):
        directories = [f"{self.root}/{part}" for part in ("usr/bin", "usr/sbin", "bin", "sbin")]
        found = shutil.which(name, path=":".join(directories))
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
