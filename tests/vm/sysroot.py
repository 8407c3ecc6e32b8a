# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A root of another architecture, of Debian's packages, unpacked: to build against and to boot from."""

import glob
import os
import re
import shutil
import subprocess

from kernels import Missing, Suite, run_command

# Libraries with their headers as the build and the live tests need them, and what runs in the machine.
PACKAGES = [
    "libc6-dev", "libbpf-dev", "libelf-dev", "zlib1g-dev", "libuv1-dev", "libjansson-dev", "libyaml-dev",
    "libmicrohttpd-dev", "libsodium-dev", "libcurl4-gnutls-dev", "libnftables-dev", "libcap-dev",
    "libcmocka-dev", "libfuse3-dev", "libgcc-s1", "busybox-static", "iproute2", "nftables",
    "iputils-ping", "dmsetup", "util-linux", "dash",
]


def _this_suite():
    with open("/etc/os-release", encoding="utf-8") as file:
        found = re.search(r"^VERSION_CODENAME=(\w+)$", file.read(), re.M)
    if not found:
        raise Missing("/etc/os-release names no suite of Debian")
    return found[1]


def unpack_root(architecture, directory):
    """Its path; downloaded unless it is there from an earlier time."""
    root = os.path.join(directory, f"root-{architecture}")
    done = os.path.join(root, ".unpacked")
    if os.path.exists(done):
        return root
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(root)
    suite = Suite(_this_suite(), architecture, directory)
    suite.update()
    suite.download_with_needs(PACKAGES)
    for package in suite.downloaded():
        run_command(["dpkg-deb", "-x", package, root])
    # Some links lead to places of the root itself.
    for path in glob.glob(f"{root}/usr/lib/*/*"):
        if os.path.islink(path) and os.readlink(path).startswith("/"):
            target = os.readlink(path)
            os.unlink(path)
            os.symlink(os.path.relpath(root + target, os.path.dirname(path)), path)
    open(done, "w", encoding="ascii").close()
    return root


def cross_build(architecture, root, build):
    """The directory with the program and its live tests, built against the root."""
    top = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
    directory = os.path.join(build, architecture.name)
    triplet = architecture.triplet
    environment = {
        **os.environ,
        "PKG_CONFIG_SYSROOT_DIR": root,
        "PKG_CONFIG_LIBDIR": f"{root}/usr/lib/{triplet}/pkgconfig:{root}/usr/share/pkgconfig",
    }
    command = [
        "make", f"-j{len(os.sched_getaffinity(0))}", f"BUILD={os.path.relpath(directory, top)}",
        f"CC={triplet}-gcc --sysroot={root}", f"AR={triplet}-ar", "all", "live-tests",
    ]
    done = subprocess.run(
        command, cwd=top, env=environment,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )
    if done.returncode:
        raise Missing(f"{' '.join(command)}: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return directory
