# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Tests of what the agents make of the Node objects of Kubernetes, and do to them."""

import subprocess
import time
from functools import partial

from cluster import check, wait_for
from store_kubernetes import MERGE, NAMESPACE

ISOLATED = "tocsin.dev/isolated"
PAUSE = "tocsin.dev/pause"
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
UNHEALTHY = "tocsin.dev/unhealthy"
SECONDS = 10
# Longer than the hold-down of the lab.
HELD_SECONDS = 5
LOSS_PERCENT, LOSS_SECONDS, LOSS_FORGOTTEN_SECONDS = 20, 60, 240
PORT = 7777
EXTRA = (
    f"watch: [{{port: {PORT}}}]\n"
    "findings: {watched-process-died: {response: no-schedule}}\n"
)
# What nobody says again when nothing but the members changes.
UNCHANGED = [
    "verdict", "cleared", "isolated", "released", "fenced", "unfenced",
    "store connected", "store not connected",
]
OTHERS_TAINT = {"key": "example.com/mine", "effect": "NoSchedule"}

_wait = partial(wait_for, seconds=SECONDS)


def _taints(lab, node):
    """(key, effect) of each."""
    taints = lab.store.node(node).get("spec", {}).get("taints", [])
    return {(taint["key"], taint["effect"]) for taint in taints}


def _is_cordoned(lab, node):
    return lab.store.node(node).get("spec", {}).get("unschedulable", False)


def _conditions(lab, node):
    """{type: condition}."""
    conditions = lab.store.node(node).get("status", {}).get("conditions", [])
    return {condition["type"]: condition for condition in conditions}


def _events(lab, node):
    """{reason: event}."""
    _status, answer = lab.store.call("GET", "/api/v1/namespaces/default/events")
    return {
        event["reason"]: event
        for event in answer["items"]
        if event["involvedObject"]["name"] == node
    }


def _annotate(lab, node, key, value):
    patch = {"metadata": {"annotations": {key: value}}}
    status, answer = lab.store.call("PATCH", f"/api/v1/nodes/{node}", patch, MERGE)
    check(status == 200, f"{node} cannot be annotated: {answer}")


def test_taints(cluster):
    """an isolated node is tainted and cordoned, and evicted once it is fenced; what others added stays"""
    lab = cluster.lab
    lab.store.forget_isolations()
    cluster.wait_well()
    patch = {"spec": {"taints": [OTHERS_TAINT]}}
    status, answer = lab.store.call("PATCH", "/api/v1/nodes/n5", patch, MERGE)
    check(status == 200, f"n5 cannot be tainted: {answer}")
    others = {(OTHERS_TAINT["key"], OTHERS_TAINT["effect"])}
    cluster.fault(lambda: lab.cut("n5"))
    cluster.expect_isolated(["n5"])
    # It is cut off from the API as well: nobody can know that it is fenced, and so it is not evicted.
    wanted = others | {(ISOLATED, "NoSchedule")}
    _wait(lambda: _taints(lab, "n5") >= wanted, lambda: f"n5 has {_taints(lab, 'n5')}")
    cluster.expect_fenced(["n5"])
    check(_taints(lab, "n5") == wanted, f"n5 has {_taints(lab, 'n5')}")
    check(_is_cordoned(lab, "n5"), "n5 is not cordoned")
    _wait(
        lambda: _conditions(lab, "n5").get("NetworkPartitioned", {}).get("status") == "True",
        lambda: f"conditions of n5: {_conditions(lab, 'n5')}",
    )
    condition = _conditions(lab, "n5")["NetworkPartitioned"]
    check(condition["reason"] == "NodeUnreachable", f"{condition}")
    check("n5" in condition["message"], f"{condition}")
    _wait(
        lambda: {"Isolated", "NetworkPartitioned"} <= set(_events(lab, "n5")),
        lambda: f"events of n5: {sorted(_events(lab, 'n5'))}",
    )
    for node in lab.nodes[:4]:
        check(not _taints(lab, node) and not _is_cordoned(lab, node), f"{node} is tainted, too")
    lab.heal()
    # Healed it says itself that it is fenced, while it is held down.
    evicted = wanted | {(ISOLATED, "NoExecute")}
    _wait(lambda: _taints(lab, "n5") == evicted, lambda: f"n5 has {_taints(lab, 'n5')}")
    cluster.expect_said("released", node="n5")
    _wait(
        lambda: _taints(lab, "n5") == others and not _is_cordoned(lab, "n5"),
        lambda: f"n5 has {_taints(lab, 'n5')}",
    )
    annotations = lab.store.node("n5")["metadata"].get("annotations", {})
    check(f"{ISOLATED}-added" not in annotations, f"annotations of n5: {annotations}")
    _wait(
        lambda: _conditions(lab, "n5")["NetworkPartitioned"]["status"] == "False",
        lambda: f"conditions of n5: {_conditions(lab, 'n5')}",
    )
    _wait(lambda: "Released" in _events(lab, "n5"), lambda: f"{sorted(_events(lab, 'n5'))}")
    lab.store.call("PATCH", "/api/v1/nodes/n5", {"spec": {"taints": None}}, MERGE)


