# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Built-in objects: creation, updates, conflicts, validation, deletion, lists."""

import re

from client import JSON_TYPE
from conformance import LEASES, NODES, check, path_of, same

MICRO = "2026-01-02T03:04:05.678901Z"
EVENTS = "/api/v1/namespaces/default/events"
# Older servers take an event about an object without a namespace in this one alone.
SYSTEM_EVENTS = "/api/v1/namespaces/kube-system/events"
NEW_EVENTS = "/apis/events.k8s.io/v1/namespaces/kube-system/events"


def test_create(server):
    """201 with uid, resourceVersion and creationTimestamp; a second time 409 AlreadyExists"""
    made = server.lease(holderIdentity="a")
    metadata = made["metadata"]
    check(re.fullmatch(r"[0-9a-f-]{36}", metadata["uid"]), f"uid: {metadata['uid']}")
    check(metadata["resourceVersion"].isdigit(), "resourceVersion is a number in text")
    check(metadata["creationTimestamp"].endswith("Z"), "creationTimestamp is in UTC")
    same(made["apiVersion"], "coordination.k8s.io/v1", "apiVersion")
    body = {"metadata": {"name": metadata["name"]}}
    said = server.create(server.lease_path(), body, code=409, reason="AlreadyExists")
    wanted = f'leases.coordination.k8s.io "{metadata["name"]}" already exists'
    same(said["message"], wanted, "message")


def test_create_generated_name(server):
    """generateName makes a name"""
    prefix = server.name("g") + "-"
    made = server.create(server.lease_path(), {"metadata": {"generateName": prefix}})
    check(re.fullmatch(prefix + "[a-z0-9]{5}", made["metadata"]["name"]), made["metadata"]["name"])


def test_create_in_no_namespace(server):
    """404 that names the namespace"""
    name = server.name("none")
    body = {"metadata": {"name": "x"}}
    said = server.create(server.lease_path(name), body, code=404, reason="NotFound")
    same(said["message"], f'namespaces "{name}" not found', "message")


def test_names(server):
    """422 for what is no DNS name; 400 for one that is not the path's"""
    for name in ("Upper", "a_b", "-a", "a..b", "x" * 254):
        body = {"metadata": {"name": name}}
        said = server.create(server.lease_path(), body, code=422, reason="Invalid")
        same(said["details"]["causes"][0]["field"], "metadata.name", "field")
    body = {"metadata": {"name": "b"}}
    server.put(f"{server.lease_path()}/a", body, code=400, reason="BadRequest")
    body = {"metadata": {"name": "a", "namespace": "kube-system"}}
    server.create(server.lease_path(), body, code=400, reason="BadRequest")


def test_labels(server):
    """422 for what is no label"""
    for labels in ({"a b": "c"}, {"a": "b c"}, {"a/b/c": "d"}, {"a": "x" * 64}):
        body = {"metadata": {"name": server.name(), "labels": labels}}
        said = server.create(server.lease_path(), body, code=422, reason="Invalid")
        same(said["details"]["causes"][0]["field"], "metadata.labels", "field")


def test_body(server):
    """400 for what is no JSON or another kind, 415 for another format, 406 for no common one"""
    path = server.lease_path()
    server.ask("POST", path, b"{", JSON_TYPE, code=400, reason="BadRequest")
    server.create(path, {"kind": "Pod", "metadata": {"name": "x"}}, code=400, reason="BadRequest")
    server.ask("POST", path, b"x", "text/plain", code=415, reason="UnsupportedMediaType")
    server.get(path, headers={"Accept": "text/csv"}, code=406, reason="NotAcceptable")


def test_wrong_types(server):
    """400 for a value of another type, in a PUT and in a POST"""
    body = {"metadata": {"name": server.name()}, "spec": {"leaseDurationSeconds": "10"}}
    server.create(server.lease_path(), body, code=400, reason="BadRequest")
    made = server.node()
    made["spec"]["taints"] = "x"
    server.put(path_of(server, made), made, code=400, reason="BadRequest")


def test_unknown_fields(server):
    """dropped"""
    made = server.lease(holderIdentity="a", nobody_knows=1)
    check("nobody_knows" not in made["spec"], "an unknown field is kept")


