# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What tests can order the stand-in to do wrong."""

import http.client
import json
import os
import tempfile
import threading
import time

from client import CALL_SECONDS, Client, StandIn
from conformance import NODES, check, path_of, same


def test_refusals(server):
    """the next N requests that match are refused, with Retry-After when it is given"""
    fault = {"count": 2, "code": 429, "retry_after_s": 3, "match": {"verb": "list"}}
    server.stand_in.order("faults", fault)
    for _ in range(2):
        answer = server.client.call("GET", NODES)
        same((answer.code, answer.headers["Retry-After"]), (429, "3"), "refusal")
        same(answer.body["reason"], "TooManyRequests", "reason")
        same(answer.body["details"]["retryAfterSeconds"], 3, "details")
        server.get(f"{NODES}/{server.name()}", code=404)
    server.get(NODES)
    for code in (401, 409, 410, 500, 503):
        server.stand_in.order("faults", {"code": code})
        same(server.client.call("GET", NODES).code, code, "code")
    server.get(NODES)


def test_refused_but_done(server):
    """an answer may be lost after the request was carried out"""
    made = server.lease()
    server.stand_in.order("faults", {"close": True, "done": True})
    try:
        server.client.call("PATCH", path_of(server, made), {"spec": {"holderIdentity": "a"}},
                           "application/merge-patch+json")
        check(False, "an answer came")
    except (http.client.HTTPException, OSError):
        pass
    same(server.get(path_of(server, made))["spec"], {"holderIdentity": "a"}, "spec")


def test_delay(server):
    """an answer that comes late"""
    server.stand_in.order("faults", {"delay_s": 0.3})
    start = time.monotonic()
    server.get(NODES)
    check(time.monotonic() - start >= 0.3, "it came at once")


def test_hang(server):
    """no answer until the fault is cleared, and then the connection ends"""
    server.stand_in.order("faults", {"hang": True, "match": {"resource": "nodes"}})
    ended = []

    def ask():
        try:
            server.client.call("GET", NODES)
        except (http.client.HTTPException, OSError) as error:
            ended.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join(0.3)
    check(thread.is_alive(), "an answer came")
    server.get(server.lease_path())
    server.stand_in.order("faults", method="DELETE")
    thread.join(CALL_SECONDS)
    check(ended and not isinstance(ended[0], TimeoutError), f"how it ended: {ended}")


def test_new_token(server):
    """the old token is refused, the new one in the file taken"""
    stand_in = server.stand_in
    old = stand_in.client("token")
    same(old.call("GET", NODES).code, 200, "before")
    stand_in.order("token")
    same(old.call("GET", NODES).code, 401, "the old token")
    same(stand_in.client("token").call("GET", NODES).code, 200, "the new token")


def test_client_certificate(server):
    """lets in without a token"""
    stand_in = server.stand_in
    certificate = stand_in.path("client.crt"), stand_in.path("client.key")
    client = Client(stand_in.url, stand_in.path("ca.crt"), certificate=certificate)
    same(client.call("GET", NODES).code, 200, "code")


def test_compaction(server):
    """410 Expired: a list and its continuation, and an ERROR event of a watch"""
    space = server.namespace()
    path = server.lease_path(space)
    versions = [server.lease(space)["metadata"]["resourceVersion"] for _ in range(3)]
    more = server.get(f"{path}?limit=1")["metadata"]["continue"]
    server.lease(space)
    server.stand_in.order("compact")
    old = f"{path}?resourceVersion={versions[0]}&resourceVersionMatch=Exact"
    server.get(old, code=410, reason="Expired")
    said = server.get(f"{path}?limit=1&continue={more}", code=410, reason="Expired")
    check(said["metadata"]["continue"], "no way to go on with what is left")
    with server.client.watch(path, resourceVersion=versions[0], timeoutSeconds=10) as watch:
        event = watch.next()
        same(event["type"], "ERROR", "type")
        same((event["object"]["code"], event["object"]["reason"]), (410, "Expired"), "object")
        same(watch.next(), None, "after it")