def test_cordon_of_others(cluster):
    """a node that a person has cordoned stays cordoned after its isolation"""
    lab = cluster.lab
    lab.store.forget_isolations()
    cluster.wait_well()
    lab.store.call("PATCH", "/api/v1/nodes/n5", {"spec": {"unschedulable": True}}, MERGE)
    cluster.by_hand("isolate", "n5" if cluster.actor() != "n5" else "n4")
    _wait(lab.store.isolations, "nobody is isolated")
    node = next(iter(lab.store.isolations()))
    _wait(lambda: (ISOLATED, "NoSchedule") in _taints(lab, node), f"{node} is not tainted")
    # Its row tells that it is fenced: the API is left open.
    _wait(lambda: (ISOLATED, "NoExecute") in _taints(lab, node), f"{node} is not evicted")
    cluster.by_hand("release", node)
    _wait(lambda: not _taints(lab, node), f"{node} is still tainted")
    check(_is_cordoned(lab, "n5"), "n5 is not cordoned any more")
    lab.store.call("PATCH", "/api/v1/nodes/n5", {"spec": {"unschedulable": None}}, MERGE)


def test_node_paused(cluster):
    """a Node with the annotation tocsin.dev/pause is not isolated, and is not released, until it is taken away"""
    lab = cluster.lab
    lab.store.forget_isolations()
    cluster.wait_well()
    node = next(name for name in reversed(lab.nodes) if name != cluster.actor())
    _annotate(lab, node, PAUSE, "maintenance")
    try:
        cluster.fault(lambda: lab.cut(node))
        cluster.expect_said("refused", rule="paused")
        cluster.witness.wait(1.5, lambda: False)
        check(not cluster.witness.of_kind("isolated"), f"isolated: {cluster.witness.of_kind('isolated')}")
        check(not _taints(lab, node), f"{node} is tainted: {_taints(lab, node)}")
        _annotate(lab, node, PAUSE, None)
        cluster.expect_isolated([node])
        _wait(lambda: (ISOLATED, "NoSchedule") in _taints(lab, node), f"{node} is not tainted")
        _annotate(lab, node, PAUSE, "maintenance")
        lab.heal()
        cluster.expect_said("cleared", **{"class": "node-unreachable"})
        cluster.witness.wait(HELD_SECONDS, lambda: False)
        check(not cluster.witness.of_kind("released"), f"{node} is released")
        check((ISOLATED, "NoSchedule") in _taints(lab, node), f"{node} is not tainted any more")
    finally:
        lab.heal()
        _annotate(lab, node, PAUSE, None)
    cluster.expect_said("released", node=node)
    _wait(lambda: not _taints(lab, node), f"{node} is still tainted")


