# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Debian's kernels, downloaded with apt-get and unpacked, never installed."""

import glob
import os
import re
import shutil
import struct
import subprocess

from machine import ARCHITECTURES

# The suite that has it, and its architecture.
KERNELS = {
    "5.10": ("bullseye", "amd64"),
    "6.1": ("bookworm", "amd64"),
    "6.12": ("trixie", "amd64"),
    "newest": ("sid", "amd64"),
    "6.12-arm64": ("trixie", "arm64"),
}
PACKAGE = "linux-image-cloud-{}"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# Newer kernels come in parts.
PARTS = re.compile(r"linux-(?:image|binary|modules)(?:-unsigned)?-[0-9]\S*")


class Missing(Exception):
    """Why there is no such kernel here, in one line."""


def run_command(command, **options):
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, **options
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{command[0]}: {error}") from None
    if done.returncode:
        raise Missing(f"{' '.join(command[:2])}: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return done.stdout


class Suite:
    """One suite of the archive that this machine's apt uses, with lists of its own."""

    def __init__(self, name, architecture, directory, kinds=("deb",)):
        self.name, self.architecture = name, architecture
        self.kinds = kinds  # of packages: deb, deb-src
        self.directory = os.path.abspath(os.path.join(directory, f"apt-{name}-{architecture}"))

    def _options(self):
        settings = {
            "Dir::Etc::SourceList": f"{self.directory}/sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::State": f"{self.directory}/state",
            "Dir::State::Lists": f"{self.directory}/lists",
            "Dir::State::status": f"{self.directory}/status",
            "Dir::Cache": f"{self.directory}/cache",
            "Acquire::Languages": "none",
            "Acquire::Check-Valid-Until": "false",
            "APT::Sandbox::User": "root",
            "APT::Architecture": self.architecture,
            "APT::Architectures": self.architecture,
        }
        return [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]

    def update(self):
        sites = run_command(["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(COMPONENT)"])
        sites = [
            line.split()[0]
            for line in sites.splitlines()
            if line.endswith(" main") and not re.search(r"-security|-updates", line)
        ]
        if not sites:
            raise Missing("apt knows no Debian archive")
        for part in ("state", "lists/partial", "cache/archives/partial"):
            os.makedirs(os.path.join(self.directory, part), exist_ok=True)
        open(os.path.join(self.directory, "status"), "a", encoding="ascii").close()
        with open(os.path.join(self.directory, "sources.list"), "w", encoding="ascii") as file:
            for kind in self.kinds:
                file.write(f"{kind} [signed-by={KEYRING}] {sites[0]} {self.name} main\n")
        run_command(["apt-get", *self._options(), "update"])

    def depends(self, package):
        lines = run_command(["apt-cache", *self._options(), "depends", package])
        return re.findall(r"Depends: (\S+)", lines)

    def download_with_needs(self, packages):
        run_command(
            ["apt-get", *self._options(), "install", "--download-only", "--no-install-recommends", "-y", *packages]
        )

    def downloaded(self):
        return sorted(glob.glob(f"{self.directory}/cache/archives/*.deb"))

    def download(self, package, to):
        run_command(["apt-get", *self._options(), "download", package], cwd=to)

    def download_source(self, package, to):
        run_command(["apt-get", *self._options(), "source", "--download-only", "--only-source", package], cwd=to)


class Kernel:
    """An unpacked kernel: its image and its modules."""

    def __init__(self, root, architecture):
        self.architecture = ARCHITECTURES[architecture]
        found = glob.glob(f"{root}/lib/modules/*/kernel") + glob.glob(f"{root}/usr/lib/modules/*/kernel")
        if not found:
            raise Missing(f"no modules in {root}")
        self.modules = os.path.dirname(found[0])
        self.release = os.path.basename(self.modules)
        self.title = f"{self.release.partition('-cloud-')[0]} {architecture}"
        # Beside its modules since Debian 14.
        images = [f"{root}/boot/vmlinuz-{self.release}", f"{self.modules}/vmlinuz"]
        images = [image for image in images if os.path.exists(image)]
        if not images:
            raise Missing(f"no image of {self.release} in {root}")
        self.image = images[0]


# How a compressed kernel begins within its image, and what undoes it (scripts/extract-vmlinux of the
# kernel's sources looks in the same way).
COMPRESSIONS = (
    (b"\xfd7zXZ\x00", ["xz", "-dcq"]),
    (b"\x28\xb5\x2f\xfd", ["zstd", "-dcq"]),
    (b"\x02\x21\x4c\x18", ["lz4", "-dcq"]),
    (b"\x1f\x8b\x08", ["gzip", "-dcq"]),
)


def find_types(image):
    """The type information in an image that is not compressed, as that of arm64: its largest BTF."""
    found = b""
    for match in re.finditer(re.escape(struct.pack("<HBBI", 0xEB9F, 1, 0, 24)), image):
        strings, length = struct.unpack_from("<8x8xII", image, match.start())
        types = image[match.start() : match.start() + 24 + strings + length]
        found = max(found, types, key=len)
    return found


def write_vmlinux(kernel, path):
    """The kernel's ELF file, which has its type information, or that alone."""
    with open(kernel.image, "rb") as file:
        image = file.read()
    for magic, command in COMPRESSIONS:
        at = image.find(magic)
        while at >= 0:
            # What follows the compressed part is complained about, after all has been written.
            done = subprocess.run(
                command, input=image[at:], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
            )
            if done.stdout.startswith(b"\x7fELF"):
                with open(path, "wb") as file:
                    file.write(done.stdout)
                return
            at = image.find(magic, at + 1)
    types = find_types(image)
    if types:
        with open(path, "wb") as file:
            file.write(types)
        return
    raise Missing(f"{kernel.image}: no kernel is found in it")


def unpack(name, directory):
    """The kernel of this name, downloaded unless it is there from an earlier time."""
    root = os.path.join(directory, name)
    done = os.path.join(root, ".unpacked")
    suite_name, architecture = KERNELS[name]
    if os.path.exists(done):
        return Kernel(root, architecture)
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(root)
    suite = Suite(suite_name, architecture, directory)
    suite.update()
    package = PACKAGE.format(architecture)
    images = [p for p in suite.depends(package) if PARTS.fullmatch(p)]
    if not images:
        raise Missing(f"{suite.name} has no {package}")
    parts = images + [p for image in images for p in suite.depends(image) if PARTS.fullmatch(p)]
    for part in parts:
        suite.download(part, root)
    for package in glob.glob(f"{root}/*.deb"):
        run_command(["dpkg-deb", "-x", package, root])
        os.unlink(package)
    kernel = Kernel(root, architecture)
    open(done, "w", encoding="ascii").close()
    return kernel
