# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Tests of how the agents act: in mode advise, by the hook, and behind a fence that must stay."""

import json
import os
import signal

from cluster import check, wait_for
from store import ISOLATIONS, ROWS

JOIN_SECONDS = 15
# A read of the store takes 32 keys at a time: so many take some 60 reads, longer than a turn of the
# agent.
RECORDS_OF_OTHERS = 2000
# Twice the time after which what was not done is asked for again.
ADVISE_SECONDS = 5


def hook(lab, more=()):
    """The part of isolation that has all actions noted, one JSON object a line; with more actions."""
    # The object comes without a newline: read keeps it, and says that it met the end.
    command = f"read -r line; printf '%s\\n' \"$line\" >>{hook_file(lab)}"
    actions = ", ".join(["fence", "hook", *more])
    return f"actions: [{actions}], hook: {{argv: [/bin/sh, -c, {json.dumps(command)}]}}"


def hook_file(lab):
    return lab.path("hook.jsonl")


def hooks_run(lab):
    try:
        with open(hook_file(lab), encoding="utf-8") as file:
            return [json.loads(line) for line in file]
    except FileNotFoundError:
        return []


def test_hook(cluster):
    """the hook runs on the actor for isolation and release, and on the node for its fence"""
    lab = cluster.lab
    lab.store.forget_isolations()
    cluster.wait_well()
    if os.path.exists(hook_file(lab)):
        os.unlink(hook_file(lab))
    cluster.fault(lambda: lab.cut("n5"))
    cluster.expect_verdict("node-unreachable", ["n5"], ["n1", "n2", "n3", "n4"])
    cluster.expect_isolated(["n5"])
    cluster.expect_fenced(["n5"])
    actor = cluster.actor()
    lab.heal()
    cluster.expect_said("released", node="n5")
    cluster.expect_said("unfenced", witness="n5")

    def of(action):
        return [run for run in hooks_run(lab) if run["action"] == action]

    wanted = {"isolate": actor, "fence": "n5", "release": actor, "unfence": "n5"}
    wait_for(
        lambda: all(of(action) for action in wanted), lambda: f"the hook ran for {hooks_run(lab)}", 5
    )
    for action, by in wanted.items():
        runs = of(action)
        check(len(runs) == 1, f"{action}: {runs}")
        check(runs[0]["node"] == "n5" and runs[0]["by"] == by, f"{runs[0]}, expected by {by}")
    check(of("isolate")[0]["class"] == "node-unreachable", f"{of('isolate')[0]}")
    check("n5" in of("isolate")[0]["sentence"], f"{of('isolate')[0]}")


def _restart(cluster, mode):
    cluster.lab.stop_agents()
    cluster.lab.mode = mode
    cluster.lab.start_agents()
    cluster.lab.wait_all_heard(JOIN_SECONDS)
    cluster.wait_well()


def test_advise(cluster):
    """mode advise: told and journalled once, nobody is isolated or fenced, and no hook runs"""
    lab = cluster.lab
    lab.store.forget_isolations()
    _restart(cluster, "advise")
    try:
        runs_before = len(hooks_run(lab))
        cluster.fault(lambda: lab.cut("n5"))
        cluster.expect_verdict("node-unreachable", ["n5"], ["n1", "n2", "n3", "n4"])
        cluster.expect_said("advised", 5, node="n5")
        cluster.expect_said("fence advised", 5, witness="n5")
        cluster.expect_nobody_isolated(ADVISE_SECONDS)
        check(not any(cluster.has_fence(node) for node in lab.nodes), "a fence is up")
        check(len(hooks_run(lab)) == runs_before, f"the hook ran: {hooks_run(lab)[runs_before:]}")
        check(not lab.store.isolations(), "there is a record in the store")
        advised = cluster.witness.of_kind("advised")
        check(len(advised) == 1, f"advised {len(advised)} times: by {[a['witness'] for a in advised]}")
        actor = cluster.actor()
        check(advised[0]["witness"] == actor, f"{advised[0]['witness']} advises, {actor} is the actor")
        refused = lab.tocsin(actor, "isolate", "-s", lab.path(actor), "n4")
        check(refused.returncode == 1 and "'mode'" in refused.stderr, f"it says: {refused.stderr}")
        # Its findings are of the whole machine, and other tests run there.
        open_now = [
            i
            for i in cluster.incidents(actor)
            if i.get("state") == "open" and i["by"] != "finding"
        ]
        check(
            [i["subject"] for i in open_now] == [["n5"]] and open_now[0]["decision"]["acts"] is False,
            f"the journal of {actor} has {open_now}",
        )
    finally:
        lab.heal()
        _restart(cluster, "enforce")


def test_fence_stays(cluster):
    """a fence stays while its node reads a store with many records anew"""
    lab, store = cluster.lab, cluster.lab.store
    store.forget_isolations()
    cluster.wait_well()
    node = next(name for name in reversed(lab.nodes) if name != cluster.actor())
    cluster.by_hand("isolate", node)
    cluster.fault(lambda: None)
    wait_for(lambda: cluster.has_fence(node), f"{node} is not fenced", 5)
    # Of nodes that are configured nowhere here; all come before the node's own in the order of keys.
    for number in range(RECORDS_OF_OTHERS):
        store.put("n1", f"{ISOLATIONS}a{number}", "{}")
    try:
        for number in range(3):
            cluster.witness.forget()
            _value, lease = store.values("n1", ROWS)[ROWS + node]
            store.revoke("n1", lease)
            cluster.expect_said("lease lost", 5)
            cluster.expect_said("store connected", 10, witness=node)
            check(
                not cluster.witness.of_kind("unfenced"),
                f"reading {number + 1}: {cluster.timeline()}",
            )
            check(cluster.has_fence(node), f"reading {number + 1}: the fence is gone")
            # What is told once more is no other isolation.
            again = cluster.witness.of_kind("isolated", witness=node)
            check(not again, f"reading {number + 1}: {again}")
        cluster.by_hand("release", node)
        cluster.expect_said("unfenced", witness=node)
    finally:
        store.forget_isolations()


def test_release_missed(cluster):
    """a release that an agent was not there to see is told when it reads the store anew"""
    lab = cluster.lab
    lab.store.forget_isolations()
    cluster.wait_well()
    actor = cluster.actor()
    node, sleeper = [name for name in reversed(lab.nodes) if name != actor][:2]
    cluster.by_hand("isolate", node)
    cluster.expect_said("isolated", witness=sleeper, node=node)
    cluster.fault(lambda: lab.agents[sleeper].send_signal(signal.SIGSTOP))
    try:
        # When its lease has ended, it must read all.
        cluster.expect_said("verdict", subjects=sleeper, **{"class": "agent-down"})
        lab.store.forget_isolations()
        cluster.expect_said("released", witness=actor, node=node)
    finally:
        lab.agents[sleeper].send_signal(signal.SIGCONT)
    cluster.expect_said("released", witness=sleeper, node=node)
    cluster.wait_well()


TESTS = [test_hook, test_advise, test_fence_stays, test_release_missed]