def test_all_paused(cluster):
    """a TocsinNode with the annotation tocsin.dev/pause pauses all acting, as a file does"""
    lab = cluster.lab
    lab.store.forget_isolations()
    cluster.wait_well()
    path = f"/apis/tocsin.dev/v1/namespaces/{NAMESPACE}/tocsinnodes/n2"
    cut = "n5" if cluster.actor() != "n5" else "n4"

    def pause(value):
        status, answer = lab.store.call("PATCH", path, {"metadata": {"annotations": {PAUSE: value}}}, MERGE)
        check(status == 200, f"n2 cannot be annotated: {answer}")
        cluster.wait_paused(value is not None)

    pause("maintenance")
    try:
        cluster.fault(lambda: lab.cut(cut))
        cluster.expect_said("refused", rule="paused")
        cluster.witness.wait(1.5, lambda: False)
        check(not cluster.witness.of_kind("isolated"), f"isolated: {cluster.witness.of_kind('isolated')}")
        lab.heal()
        cluster.expect_said("cleared", **{"class": "node-unreachable"})
        cluster.wait_no_verdicts()
    finally:
        lab.heal()
        pause(None)


def test_control_plane(cluster):
    """of nodes that the label says to be of the control plane one is isolated at a time, and no second one"""
    lab = cluster.lab
    lab.store.forget_isolations()
    cluster.wait_well()
    actor = cluster.actor()
    first, second, third = [name for name in lab.nodes if name != actor][:3]
    label = {"metadata": {"labels": {CONTROL_PLANE: ""}}}
    for node in (first, second, third):
        status, answer = lab.store.call("PATCH", f"/api/v1/nodes/{node}", label, MERGE)
        check(status == 200, f"{node} cannot be labelled: {answer}")
    try:
        cluster.by_hand("isolate", first)
        done = None

        def is_refused():
            # Until the actor has been told of the labels and of its own record another rail refuses.
            nonlocal done
            done = lab.tocsin(actor, "isolate", "-s", lab.path(actor), second)
            return done.returncode == 1 and "store-quorum" in done.stdout + done.stderr

        _wait(is_refused, lambda: f"{actor} says: {done.stdout}{done.stderr}")
        check(second not in lab.store.isolations(), f"{second} is isolated, too")
        cluster.by_hand("release", first)
        _wait(lambda: not _taints(lab, first), f"{first} is still tainted")
    finally:
        label["metadata"]["labels"][CONTROL_PLANE] = None
        for node in (first, second, third):
            lab.store.call("PATCH", f"/api/v1/nodes/{node}", label, MERGE)


def test_own_conditions(cluster):
    """each node says of its own health that it is well"""
    lab = cluster.lab
    for node in lab.nodes:
        _wait(
            lambda node=node: all(
                _conditions(lab, node).get(kind, {}).get("status") == "False"
                for kind in ("DiskStalled", "DiskSlow", "NodeOverloaded")
            ),
            lambda node=node: f"conditions of {node}: {_conditions(lab, node)}",
        )


def test_lossy_node(cluster):
    """a node whose links lose packets is degraded, and neither tainted nor isolated"""
    lab = cluster.lab
    lab.store.forget_isolations()
    cluster.wait_well()
    cluster.fault(lambda: lab.loss("n3", LOSS_PERCENT))
    wait_for(
        lambda: _conditions(lab, "n3").get("NetworkDegraded", {}).get("status") == "True",
        lambda: f"conditions of n3: {_conditions(lab, 'n3')}",
        seconds=LOSS_SECONDS,
    )
    condition = _conditions(lab, "n3")["NetworkDegraded"]
    check(condition["reason"] == "LossyLink", f"{condition}")
    check("n3" in condition["message"], f"{condition}")
    _wait(lambda: "NetworkDegraded" in _events(lab, "n3"), lambda: f"{sorted(_events(lab, 'n3'))}")
    check(not _taints(lab, "n3") and not _is_cordoned(lab, "n3"), f"n3 has {_taints(lab, 'n3')}")
    check(not lab.store.isolations(), f"isolated: {lab.store.isolations()}")
    lab.heal()
    # What was lost is remembered for a while.
    wait_for(
        lambda: _conditions(lab, "n3")["NetworkDegraded"]["status"] == "False",
        lambda: f"conditions of n3: {_conditions(lab, 'n3')}",
        seconds=LOSS_FORGOTTEN_SECONDS,
    )


