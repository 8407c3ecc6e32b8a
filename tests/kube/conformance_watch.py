# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Watches."""

from conformance import LEASES, check, path_of, same


def _told(event):
    return event["type"], event["object"]["metadata"]["name"]


def test_watch(server):
    """what happens after a version, in order, each with its version"""
    space = server.namespace()
    path = server.lease_path(space)
    start = server.get(path)["metadata"]["resourceVersion"]
    made = server.lease(space, holderIdentity="a")
    name = made["metadata"]["name"]
    with server.client.watch(path, resourceVersion=start, timeoutSeconds=10) as watch:
        event = watch.next()
        same(_told(event), ("ADDED", name), "first")
        same(event["object"]["kind"], "Lease", "kind")
        same(event["object"]["apiVersion"], "coordination.k8s.io/v1", "apiVersion")
        changed = server.put(path_of(server, made), {**made, "spec": {"holderIdentity": "b"}})
        event = watch.next()
        same(_told(event), ("MODIFIED", name), "second")
        same(event["object"]["metadata"], changed["metadata"], "metadata")
        server.delete(path_of(server, made))
        event = watch.next()
        same(_told(event), ("DELETED", name), "third")
        same(event["object"]["spec"], {"holderIdentity": "b"}, "its last state")
        versions = [int(changed["metadata"]["resourceVersion"])]
        versions.append(int(event["object"]["metadata"]["resourceVersion"]))
        check(versions[0] < versions[1], "the end has no version of its own")


def test_watch_from_now(server):
    """without a version, or 0, all that there is comes first"""
    space = server.namespace()
    names = sorted(server.lease(space)["metadata"]["name"] for _ in range(2))
    for more in ({}, {"resourceVersion": "0"}):
        with server.client.watch(server.lease_path(space), timeoutSeconds=10, **more) as watch:
            found = sorted(_told(watch.next()) for _ in names)
            same(found, [("ADDED", name) for name in names], "events")


def test_watch_ends(server):
    """after timeoutSeconds, as a whole answer"""
    space = server.namespace()
    with server.client.watch(server.lease_path(space), timeoutSeconds=1) as watch:
        same(watch.all(), [], "events")


def test_watch_of_one(server):
    """fieldSelector metadata.name"""
    space = server.namespace()
    made = server.lease(space)
    name = made["metadata"]["name"]
    with server.client.watch(
        server.lease_path(space),
        fieldSelector=f"metadata.name={name}",
        resourceVersion=made["metadata"]["resourceVersion"],
        timeoutSeconds=10,
    ) as watch:
        server.lease(space)
        server.patch(path_of(server, made), {"spec": {"holderIdentity": "x"}})
        same(_told(watch.next()), ("MODIFIED", name), "event")


def test_watch_of_labels(server):
    """an object that comes into the selection is added, one that leaves it deleted"""
    space = server.namespace()
    made = server.lease(space)
    path, name = path_of(server, made), made["metadata"]["name"]
    with server.client.watch(
        server.lease_path(space),
        labelSelector="a=1",
        resourceVersion=made["metadata"]["resourceVersion"],
        timeoutSeconds=10,
    ) as watch:
        server.patch(path, {"metadata": {"labels": {"a": "1"}}})
        same(_told(watch.next()), ("ADDED", name), "coming")
        gone = server.patch(path, {"metadata": {"labels": {"a": "2"}}})
        event = watch.next()
        same(_told(event), ("DELETED", name), "leaving")
        version = event["object"]["metadata"]["resourceVersion"]
        same(version, gone["metadata"]["resourceVersion"], "version")


def test_watch_bookmarks(server):
    """a kind and a version without an object, for those who allow them"""
    space = server.namespace()
    made = server.lease(space)
    with server.client.watch(
        server.lease_path(space),
        resourceVersion=made["metadata"]["resourceVersion"],
        allowWatchBookmarks="true",
        timeoutSeconds=4,
    ) as watch:
        # No bookmark tells what the client said itself.
        later = int(server.lease()["metadata"]["resourceVersion"])
        event = watch.next()
        check(event is not None, "no bookmark before the end")
        same(event["type"], "BOOKMARK", "type")
        same(event["object"]["kind"], "Lease", "kind")
        same(event["object"]["apiVersion"], "coordination.k8s.io/v1", "apiVersion")
        version = int(event["object"]["metadata"]["resourceVersion"])
        check(version >= later, f"an old version: {version}, not {later}")
        check(not event["object"]["metadata"].get("name"), "a bookmark has a name")


def test_watch_of_all_namespaces(server):
    """the path without a namespace"""
    space = server.namespace()
    start = server.get(f"{LEASES}/leases")["metadata"]["resourceVersion"]
    name = server.lease(space)["metadata"]["name"]
    with server.client.watch(f"{LEASES}/leases", resourceVersion=start, timeoutSeconds=10) as watch:
        # A live server has leases of its own.
        while _told(watch.next()) != ("ADDED", name):
            pass


def test_watch_of_no_version(server):
    """refused when it is no number"""
    answer = server.client.call("GET", f"{LEASES}/leases?watch=1&resourceVersion=x")
    check(answer.code in (400, 422, 500), f"code: {answer}")


def test_watch_of_both_event_interfaces(server):
    """an event of one interface is told by the other"""
    core = "/api/v1/namespaces/default/events"
    start = server.get(core)["metadata"]["resourceVersion"]
    path = "/apis/events.k8s.io/v1/namespaces/default/events"
    with server.client.watch(path, resourceVersion=start, timeoutSeconds=10) as watch:
        body = {
            "metadata": {"name": server.name("event")},
            "involvedObject": {"kind": "Node", "name": "n1"},
            "message": "m",
        }
        server.create(core, body)
        while (event := watch.next())["object"]["metadata"]["name"] != body["metadata"]["name"]:
            pass
        same((event["object"]["note"], event["object"]["regarding"]["name"]), ("m", "n1"), "event")