def test_dropped_watches(server):
    """break off in the middle; the next one goes on from the version"""
    space = server.namespace()
    made = server.lease(space)
    version = made["metadata"]["resourceVersion"]
    path = server.lease_path(space)
    with server.client.watch(path, resourceVersion=version, timeoutSeconds=10) as watch:
        server.wait(lambda: server.stand_in.order("state", method="GET")["watches"] > 0, "a watch")
        server.stand_in.order("watches/drop")
        try:
            same(watch.next(), None, "event")
        except (http.client.HTTPException, OSError):
            pass
    server.patch(path_of(server, made), {"spec": {"holderIdentity": "a"}})
    with server.client.watch(path, resourceVersion=version, timeoutSeconds=10) as watch:
        same(watch.next()["type"], "MODIFIED", "type")


def test_stalled_watches(server):
    """are silent, not even a bookmark, and go on"""
    space = server.namespace()
    made = server.lease(space)
    version = made["metadata"]["resourceVersion"]
    path = server.lease_path(space)
    with server.client.watch(path, resourceVersion=version, timeoutSeconds=10) as watch:
        server.wait(lambda: server.stand_in.order("state", method="GET")["watches"] > 0, "a watch")
        server.stand_in.order("watches/stall", {"s": 1})
        start = time.monotonic()
        server.patch(path_of(server, made), {"spec": {"holderIdentity": "a"}})
        same(watch.next()["type"], "MODIFIED", "type")
        check(time.monotonic() - start > 0.5, "it was told at once")


def test_split_watches(server):
    """an event comes in pieces"""
    space = server.namespace()
    made = server.lease(space)
    server.stand_in.order("watches/split", {"bytes": 7})
    with server.client.watch(server.lease_path(space), timeoutSeconds=10) as watch:
        first = watch.answer.read1(4096)
        check(0 < len(first) <= 7, f"first piece: {first!r}")
        rest = watch.answer.readline()
        same(json.loads(first + rest)["object"], made, "event")


def test_watch_threads_end(server):
    """a client that leaves is noticed"""
    with server.client.watch(server.lease_path(), timeoutSeconds=60):
        server.wait(lambda: server.stand_in.order("state", method="GET")["watches"] > 0, "a watch")
    server.wait(lambda: server.stand_in.order("state", method="GET")["watches"] == 0, "its end")


def test_rights_of_a_file(server):
    """--rbac: the token may do what the roles say, the administrator's everything"""
    account = {"kind": "ServiceAccount", "name": "agent", "namespace": "probe"}
    group = "rbac.authorization.k8s.io"
    rules = [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list"]}]
    manifests = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "probe"}},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "agent"},
            "rules": rules,
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "agent"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "agent"},
            "subjects": [account],
        },
    ]
    with tempfile.TemporaryDirectory(prefix="tocsin-kube-") as directory:
        path = os.path.join(directory, "rbac.json")
        with open(path, "w", encoding="utf-8") as file:
            # One in a List, the others after it.
            json.dump({"kind": "List", "apiVersion": "v1", "items": manifests[:1]}, file)
            for value in manifests[1:]:
                json.dump(value, file)
        limited = StandIn(
            directory, "--rbac", path, "--service-account", "probe:agent", "--listen", "127.0.0.3"
        )
        try:
            agent = limited.client("token")
            same(agent.call("GET", NODES).code, 200, "list")
            said = agent.call("DELETE", f"{NODES}/x").body
            user = "system:serviceaccount:probe:agent"
            check(f'User "{user}" cannot delete resource "nodes"' in said["message"], said)
            same(limited.client().call("DELETE", f"{NODES}/x").code, 404, "the administrator's")
            codes = [(one["verb"], one["code"]) for one in limited.audit()]
            same(codes, [("list", 200), ("delete", 403), ("delete", 404)], "audit")
        finally:
            limited.stop()


def test_audit(server):
    """one line a request: who, what, and the code"""
    name = server.name("node")
    head = {"User-Agent": f"agent-{name}"}
    server.get(f"{NODES}/{name}", code=404, headers=head)
    server.patch(f"{NODES}/{name}/status", {}, code=404, headers=head)
    lines = [one for one in server.stand_in.audit() if one["user_agent"] == f"agent-{name}"]
    found = [(one["verb"], one["resource"], one["name"], one["code"]) for one in lines]
    same(found, [("get", "nodes", name, 404), ("patch", "nodes/status", name, 404)], "lines")