def test_no_schedule(cluster):
    """a finding with response no-schedule keeps pods off its node while it stands"""
    lab = cluster.lab
    # The lab ends it: whoever ends it before makes a finding of it.
    command = ["setpriv", "--pdeathsig", "KILL", "socat", f"TCP-LISTEN:{PORT},reuseaddr,fork", "PIPE"]
    cluster.fault(lambda: None)
    service = subprocess.Popen(lab.command("n3", command))
    # It is looked for each second.
    time.sleep(2)
    check(not _taints(lab, "n3"), f"n3 has {_taints(lab, 'n3')}")
    service.kill()
    service.wait()
    _wait(
        lambda: _taints(lab, "n3") == {(UNHEALTHY, "NoSchedule")},
        lambda: f"n3 has {_taints(lab, 'n3')}: {cluster.timeline()}",
    )
    subprocess.Popen(lab.command("n3", command))
    _wait(lambda: not _taints(lab, "n3"), lambda: f"n3 has {_taints(lab, 'n3')}")
    annotations = lab.store.node("n3")["metadata"].get("annotations", {})
    check(f"{UNHEALTHY}-added" not in annotations, f"annotations of n3: {annotations}")


def _wait_members(lab, count, nodes):
    def members():
        return {node: len((lab.cluster(node) or {"nodes": []})["nodes"]) for node in nodes}

    _wait(lambda: set(members().values()) == {count}, lambda: f"members: {members()}")


def test_members(cluster):
    """a Node that is deleted is no member any more, one that is made is, and all else stays as it is"""
    lab = cluster.lab
    lab.store.forget_isolations()
    cluster.wait_well()
    others, cut = ["n1", "n2", "n3"], "n4"
    cluster.fault(lambda: lab.cut(cut))
    cluster.expect_verdict("node-unreachable", [cut], [*others, "n5"])
    cluster.expect_isolated([cut])
    cluster.expect_fenced([cut])
    actor = lab.cluster("n1")["store"]["actor_name"]
    for change, count in (("DELETE", 4), ("ADD", 5)):
        cluster.witness.forget()
        if change == "DELETE":
            status, answer = lab.store.call("DELETE", "/api/v1/nodes/n5")
            check(status == 200, f"n5 cannot be deleted: {answer}")
        else:
            lab.store.add_node("n5")
        _wait_members(lab, count, others)
        # As long as a verdict, or the loss of one, takes to be told.
        cluster.witness.wait(2, lambda: False)
        # n5 itself joins anew.
        for kind in UNCHANGED:
            said = [s for s in cluster.witness.of_kind(kind) if s["witness"] in others]
            check(not said, f"{change} of n5: {said}")
        if actor != "n5":
            now = lab.cluster("n1")["store"]["actor_name"]
            check(now == actor, f"{change} of n5: the actor was {actor}, and is {now}")
    lab.heal()
    cluster.expect_said("released", node=cut)
    cluster.wait_well()


TESTS = [
    test_own_conditions, test_taints, test_cordon_of_others, test_node_paused, test_all_paused, test_control_plane,
    # The last one: loss is remembered for minutes, and a cut of the same node adds to it.
    test_no_schedule, test_members, test_lossy_node,
]  # fmt: skip
