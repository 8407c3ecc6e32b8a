# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A real etcd on some nodes of a lab, for its agents to share."""

import os
import shutil
import signal
import subprocess
import time

from system import LabError, run

CLIENT_PORT = 2379
PEER_PORT = 2380
START_SECONDS = 30


class Store:
    """Members on the given nodes; the lab ends them when it goes down."""

    def __init__(self, lab, nodes):
        self.lab = lab
        self.nodes = list(nodes)
        self.members = {}
        lab.store = self

    @staticmethod
    def missing():
        """Why it cannot be had, or None."""
        if shutil.which("etcd") is None:
            return "'etcd' is missing; install the package etcd-server"
        return None

    def url(self, node, port=CLIENT_PORT):
        return f"http://{self.lab.address(node)}:{port}"

    def config(self):
        endpoints = ", ".join(f'"{self.url(node)}"' for node in self.nodes)
        return f"store: {{kind: etcd}}\netcd: {{endpoints: [{endpoints}]}}\n"

    def log_file(self, node):
        return self.lab.path(f"etcd-{node}.log")

    def start(self, nodes=None):
        cluster = ",".join(f"{node}={self.url(node, PEER_PORT)}" for node in self.nodes)
        for node in nodes or self.nodes:
            arguments = [
                "setpriv",
                "--pdeathsig",
                "KILL",
                "etcd",
                f"--name={node}",
                f"--data-dir={self.lab.path(f'etcd-{node}')}",
                f"--listen-client-urls={self.url(node)}",
                f"--advertise-client-urls={self.url(node)}",
                f"--listen-peer-urls={self.url(node, PEER_PORT)}",
                f"--initial-advertise-peer-urls={self.url(node, PEER_PORT)}",
                f"--initial-cluster={cluster}",
                "--initial-cluster-token=lab",
                "--logger=zap",
            ]
            with open(self.log_file(node), "ab") as log:
                self.members[node] = subprocess.Popen(
                    self.lab.command(node, arguments),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )

    def wait_healthy(self, seconds=START_SECONDS):
        """Waits until every member that runs answers a read that its quorum agreed to."""
        deadline = time.monotonic() + seconds
        for node in self.members:
            command = ["curl", "-sS", "--max-time", "1", f"{self.url(node)}/health"]
            while True:
                done = run(self.lab.command(node, command), check=False)
                if '"true"' in done.stdout:
                    break
                if self.members[node].poll() is not None:
                    raise LabError(f"etcd on {node} ended: see {self.log_file(node)}")
                if time.monotonic() > deadline:
                    said = (done.stdout + done.stderr).strip()
                    raise LabError(f"etcd on {node} is not healthy after {seconds} s: {said}")
                time.sleep(0.1)

    def stop(self, nodes=None, number=signal.SIGKILL):
        for node in list(nodes or self.members):
            member = self.members.pop(node)
            if member.poll() is None:
                os.kill(member.pid, number)
            member.wait()
