# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A virtual machine that runs a kernel and a root file system to its end."""

import os
import re
import subprocess
from dataclasses import dataclass

CPUS = 2  # some tests need them; they mostly wait
MEMORY_MIB = 2048
TRY_SECONDS = 30  # in which a machine with KVM is up
# In one thread: with one for each CPU, a CPU may still run into the breakpoint of a kernel that has
# finished changing its code there (seen as a panic of 7.2).
TRANSLATED = "tcg,thread=single"
RELEASE = re.compile(r"^kernel (\S+)$", re.M)


@dataclass(frozen=True)
class Architecture:
    """Of a machine, by Debian's name; 'results' is the serial port of tests/vm/init, and 'port' what
    makes it."""

    name: str
    emulator: tuple
    console: str
    results: str
    port: tuple
    triplet: str

    def is_native(self):
        return os.uname().machine == self.triplet.split("-", maxsplit=1)[0]


ARCHITECTURES = {
    "amd64": Architecture(
        "amd64", ("qemu-system-x86_64", "-cpu", "max"), "ttyS0", "ttyS1",
        ("-serial", "chardev:results"), "x86_64-linux-gnu",
    ),
    "arm64": Architecture(
        # Authentication of pointers as the architecture has it is dear to translate.
        "arm64", ("qemu-system-aarch64", "-machine", "virt", "-cpu", "max,pauth-impdef=on"),
        "ttyAMA0", "ttyS0",
        ("-device", "pci-serial,chardev=results"), "aarch64-linux-gnu",
    ),
}


def boot(architecture, image, root, acceleration, seconds, parameter=""):
    """Runs the machine to its end; returns what it said on the results' port, and its console."""
    results, console = f"{root}.results", f"{root}.console"
    for path in (results, console):
        open(path, "w", encoding="ascii").close()
    # The machines hold nothing to be spied on, and the guards cost much where code is translated.
    line = f"console={architecture.console} quiet loglevel=4 panic=-1 mitigations=off rdinit=/init {parameter}"
    command = [
        *architecture.emulator, "-accel", acceleration, "-smp", str(CPUS), "-m", str(MEMORY_MIB),
        "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-kernel", image, "-initrd", root, "-append", line,
        "-serial", f"file:{console}", "-chardev", f"file,id=results,path={results}", *architecture.port,
    ]
    try:
        subprocess.run(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        pass
    with open(results, encoding="utf-8", errors="replace") as file:
        said = file.read().replace("\r", "")
    with open(console, encoding="utf-8", errors="replace") as file:
        return said, file.read()


def find_acceleration(architecture, image, root):
    """There may be a device for KVM, and yet no machine comes up with it: only trying tells."""
    if not architecture.is_native() or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return TRANSLATED
    said, _ = boot(architecture, image, root, "kvm", TRY_SECONDS, "tocsin.try")
    return "kvm" if RELEASE.search(said) else TRANSLATED
