# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A Kubernetes API beside the nodes of a lab, for its agents to share: the stand-in of tests/kube, or the real one.

Its Node objects are the nodes of the lab, and the members of the cluster: the agents are told of no
others.
"""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time

from system import HERE, LabError, inside, run

# Behind the lab's own modules, some of which have the same names.
sys.path.append(os.path.join(HERE, "..", "kube"))

from client import MERGE, Client, is_real

HOST = "api"
PORT = 6443
NAMESPACE = "tocsin"
START_SECONDS, REAL_START_SECONDS = 30, 90
API = os.path.join(HERE, "..", "kube", "api")
DEPLOY = os.path.join(HERE, "..", "..", "deploy", "kubernetes", "base")
# What a cluster has of tocsin before its pods start.
MANIFESTS = ["namespace.yaml", "crd.yaml", "rbac.yaml"]
# The system's own Python has Debian's python3-yaml.
SYSTEM_PYTHON = "/usr/bin/python3"
TO_JSON = (
    "import json, sys, yaml; "
    "[print(json.dumps(o)) for f in sys.argv[1:] for o in yaml.safe_load_all(open(f)) if o]"
)
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"


class KubernetesStore:
    """The lab ends it when it goes down."""

    def __init__(self, lab):
        self.lab = lab
        self.nodes = []  # none of the lab's hosts a part of it
        self.members = {}
        self.directory = None
        lab.store = self

    @staticmethod
    def missing():
        """Why it cannot be had, or None."""
        if shutil.which("openssl") is None:
            return "'openssl' is missing; install the package openssl"
        if run([SYSTEM_PYTHON, "-c", "import yaml"], check=False).returncode:
            return f"{SYSTEM_PYTHON} has no module 'yaml'; install the package python3-yaml"
        return None

    def config(self):
        # As often as of etcd's, so that the same times are kept.
        return (
            "store: {kind: kubernetes}\n"
            f"kubernetes: {{kubeconfig: {self.directory}/kubeconfig, "
            "renew_interval_ms: 200, lease_seconds: 2}\n"
        )

    def start(self, _nodes=None):
        if self.members:
            os.killpg(self.members[HOST].pid, signal.SIGCONT)
            return
        self.directory = self.lab.path("kubernetes")
        os.makedirs(self.directory, exist_ok=True)
        paths = [os.path.join(DEPLOY, name) for name in MANIFESTS]
        with open(self.lab.path("manifests.json"), "w", encoding="utf-8") as file:
            file.write(run([SYSTEM_PYTHON, "-c", TO_JSON, *paths]).stdout)
        with open(self.lab.path("api.log"), "ab") as log:
            self.members[HOST] = subprocess.Popen(
                self.lab.command(
                    HOST,
                    ["setpriv", "--pdeathsig", "KILL", sys.executable, "-B", API]
                    + ["--directory", self.directory, "--listen", self.lab.address(HOST)]
                    + ["--port", str(PORT), "--rbac", self.lab.path("manifests.json")]
                    + ["--service-account", f"{NAMESPACE}:tocsin"],
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_healthy(self, seconds=REAL_START_SECONDS if is_real() else START_SECONDS):
        """Waits until it answers, and gives it what a cluster with tocsin has."""
        deadline = time.monotonic() + seconds
        while not os.path.exists(os.path.join(self.directory, "port")):
            if self.members[HOST].poll() is not None or time.monotonic() > deadline:
                raise LabError(f"no API: see {self.lab.path('api.log')}")
            time.sleep(0.05)
        for node in self.lab.nodes:
            if self.call("GET", f"/api/v1/nodes/{node}")[0] == 404:
                self.add_node(node)

    def stop(self, nodes=None, number=signal.SIGKILL):
        """Ends it; with nodes it only does not answer any more, because it would forget all."""
        if nodes:
            os.killpg(self.members[HOST].pid, signal.SIGSTOP)
            return
        for member in self.members.values():
            if member.poll() is None:
                os.kill(member.pid, number)
            member.wait()
        self.members.clear()

    # Its own interface

    def call(self, method, path, body=None, content_type=None):
        """Returns (status, object)."""
        with open(os.path.join(self.directory, "admin-token"), encoding="ascii") as file:
            token = file.read().strip()
        authority = os.path.join(self.directory, "ca.crt")
        client = Client(f"https://{self.lab.address(HOST)}:{PORT}", authority, token)
        try:
            with inside(self.lab.namespace(HOST)):
                answer = client.call(method, path, body, content_type)
        except http.client.HTTPException as error:
            raise OSError(f"{path}: {error!r}") from error
        return answer.code, answer.body

    def add_node(self, node):
        addresses = [
            {"type": "InternalIP", "address": self.lab.address(node)},
            {"type": "InternalIP", "address": self.lab.address6(node)},
            {"type": "Hostname", "address": node},
        ]
        made = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}}
        status, answer = self.call("POST", "/api/v1/nodes", made)
        if status == 201:
            status, answer = self.call(
                "PATCH",
                f"/api/v1/nodes/{node}/status",
                {"status": {"addresses": addresses}},
                MERGE,
            )
        if status == 200:
            # New Nodes are tainted until a controller, which is not there, finds them ready.
            status, answer = self.call(
                "PATCH", f"/api/v1/nodes/{node}", {"spec": {"taints": None}}, MERGE
            )
        if status != 200:
            raise LabError(f"no Node {node}: {answer}")

    def node(self, node):
        return self.call("GET", f"/api/v1/nodes/{node}")[1]

    def leader(self):
        return None

    def isolations(self):
        """The records of isolations, by node."""
        _status, lease = self.call("GET", f"{LEASES}/actor")
        annotations = lease.get("metadata", {}).get("annotations", {})
        records = json.loads(annotations.get("tocsin.dev/isolations", "{}"))
        return {node: entry["record"] for node, entry in records.items()}

    def unused_verbs(self):
        """What the roles of the manifests let an agent do, and none has done: (namespace, group, resource, verb)."""
        with open(self.lab.path("manifests.json"), encoding="utf-8") as file:
            objects = [json.loads(line) for line in file]
        granted = {
            (role["metadata"].get("namespace", ""), group, resource, verb)
            for role in objects
            for rule in role.get("rules", [])
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        with open(os.path.join(self.directory, "audit.jsonl"), encoding="utf-8") as file:
            audit = [json.loads(line) for line in file]
        user = f"system:serviceaccount:{NAMESPACE}:tocsin"
        audit = [line for line in audit if line.get("user") == user]
        # What a real server, an older one, does not know.
        unknown = {
            (line["group"], line["resource"])
            for line in audit
            if is_real() and (line["verb"], line["code"]) == ("list", 404)
        }
        used = {
            (line["namespace"], line["group"], line["resource"], line["verb"])
            for line in audit
            if line["code"] < 400
        }
        return {one for one in granted - used if one[1:3] not in unknown}

    def forget_isolations(self):
        """Deletes the records of isolations, with their history of relapses."""
        patch = {"metadata": {"annotations": {"tocsin.dev/isolations": None}}}
        self.call("PATCH", f"{LEASES}/actor", patch, MERGE)