def test_empty_fields(server):
    """not shown: false, an empty list, an empty text; a pointer's empty text is"""
    made = server.node(spec={"unschedulable": False, "providerID": ""})
    check("unschedulable" not in made["spec"], "unschedulable: false is shown")
    check("providerID" not in made["spec"], "an empty providerID is shown")
    made = server.patch(path_of(server, made), {"spec": {"taints": []}})
    check("taints" not in made["spec"], "empty taints are shown")
    same(server.lease(holderIdentity="")["spec"], {"holderIdentity": ""}, "a lease of nobody")


def test_put_stale(server):
    """409 Conflict with the known words; nothing is changed"""
    made = server.lease(holderIdentity="a")
    path = path_of(server, made)
    fresh = server.put(path, {**made, "spec": {"holderIdentity": "b"}})
    check(fresh["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"], "same version")
    body = {**made, "spec": {"holderIdentity": "c"}}
    said = server.put(path, body, code=409, reason="Conflict")
    wanted = (
        f'Operation cannot be fulfilled on leases.coordination.k8s.io "{made["metadata"]["name"]}": '
        "the object has been modified; please apply your changes to the latest version and try again"
    )
    same(said["message"], wanted, "message")
    same(server.get(path)["spec"]["holderIdentity"], "b", "holder")


def test_put_without_version(server):
    """422 for a lease; taken for a node"""
    made = server.lease(holderIdentity="a")
    del made["metadata"]["resourceVersion"]
    said = server.put(path_of(server, made), made, code=422, reason="Invalid")
    same(said["details"]["causes"][0]["field"], "metadata.resourceVersion", "field")
    made = server.node()
    del made["metadata"]["resourceVersion"]
    made["metadata"]["labels"] = {"a": "b"}
    same(server.put(path_of(server, made), made)["metadata"]["labels"], {"a": "b"}, "labels")


