# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The three kinds of patches."""

from client import JSON_TYPE, MERGE, OPERATIONS, STRATEGIC
from conformance import NODES, check, path_of, same

READY = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
SLOW = {"type": "DiskSlow", "status": "True", "reason": "Slow", "message": "m"}
TAINT = {"key": "tocsin.dev/isolated", "effect": "NoSchedule"}


def _shown(conditions):
    return [
        {**one, "lastHeartbeatTime": None, "lastTransitionTime": None} for one in conditions
    ]


def _conditions(server, path, patch, **more):
    body = {"status": {"conditions": patch, **more}}
    return server.patch(f"{path}/status", body, STRATEGIC)["status"].get("conditions", [])


def test_patch_types(server):
    """415 for any other content type, and for a patch without one"""
    path = path_of(server, server.node())
    for wrong in (JSON_TYPE, "text/plain", "application/merge-patch"):
        server.patch(path, {}, wrong, code=415, reason="UnsupportedMediaType")
    server.patch(path, {}, f"{MERGE}; charset=utf-8")


def test_patch_of_nothing(server):
    """404"""
    path = f"{NODES}/{server.name()}"
    for kind in (MERGE, STRATEGIC):
        server.patch(path, {}, kind, code=404, reason="NotFound")


def test_patch_versions(server):
    """409 when it names a stale resourceVersion, 422 for another uid; none named is none asked for"""
    made = server.lease(holderIdentity="a")
    path = path_of(server, made)
    stale = made["metadata"]["resourceVersion"]
    fresh = server.patch(path, {"spec": {"holderIdentity": "b"}})["metadata"]["resourceVersion"]
    for kind in (MERGE, STRATEGIC):
        body = {"metadata": {"resourceVersion": stale}, "spec": {"holderIdentity": "c"}}
        server.patch(path, body, kind, code=409, reason="Conflict")
        body = {"metadata": {"uid": "00000000-0000-0000-0000-000000000000"}}
        server.patch(path, body, kind, code=422, reason="Invalid")
    body = {"metadata": {"resourceVersion": fresh}, "spec": {"holderIdentity": "d"}}
    same(server.patch(path, body)["spec"]["holderIdentity"], "d", "holder")


def test_patch_wrong_value(server):
    """422, where a whole object gets 400"""
    path = path_of(server, server.lease())
    for kind in (MERGE, STRATEGIC):
        body = {"spec": {"renewTime": "2026-01-02T03:04:05Z"}}
        server.patch(path, body, kind, code=422, reason="Invalid")
    server.patch(path, {"spec": {"leaseDurationSeconds": 0}}, code=422, reason="Invalid")
    answer = server.client.call("PATCH", path, b"{", MERGE)
    # 1.20 says 500.
    check(answer.code in (400, 500), f"no JSON: {answer}")


def test_merge_patch(server):
    """null takes away, maps are merged, lists replaced"""
    made = server.node(spec={"taints": [TAINT]})
    path = path_of(server, made)
    server.patch(path, {"metadata": {"annotations": {"a": "1", "b": "2"}}})
    found = server.patch(path, {"metadata": {"annotations": {"a": None, "c": "3"}}})
    same(found["metadata"]["annotations"], {"b": "2", "c": "3"}, "annotations")
    found = server.patch(path, {"spec": {"taints": [TAINT]}})
    same(found["spec"]["taints"], [TAINT], "taints")
    found = server.patch(path, {"spec": {"taints": None}})
    check("taints" not in found["spec"], "taints are left")


def test_strategic_conditions(server):
    """merged by type: the others stay, and so do fields that are not named"""
    path = path_of(server, server.node())
    same(_conditions(server, path, [READY]), _shown([READY]), "first")
    found = _conditions(server, path, [SLOW])
    same(sorted(found, key=str), sorted(_shown([READY, SLOW]), key=str), "second")
    _conditions(server, path, [{"type": "DiskSlow", "status": "False"}])
    found = {one["type"]: one for one in server.get(path)["status"]["conditions"]}
    wanted = _shown([{**SLOW, "status": "False"}])[0]
    same(found["DiskSlow"], wanted, "changed")
    found = _conditions(server, path, [{"type": "DiskSlow", "$patch": "delete"}])
    same(found, _shown([READY]), "after deletion")
    found = _conditions(server, path, [SLOW, {"$patch": "replace"}])
    same(found, _shown([SLOW]), "after replacement")


def test_strategic_without_key(server):
    """an element without its key is refused; kind and apiVersion are not looked at"""
    path = path_of(server, server.node())
    _conditions(server, path, [READY])
    body = {"status": {"conditions": [{"status": "True"}]}}
    answer = server.client.call("PATCH", f"{path}/status", body, STRATEGIC)
    check(answer.code in (400, 422, 500), f"code: {answer}")
    server.patch(path, {"kind": "Pod", "apiVersion": "v2"}, STRATEGIC)
    server.patch(path, [], STRATEGIC, code=400, reason="BadRequest")


def test_strategic_into_nothing(server):
    """where there is no list yet, directives are not looked at: a deletion adds an empty element"""
    path = path_of(server, server.node())
    found = _conditions(server, path, [{"type": "DiskSlow", "$patch": "delete"}])
    same(found, _shown([{"type": "DiskSlow", "status": ""}]), "conditions")


