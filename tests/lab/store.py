# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A real etcd on some nodes of a lab, for its agents to share."""

import base64
import http.client
import json
import os
import shutil
import signal
import subprocess
import time

from system import LabError, inside, run

CLIENT_PORT = 2379
PEER_PORT = 2380
START_SECONDS = 30
CALL_SECONDS = 2
# For a LAN, as docs/store.md advises: a member without a leader waits 0.5 to 1 s, not 1 to 2.
TUNING = ["--heartbeat-interval=50", "--election-timeout=500"]
ISOLATIONS = "/tocsin/isolations/"
ROWS = "/tocsin/rows/"


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
                *TUNING,
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

    # etcd's own interface, through its JSON gateway

    def call(self, node, path, body, source=None, seconds=CALL_SECONDS):
        """Asks the member on a node, from a node (that one); OSError when it does not answer."""
        connection = http.client.HTTPConnection(
            self.lab.address(node), CLIENT_PORT, timeout=seconds
        )
        with inside(self.lab.namespace(source or node)):
            connection.connect()
        try:
            connection.request("POST", f"/v3{path}", json.dumps(body))
            answer = connection.getresponse()
            data = answer.read()
        except http.client.HTTPException as error:
            raise OSError(f"{path}: {error!r}") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise OSError(f"{path}: {answer.status}: {data[:200]!r}")
        return json.loads(data)

    def leader(self):
        """The node whose member leads, or None."""
        members = {}
        leader = None
        for node in self.members:
            try:
                status = self.call(node, "/maintenance/status", {})
            except OSError:
                continue
            members[status["header"]["member_id"]] = node
            leader = status.get("leader", leader)
        return members.get(leader)

    def put(self, node, key, value):
        self.call(node, "/kv/put", {"key": _base64(key.encode()), "value": _base64(value.encode())})

    def values(self, node, prefix):
        """{key: (value, lease)} of all keys that begin with this, as the member on a node has them."""
        begin = prefix.encode()
        body = {"key": _base64(begin), "range_end": _base64(_next(begin))}
        found = self.call(node, "/kv/range", body).get("kvs", [])
        return {
            base64.b64decode(pair["key"]).decode(): (
                base64.b64decode(pair.get("value", "")).decode(),
                pair.get("lease"),
            )
            for pair in found
        }

    def isolations(self):
        """The records of isolations, by node."""
        found = self.values(self.nodes[0], ISOLATIONS)
        return {key[len(ISOLATIONS) :]: json.loads(value) for key, (value, _lease) in found.items()}

    def revoke(self, node, lease):
        self.call(node, "/lease/revoke", {"ID": lease})

    def forget_isolations(self):
        """Deletes the records of isolations, with their history of relapses."""
        begin = ISOLATIONS.encode()
        body = {"key": _base64(begin), "range_end": _base64(_next(begin))}
        deadline = time.monotonic() + START_SECONDS
        while True:
            for node in self.members:
                try:
                    return self.call(node, "/kv/deleterange", body)
                except OSError as error:
                    last = error
            if time.monotonic() > deadline:
                raise LabError(f"isolation records cannot be deleted: {last}")
            time.sleep(0.1)


def _next(prefix):
    """What comes behind all that begin with it."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def _base64(data):
    return base64.b64encode(data).decode()
