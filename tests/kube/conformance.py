# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the conformance tests share: a server, names of its own, checks."""

import time

from client import JSON_TYPE, MERGE

LEASES = "/apis/coordination.k8s.io/v1"
NODES = "/api/v1/nodes"
WAIT_SECONDS = 20


class Failure(Exception):
    """What was expected, and what came."""


def check(condition, text):
    if not condition:
        raise Failure(text)


def same(found, wanted, what):
    check(found == wanted, f"{what}: expected {wanted!r}, found {found!r}")


class Server:
    """The server under test, and all that a test made on it."""

    def __init__(self, client, stand_in, run):
        self.client, self.stand_in, self.run = client, stand_in, run
        self.count = 0
        self.made = []

    def name(self, kind="x"):
        """A name that nobody else has."""
        self.count += 1
        return f"tocsin-test-{self.run}-{kind}-{self.count}"

    def ask(self, method, path, body=None, content_type=None, code=200, reason=None, headers=None):
        """Calls, and checks the code and a refusal's form; returns the answer's body."""
        answer = self.client.call(method, path, body, content_type, headers)
        check(
            answer.code == code, f"{method} {path}: expected {code}, found {answer}"
        )
        if code >= 400 and reason is not None:
            said = answer.body or {}
            same(said.get("kind"), "Status", "the refusal's kind")
            same(said.get("status"), "Failure", "the refusal's status")
            same(said.get("code"), code, "the refusal's code")
            same(said.get("reason"), reason, "the refusal's reason")
        return answer.body

    def get(self, path, **more):
        return self.ask("GET", path, **more)

    def create(self, path, body, **more):
        """Creates what is removed after the test."""
        made = self.ask("POST", path, body, **{"code": 201, **more})
        if made and made.get("kind") != "Status":
            self.made.append(f"{path}/{made['metadata']['name']}")
        return made

    def put(self, path, body, **more):
        return self.ask("PUT", path, body, **more)

    def patch(self, path, body, content_type=MERGE, **more):
        return self.ask("PATCH", path, body, content_type, **more)

    def delete(self, path, body=None, **more):
        return self.ask("DELETE", path, body, JSON_TYPE if body else None, **more)

    def node(self, **more):
        return self.create(NODES, {"metadata": {"name": self.name("node")}, **more})

    def namespace(self):
        name = self.name("space")
        self.create("/api/v1/namespaces", {"metadata": {"name": name}})
        return name

    def lease_path(self, namespace="default"):
        return f"{LEASES}/namespaces/{namespace}/leases"

    def lease(self, namespace="default", **spec):
        body = {"metadata": {"name": self.name("lease")}, "spec": spec}
        return self.create(self.lease_path(namespace), body)

    def wait(self, done, what, seconds=WAIT_SECONDS):
        deadline = time.monotonic() + seconds
        while not (found := done()):
            check(time.monotonic() < deadline, f"{what}: not within {seconds} s")
            time.sleep(0.02)
        return found

    def clean_up(self):
        if self.stand_in:
            self.stand_in.order("faults", method="DELETE")
        for path in reversed(self.made):
            self.client.call("DELETE", path, {"gracePeriodSeconds": 0})
        self.made.clear()


def path_of(server, made):
    """The path of a node or a lease."""
    metadata = made["metadata"]
    if made["kind"] == "Node":
        return f"{NODES}/{metadata['name']}"
    return f"{server.lease_path(metadata['namespace'])}/{metadata['name']}"