def test_strategic_order(server):
    """new elements come first, unless $setElementOrder says how"""
    path = path_of(server, server.node())
    _conditions(server, path, [{"type": "A", "status": "True"}, {"type": "B", "status": "True"}])
    found = _conditions(server, path, [{"type": "C", "status": "True"}])
    same([one["type"] for one in found], ["C", "A", "B"], "order")
    found = _conditions(server, path, [{"type": "B", "status": "False"}])
    same([one["type"] for one in found], ["C", "A", "B"], "order after a change")
    order = {"$setElementOrder/conditions": [{"type": name} for name in ("A", "B", "C", "D")]}
    found = _conditions(server, path, [{"type": "D", "status": "True"}], **order)
    same([one["type"] for one in found], ["A", "B", "C", "D"], "order that is asked for")


def test_strategic_taints(server):
    """replaced as a whole: a patch of one takes all others away"""
    other = {"key": "someone/else", "effect": "NoExecute"}
    path = path_of(server, server.node(spec={"taints": [other]}))
    found = server.patch(path, {"spec": {"taints": [TAINT]}}, STRATEGIC)
    same(found["spec"]["taints"], [TAINT], "taints")


def test_strategic_addresses(server):
    """merged by type"""
    path = f"{path_of(server, server.node())}/status"
    for address in (
        {"type": "Hostname", "address": "n"},
        {"type": "InternalIP", "address": "10.0.0.1"},
        {"type": "InternalIP", "address": "10.0.0.2"},
    ):
        found = server.patch(path, {"status": {"addresses": [address]}}, STRATEGIC)
    found = {one["type"]: one["address"] for one in found["status"]["addresses"]}
    same(found, {"Hostname": "n", "InternalIP": "10.0.0.2"}, "addresses")


def test_strategic_metadata(server):
    """finalizers are merged, owners by uid; maps take null and directives"""
    path = path_of(server, server.lease())

    def patch(metadata):
        return server.patch(path, {"metadata": metadata}, STRATEGIC)["metadata"]

    patch({"finalizers": ["tocsin.dev/a"]})
    found = patch({"finalizers": ["tocsin.dev/b"]})
    same(sorted(found["finalizers"]), ["tocsin.dev/a", "tocsin.dev/b"], "finalizers")
    found = patch({"$deleteFromPrimitiveList/finalizers": ["tocsin.dev/a", "tocsin.dev/b"]})
    check("finalizers" not in found, "finalizers are left")
    # Nodes that there are: what only others own is garbage.
    owners = [
        {"apiVersion": "v1", "kind": "Node", **{key: made["metadata"][key] for key in ("name", "uid")}}
        for made in (server.node(), server.node())
    ]
    patch({"ownerReferences": owners[:1]})
    found = patch({"ownerReferences": owners[1:]})
    wanted = sorted(one["uid"] for one in owners)
    same(sorted(one["uid"] for one in found["ownerReferences"]), wanted, "owners")
    patch({"labels": {"a": "1", "b": "2"}})
    same(patch({"labels": {"a": None}})["labels"], {"b": "2"}, "labels")
    same(patch({"labels": {"$patch": "replace", "c": "3"}})["labels"], {"c": "3"}, "labels")
    check("labels" not in patch({"labels": {"$patch": "delete"}}), "labels are left")


def test_strategic_retain_keys(server):
    """$retainKeys takes away what it does not name"""
    path = path_of(server, server.lease(holderIdentity="a", leaseDurationSeconds=10))
    body = {"spec": {"$retainKeys": ["holderIdentity"], "holderIdentity": "b"}}
    same(server.patch(path, body, STRATEGIC)["spec"], {"holderIdentity": "b"}, "spec")


def test_operations(server):
    """add, replace, remove, move, copy and test, all or none of them"""
    made = server.node(spec={"taints": [TAINT]})
    path = path_of(server, made)
    server.patch(path, [{"op": "replace", "path": "/spec/taints", "value": [TAINT]}], OPERATIONS)
    other = {"key": "a", "effect": "NoExecute"}
    found = server.patch(
        path,
        [
            {"op": "test", "path": "/spec/taints/0", "value": TAINT},
            {"op": "add", "path": "/spec/taints/-", "value": other},
            {"op": "add", "path": "/metadata/labels", "value": {"a/b": "1", "c": "2"}},
            {"op": "copy", "from": "/metadata/labels/a~1b", "path": "/metadata/labels/d"},
            {"op": "move", "from": "/metadata/labels/c", "path": "/metadata/labels/e"},
        ],
        OPERATIONS,
    )
    same(found["spec"]["taints"], [TAINT, other], "taints")
    same(found["metadata"]["labels"], {"a/b": "1", "d": "1", "e": "2"}, "labels")
    for wrong in (
        {"op": "test", "path": "/spec/taints/0/key", "value": "other"},
        {"op": "test", "path": "/spec/taints/7", "value": TAINT},
        {"op": "remove", "path": "/spec/taints/7"},
        {"op": "remove", "path": "/metadata/labels/none"},
        {"op": "add", "path": "/none/below", "value": "1"},
    ):
        body = [{"op": "add", "path": "/metadata/labels/z", "value": "1"}, wrong]
        server.patch(path, body, OPERATIONS, code=422, reason="Invalid")
    check("z" not in server.get(path)["metadata"]["labels"], "half of a patch was applied")
    server.patch(path, {"op": "remove"}, OPERATIONS, code=400, reason="BadRequest")
    found = server.patch(path, [{"op": "remove", "path": "/spec/taints/1"}], OPERATIONS)
    same(found["spec"]["taints"], [TAINT], "taints")
