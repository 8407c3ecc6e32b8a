# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Who may ask, and for what; what is no path at all."""

from client import Client
from conformance import LEASES, NODES, check, same

GROUP = "rbac.authorization.k8s.io"
RBAC = f"/apis/{GROUP}/v1"


def _stranger(server, token):
    known = server.client
    client = Client(f"https://{known.host}:{known.port}", None, token)
    client.context = known.context
    return client


def test_wrong_token(server):
    """401 with a Status"""
    answer = _stranger(server, "wrong").call("GET", NODES)
    same(answer.code, 401, "code")
    same(answer.body["reason"], "Unauthorized", "reason")
    same(answer.body["kind"], "Status", "kind")


def test_no_token(server):
    """401, or 403 where strangers are let in"""
    answer = _stranger(server, None).call("GET", NODES)
    check(answer.code in (401, 403), f"code: {answer}")
    same(answer.body["kind"], "Status", "kind")


def test_unknown_paths(server):
    """404: plain text for an unknown group, a Status for an unknown resource of a known one"""
    answer = server.client.call("GET", "/apis/nobody.example.com/v1/things")
    same(answer.code, 404, "code of an unknown group")
    check(answer.body is None, f"body of an unknown group: {answer}")
    server.get("/api/v1/things", code=404, reason="NotFound")
    server.get(f"{NODES}/{server.name()}", code=404, reason="NotFound")


def test_wrong_methods(server):
    """405"""
    server.ask("PUT", NODES, {}, code=405, reason="MethodNotAllowed")
    server.ask("POST", f"{NODES}/x", {}, code=405, reason="MethodNotAllowed")


def test_not_found_details(server):
    """a Status names resource, group and object"""
    name = server.name()
    said = server.get(f"{server.lease_path()}/{name}", code=404, reason="NotFound")
    wanted = {"name": name, "group": "coordination.k8s.io", "kind": "leases"}
    same(said["details"], wanted, "details")
    same(said["message"], f'leases.coordination.k8s.io "{name}" not found', "message")


def _as(name):
    return {"Impersonate-User": f"system:serviceaccount:default:{name}"}


def test_role_based_access(server):
    """403 in the known words for a verb that no role lists, 200 for one that does"""
    account = server.name("account")
    server.create(
        f"{RBAC}/clusterroles",
        {
            "metadata": {"name": account},
            "rules": [
                {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list"]},
                {"apiGroups": [""], "resources": ["nodes/status"], "verbs": ["patch"]},
            ],
        },
    )
    server.create(
        f"{RBAC}/clusterrolebindings",
        {
            "metadata": {"name": account},
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": account},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": "default"}],
        },
    )
    node = server.node()["metadata"]["name"]
    path, head = f"{NODES}/{node}", _as(account)
    # A binding takes a moment to be known.
    server.wait(lambda: server.client.call("GET", path, headers=head).code == 200, "the role")
    server.patch(f"{path}/status", {}, headers=head)
    user = head["Impersonate-User"]
    said = server.patch(path, {}, headers=head, code=403, reason="Forbidden")
    same(
        said["message"],
        f'nodes "{node}" is forbidden: User "{user}" cannot patch resource "nodes" in API group "" '
        "at the cluster scope",
        "message",
    )
    same(said["details"], {"name": node, "kind": "nodes"}, "details")
    said = server.get(f"{server.lease_path()}", headers=head, code=403, reason="Forbidden")
    same(
        said["message"],
        f'leases.coordination.k8s.io is forbidden: User "{user}" cannot list resource "leases" in API '
        'group "coordination.k8s.io" in the namespace "default"',
        "message",
    )
    server.get(f"{LEASES}/leases?watch=1", headers=head, code=403, reason="Forbidden")


def test_role_in_namespace(server):
    """a Role counts in its namespace alone, and only for the names that it lists"""
    account, other = server.name("account"), server.namespace()
    name = server.lease()["metadata"]["name"]
    server.create(
        f"{RBAC}/namespaces/default/roles",
        {
            "metadata": {"name": account},
            "rules": [
                {
                    "apiGroups": ["coordination.k8s.io"],
                    "resources": ["leases"],
                    "resourceNames": [name],
                    "verbs": ["get", "watch"],
                }
            ],
        },
    )
    server.create(
        f"{RBAC}/namespaces/default/rolebindings",
        {
            "metadata": {"name": account},
            "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": account},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": "default"}],
        },
    )
    head, path = _as(account), server.lease_path()
    server.wait(lambda: server.client.call("GET", f"{path}/{name}", headers=head).code == 200, "role")
    server.get(f"{path}/other", headers=head, code=403, reason="Forbidden")
    server.get(f"{server.lease_path(other)}/{name}", headers=head, code=403, reason="Forbidden")
    with server.client.watch(path, headers=head, fieldSelector=f"metadata.name={name}") as watch:
        same(watch.next()["object"]["metadata"]["name"], name, "what a watch of the name tells")
    server.get(f"{path}?watch=1&timeoutSeconds=1", headers=head, code=403, reason="Forbidden")