def test_put_wrong_uid(server):
    """409 when the object is another of that name, or gone"""
    made = server.lease(holderIdentity="a")
    path = path_of(server, made)
    made["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000"
    server.put(path, made, code=409, reason="Conflict")
    server.delete(path)
    server.put(path, made, code=409, reason="Conflict")


def test_put_creates_lease(server):
    """201 for a lease that is not there, even with a resourceVersion; 404 for a node"""
    for version in (None, "77"):
        name = server.name("lease")
        body = {"metadata": {"name": name}, "spec": {"holderIdentity": "a"}}
        if version:
            body["metadata"]["resourceVersion"] = version
        made = server.put(f"{server.lease_path()}/{name}", body, code=201)
        server.made.append(path_of(server, made))
    name = server.name("node")
    server.put(f"{NODES}/{name}", {"metadata": {"name": name}}, code=404, reason="NotFound")


def test_create_with_version(server):
    """refused"""
    body = {"metadata": {"name": server.name(), "resourceVersion": "1"}}
    answer = server.client.call("POST", server.lease_path(), body)
    check(answer.code in (400, 500), f"code: {answer}")


def test_no_change(server):
    """a write that changes nothing makes no new version"""
    made = server.lease(holderIdentity="a")
    again = server.put(path_of(server, made), made)
    same(again["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"], "version")


def test_versions_are_shared(server):
    """one count of versions over all resources, which only rises"""
    versions = []
    for _ in range(2):
        versions.append(int(server.lease(holderIdentity="a")["metadata"]["resourceVersion"]))
        versions.append(int(server.node()["metadata"]["resourceVersion"]))
    same(versions, sorted(set(versions)), "versions")


def test_delete(server):
    """200 and a Status of success; a second time 404"""
    made = server.lease()
    path = path_of(server, made)
    said = server.delete(path)
    same((said["kind"], said["status"]), ("Status", "Success"), "answer")
    same(said["details"]["uid"], made["metadata"]["uid"], "uid")
    server.delete(path, code=404, reason="NotFound")


def test_delete_preconditions(server):
    """409 for another uid or version"""
    made = server.lease()
    path = path_of(server, made)
    for wrong in ({"uid": "00000000-0000-0000-0000-000000000000"}, {"resourceVersion": "1"}):
        server.delete(path, {"preconditions": wrong}, code=409, reason="Conflict")
    metadata = made["metadata"]
    right = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
    server.delete(path, {"preconditions": right})


def test_finalizers(server):
    """an object with a finalizer stays, marked, until it is taken away"""
    body = {"metadata": {"name": server.name(), "finalizers": ["tocsin.dev/test"]}}
    path = path_of(server, server.create(server.lease_path(), body))
    server.delete(path)
    metadata = server.get(path)["metadata"]
    check("deletionTimestamp" in metadata, "it is not marked")
    server.patch(path, {"metadata": {"finalizers": None}})
    server.get(path, code=404, reason="NotFound")


def test_finalizer_names(server):
    """422 for one of a node without a domain; well for a lease"""
    body = {"metadata": {"name": server.name(), "finalizers": ["tocsin"]}}
    server.create(NODES, body, code=422, reason="Invalid")
    made = server.create(server.lease_path(), body)
    server.patch(path_of(server, made), {"metadata": {"finalizers": None}})


def test_dry_run(server):
    """answers and changes nothing"""
    name = server.name()
    body = {"metadata": {"name": name}}
    server.ask("POST", f"{server.lease_path()}?dryRun=All", body, code=201)
    server.get(f"{server.lease_path()}/{name}", code=404, reason="NotFound")


def test_lease_times(server):
    """six digits of a second: 400 for others, in UTC when read"""
    for wrong in (
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05.123Z",
        "2026-01-02T03:04:05.123456789Z",
        "2026-01-02 03:04:05.123456Z",
        "2026-01-02T03:04:05.123456",
        "x",
        5,
    ):
        for field in ("renewTime", "acquireTime"):
            body = {"metadata": {"name": server.name()}, "spec": {field: wrong}}
            server.create(server.lease_path(), body, code=400, reason="BadRequest")
    made = server.lease(renewTime="2026-01-02T05:04:05.678901+02:00", acquireTime=MICRO)
    same(made["spec"], {"renewTime": MICRO, "acquireTime": MICRO}, "times")


def test_lease_values(server):
    """422 for a duration that is not positive, or negative transitions"""
    for field, wrong in (
        ("leaseDurationSeconds", 0),
        ("leaseDurationSeconds", -1),
        ("leaseTransitions", -1),
    ):
        body = {"metadata": {"name": server.name()}, "spec": {field: wrong}}
        said = server.create(server.lease_path(), body, code=422, reason="Invalid")
        same(said["details"]["causes"][0]["field"], f"spec.{field}", "field")


def test_node_taint_of_a_new_node(server):
    """a new node is tainted as not ready"""
    wanted = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    check(wanted in server.node()["spec"]["taints"], "the taint is missing")


def test_node_taints(server):
    """422 for a wrong effect, key or value, or a key and effect twice; two effects are well"""
    path = path_of(server, server.node())
    good = {"key": "tocsin.dev/isolated", "effect": "NoSchedule"}
    for wrong, field in (
        ([{**good, "effect": "Never"}], "metadata.taints[0].effect"),
        ([{**good, "effect": ""}], "metadata.taints[0].effect"),
        ([{**good, "key": "a b"}], "metadata.taints[0].key"),
        ([{**good, "value": "a b"}], "metadata.taints[0].value"),
        ([good, {**good, "value": "x"}], "metadata.taints[1]"),
    ):
        said = server.patch(path, {"spec": {"taints": wrong}}, code=422, reason="Invalid")
        same(said["details"]["causes"][0]["field"], field, "field")
    two = [good, {**good, "effect": "NoExecute"}]
    same(server.patch(path, {"spec": {"taints": two}})["spec"]["taints"], two, "taints")


def test_node_fixed_fields(server):
    """422 for another podCIDR or providerID than before"""
    made = server.node(spec={"podCIDRs": ["10.1.0.0/24"], "providerID": "a"})
    same(made["spec"]["podCIDR"], "10.1.0.0/24", "podCIDR")
    for spec in ({"podCIDR": "10.2.0.0/24"}, {"providerID": "b"}):
        server.patch(path_of(server, made), {"spec": spec}, code=422, reason="Invalid")


def test_node_status_is_apart(server):
    """a write of the object leaves the status, one of the status leaves the spec"""
    made = server.node()
    path = path_of(server, made)
    condition = {"type": "DiskSlow", "status": "True"}
    found = server.patch(
        path, {"spec": {"unschedulable": True}, "status": {"conditions": [condition]}}
    )
    same(found["spec"].get("unschedulable"), True, "unschedulable")
    check("conditions" not in found["status"], "a status was written through the object")
    found = server.patch(
        f"{path}/status", {"spec": {"unschedulable": False}, "status": {"conditions": [condition]}}
    )
    same(found["spec"].get("unschedulable"), True, "unschedulable")
    same(len(found["status"]["conditions"]), 1, "conditions")
    found["spec"], found["status"]["phase"] = {}, "Running"
    found = server.put(f"{path}/status", found)
    same(found["spec"].get("unschedulable"), True, "unschedulable")
    same(found["status"]["phase"], "Running", "phase")
    same(server.get(f"{path}/status")["metadata"]["name"], made["metadata"]["name"], "name")


def test_node_condition_times(server):
    """whole seconds, in UTC; null when they are not given"""
    path = path_of(server, server.node())
    condition = {
        "type": "DiskSlow",
        "status": "True",
        "lastHeartbeatTime": "2026-01-02T05:04:05.9+02:00",
        "reason": "R",
        "message": "m",
    }
    found = server.patch(f"{path}/status", {"status": {"conditions": [condition]}})
    wanted = {**condition, "lastHeartbeatTime": "2026-01-02T03:04:05Z", "lastTransitionTime": None}
    same(found["status"]["conditions"], [wanted], "conditions")


def test_node_addresses(server):
    """422 for the same address twice"""
    made = server.node()
    address = {"type": "InternalIP", "address": "10.0.0.1"}
    made["status"]["addresses"] = [address, {**address, "address": "10.0.0.2"}]
    path = f"{path_of(server, made)}/status"
    same(len(server.put(path, made)["status"]["addresses"]), 2, "addresses")
    made["status"]["addresses"] = [address, address]
    del made["metadata"]["resourceVersion"]
    server.put(path, made, code=422, reason="Invalid")


def _event(server, **more):
    return {
        "metadata": {"name": server.name("event")},
        "involvedObject": {"kind": "Node", "name": "n1", "uid": "n1"},
        "reason": "R",
        "message": "m",
        **more,
    }


def test_event(server):
    """of the core interface: an object without a namespace has its events in 'default' alone"""
    body = _event(server, type="Warning", count=1, source={"component": "tocsin"})
    made = server.create(EVENTS, body)
    same(made["involvedObject"]["name"], "n1", "object")
    same(made["eventTime"], None, "eventTime")
    path = f"{EVENTS}/{made['metadata']['name']}"
    found = server.patch(path, {"count": 2, "lastTimestamp": "2026-01-02T03:04:05Z"})
    same((found["count"], found["lastTimestamp"]), (2, "2026-01-02T03:04:05Z"), "event")
    server.create(SYSTEM_EVENTS, _event(server), code=422, reason="Invalid")
    found = server.get(
        f"{EVENTS}?fieldSelector=involvedObject.name%3Dn1,reason%3DR,involvedObject.kind%3DNode"
    )
    check(made["metadata"]["name"] in [one["metadata"]["name"] for one in found["items"]], "not found")


def test_event_of_new_interface(server):
    """events.k8s.io: strict; the same object as the core interface's"""
    body = {
        "metadata": {"name": server.name("event")},
        "eventTime": MICRO,
        "type": "Normal",
        "reason": "R",
        "action": "A",
        "note": "m",
        "regarding": {"kind": "Node", "name": "n1"},
        "reportingController": "tocsin.dev/agent",
        "reportingInstance": "n1",
    }
    for missing in body.keys() - {"metadata", "note", "regarding"}:
        wrong = {key: part for key, part in body.items() if key != missing}
        server.create(NEW_EVENTS, wrong, code=422, reason="Invalid")
    for more in ({"note": "x" * 1025}, {"series": {"count": 1, "lastObservedTime": MICRO}}):
        server.create(NEW_EVENTS, {**body, **more}, code=422, reason="Invalid")
    made = server.create(NEW_EVENTS, body)
    name = made["metadata"]["name"]
    found = server.get(f"{SYSTEM_EVENTS}/{name}")
    same((found["message"], found["reportingComponent"]), ("m", "tocsin.dev/agent"), "core's view")
    series = {"count": 2, "lastObservedTime": MICRO}
    made = server.patch(f"{NEW_EVENTS}/{name}", {"series": series})
    same(made["series"], series, "series")
    if server.stand_in:
        # 1.20 means to refuse it and does not.
        server.patch(f"{NEW_EVENTS}/{name}", {"note": "other"}, code=422, reason="Invalid")


def test_list(server):
    """of a kind, with a version, its items without kind"""
    space = server.namespace()
    names = sorted(server.lease(space)["metadata"]["name"] for _ in range(3))
    found = server.get(server.lease_path(space))
    same(found["kind"], "LeaseList", "kind")
    check(found["metadata"]["resourceVersion"].isdigit(), "version")
    same([one["metadata"]["name"] for one in found["items"]], names, "names")
    check("kind" not in found["items"][0], "an item has a kind")
    everywhere = server.get(f"{LEASES}/leases")["items"]
    check(set(names) <= {one["metadata"]["name"] for one in everywhere}, "in all namespaces")
    same(server.get(f"{server.lease_path(server.name())}")["items"], [], "in no namespace")


def test_list_in_parts(server):
    """limit and continue: one state, whatever happens meanwhile"""
    space = server.namespace()
    names = sorted(server.lease(space)["metadata"]["name"] for _ in range(5))
    path = server.lease_path(space)
    first = server.get(f"{path}?limit=2")
    same(first["metadata"]["remainingItemCount"], 3, "remaining")
    server.delete(f"{path}/{names[4]}")
    told = [one["metadata"]["name"] for one in first["items"]]
    more = first["metadata"]["continue"]
    while more:
        part = server.get(f"{path}?limit=2&continue={more}")
        same(
            part["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"], "version"
        )
        told += [one["metadata"]["name"] for one in part["items"]]
        more = part["metadata"].get("continue")
    same(told, names, "names")
    server.get(f"{path}?limit=2&continue=x", code=400, reason="BadRequest")


def test_list_of_a_version(server):
    """Exact: the state of then; NotOlderThan: that or later; a future one: 504"""
    space = server.namespace()
    made = server.lease(space)
    version = made["metadata"]["resourceVersion"]
    server.lease(space)
    path = server.lease_path(space)
    exact = server.get(f"{path}?resourceVersion={version}&resourceVersionMatch=Exact")
    same(len(exact["items"]), 1, "items of then")
    same(exact["metadata"]["resourceVersion"], version, "version")
    server.get(f"{path}?resourceVersion={version}&resourceVersionMatch=NotOlderThan")
    server.get(f"{path}?resourceVersion=0")
    future = int(version) + 1000000
    said = server.get(f"{path}?resourceVersion={future}", code=504, reason="Timeout")
    same(said["details"]["causes"][0]["reason"], "ResourceVersionTooLarge", "cause")
    answer = server.client.call("GET", f"{path}?resourceVersion=x")
    check(answer.code in (400, 422, 500), f"a version that is no number: {answer}")


def test_label_selectors(server):
    """=, !=, in, notin, a key and its absence"""
    space = server.namespace()
    for labels in ({"a": "1"}, {"a": "2", "b": "x"}, {}):
        body = {"metadata": {"name": server.name(), "labels": labels}}
        server.create(server.lease_path(space), body)
    for selector, count in (
        ("a=1", 1),
        ("a==1", 1),
        ("a!=1", 2),
        ("a in (1,2)", 2),
        ("a notin (1)", 2),
        ("a", 2),
        ("!a", 1),
        ("a=2,b=x", 1),
        ("a=1,b", 0),
    ):
        selector = selector.replace(" ", "%20").replace("!", "%21").replace("=", "%3D")
        found = server.get(f"{server.lease_path(space)}?labelSelector={selector}")
        same(len(found["items"]), count, f"labelSelector={selector}")
    server.get(f"{server.lease_path()}?labelSelector=a%20b", code=400, reason="BadRequest")


def test_field_selectors(server):
    """metadata.name; 400 for a field that is not selectable"""
    space = server.namespace()
    name = server.lease(space)["metadata"]["name"]
    server.lease(space)
    found = server.get(f"{server.lease_path(space)}?fieldSelector=metadata.name%3D{name}")
    same([one["metadata"]["name"] for one in found["items"]], [name], "names")
    found = server.get(f"{server.lease_path(space)}?fieldSelector=metadata.name!%3D{name}")
    same(len(found["items"]), 1, "the others")
    said = server.get(f"{NODES}?fieldSelector=spec.x%3D1", code=400, reason="BadRequest")
    same(said["message"], "field label not supported: spec.x", "message")


def _pod_body(server):
    container = {"name": "c", "image": "i"}
    return {"metadata": {"name": server.name("pod")}, "spec": {"containers": [container]}}


def _pod_space(server):
    """A namespace in which there may be pods: controllers give each the account that they want."""
    space = server.namespace()
    path = f"/api/v1/namespaces/{space}/pods?dryRun=All"
    server.wait(lambda: server.client.call("POST", path, _pod_body(server)).code == 201, f"pods in {space}")
    return space


def _pod(server, space, node):
    body = _pod_body(server)
    if node:
        body["spec"]["nodeName"] = node
    return server.create(f"/api/v1/namespaces/{space}/pods", body)


def test_pods_of_a_node(server):
    """fieldSelector spec.nodeName, over all namespaces"""
    space, node = _pod_space(server), server.name("node")
    # What a pod's service account gives is another controller's work.
    pod = _pod(server, space, node)
    _pod(server, space, None)
    found = server.get(f"/api/v1/pods?fieldSelector=spec.nodeName%3D{node}")["items"]
    same([one["metadata"]["name"] for one in found], [pod["metadata"]["name"]], "pods")
    same(found[0]["status"]["phase"], "Pending", "phase")
    same(found[0]["spec"]["restartPolicy"], "Always", "restartPolicy")


def test_watch_of_the_pods_of_a_node(server):
    """what becomes of those alone; one that gets its node later is added then"""
    space, node = _pod_space(server), server.name("node")
    path = f"/api/v1/namespaces/{space}/pods"
    # From the server's cache, however old: agents ask so, and for a page that then has no limit.
    selector = {"fieldSelector": f"spec.nodeName={node}"}
    head = server.get(f"/api/v1/pods?fieldSelector=spec.nodeName%3D{node}&resourceVersion=0&limit=500")
    same(head["items"], [], "before")
    with server.client.watch(
        "/api/v1/pods",
        resourceVersion=head["metadata"]["resourceVersion"],
        timeoutSeconds=10,
        **selector,
    ) as watch:
        _pod(server, space, server.name("other"))
        unbound = _pod(server, space, None)["metadata"]["name"]
        bound = _pod(server, space, node)["metadata"]["name"]
        event = watch.next()
        same((event["type"], event["object"]["metadata"]["name"]), ("ADDED", bound), "bound")
        statuses = [{"name": "c", "containerID": "containerd://1a", "image": "i", "imageID": ""}]
        body = {"status": {"containerStatuses": statuses}}
        server.patch(f"{path}/{bound}/status", body)
        event = watch.next()
        same(event["type"], "MODIFIED", "its status")
        found = event["object"]["status"]["containerStatuses"][0]
        same(found["containerID"], "containerd://1a", "its container")
        server.delete(f"{path}/{unbound}")
        server.delete(f"{path}/{bound}", {"gracePeriodSeconds": 0})
        event = watch.next()
        # A real one may mark it before it takes it away.
        marked = event["type"] == "MODIFIED" and "deletionTimestamp" in event["object"]["metadata"]
        if marked and not server.stand_in:
            event = watch.next()
        same((event["type"], event["object"]["metadata"]["name"]), ("DELETED", bound), "deleted")


def test_pod_deletion(server):
    """a pod on a node is marked first and goes with a grace of 0"""
    space = _pod_space(server)
    path = f"/api/v1/namespaces/{space}/pods"
    pod = _pod(server, space, server.name("node"))
    below = f"{path}/{pod['metadata']['name']}"
    server.delete(below)
    metadata = server.get(below)["metadata"]
    same(metadata["deletionGracePeriodSeconds"], 30, "grace")
    check("deletionTimestamp" in metadata, "it is not marked")
    server.delete(below, {"gracePeriodSeconds": 0})
    server.get(below, code=404, reason="NotFound")
    pod = _pod(server, space, None)
    server.delete(f"{path}/{pod['metadata']['name']}")
    server.get(f"{path}/{pod['metadata']['name']}", code=404, reason="NotFound")


def test_pod_status(server):
    """merged by the key of each list"""
    space = _pod_space(server)
    pod = _pod(server, space, server.name("node"))
    path = f"/api/v1/namespaces/{space}/pods/{pod['metadata']['name']}/status"
    status = {"phase": "Running", "podIP": "10.1.0.5", "podIPs": [{"ip": "10.1.0.5"}]}
    found = server.patch(path, {"status": status}, "application/strategic-merge-patch+json")
    same(found["status"]["phase"], "Running", "phase")
    same(found["status"]["podIPs"], [{"ip": "10.1.0.5"}], "podIPs")


def test_delete_many(server):
    """DELETE of a collection takes what the selector picks"""
    space = server.namespace()
    for label in ("1", "2"):
        body = {"metadata": {"name": server.name(), "labels": {"a": label}}}
        server.create(server.lease_path(space), body)
    server.delete(f"{server.lease_path(space)}?labelSelector=a%3D1")
    left = server.get(server.lease_path(space))["items"]
    same([one["metadata"]["labels"]["a"] for one in left], ["2"], "left")
