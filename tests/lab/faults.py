# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The faults that a lab can be given, and how each is lifted again.

They act on what the bridge forwards: a drop that the sender's own stack sees would be reported to
its TCP and behave like no loss. The exceptions say so: output_drop() is the sender's own.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

from system import HERE, NAMESPACES, LabError, run, start_time


class Moment:
    """When a fault was set or lifted: CLOCK_MONOTONIC ns just before and just after the command."""

    def __init__(self, before_ns, after_ns):
        self.before_ns = before_ns
        self.after_ns = after_ns


class Faults:
    """The part of class Lab that breaks things."""

    def _node(self, node):
        if node not in self.nodes:
            raise LabError(f"no node '{node}'; this lab has n1 to {self.nodes[-1]}")
        return node

    def _switch_rules(self, faults):
        rules = []
        for fault in faults:
            kind = fault["kind"]
            if kind == "cut":
                rules += [f'iifname "{fault["node"]}" drop', f'oifname "{fault["node"]}" drop']
            elif kind == "split":
                sides = [" , ".join(f'"{node}"' for node in side) for side in fault["sides"]]
                rules += [
                    f"iifname {{ {a} }} oifname {{ {b} }} drop"
                    for a in sides
                    for b in sides
                    if a != b
                ]
            elif kind == "oneway":
                match = "" if fault["from"] == "all" else f'iifname "{fault["from"]}" '
                match += "" if fault["to"] == "all" else f'oifname "{fault["to"]}" '
                # Address resolution passes, or the way back would die with the neighbour entry.
                rules.append(match + "ether type ip drop")
                rules.append(
                    match
                    + "ether type ip6 icmpv6 type != { nd-neighbor-solicit, nd-neighbor-advert }"
                    " drop"
                )
                rules.append(match + "ether type ip6 meta l4proto != icmpv6 drop")
            elif kind == "udp":
                rules.append(
                    f'iifname "{fault["from"]}" oifname "{fault["to"]}" udp dport {fault["port"]} drop'
                )
            elif kind == "loss":
                a, b = fault["node"], fault["peer"]
                if a == "all":
                    matches = [""]
                elif b == "all":
                    matches = [f'iifname "{a}" ', f'oifname "{a}" ']
                else:
                    matches = [f'iifname "{x}" oifname "{y}" ' for x, y in ((a, b), (b, a))]
                share = round(fault["percent"] * 100)
                for match in matches:
                    rules.append(match + "counter")
                    rules.append(match + f"numgen random mod 10000 < {share} counter drop")
        return rules

    def prepare_switch(self):
        self._nft(
            "switch",
            (
                "table bridge lab {\n\tchain forward {\n"
                "\t\ttype filter hook forward priority 0; policy accept;\n\t}\n}\n"
            ),
        )

    def _add_rules(self, faults, flush=False):
        """Removing rules makes nft wait for the kernel for 10 ms, so new faults are only added."""
        rules = "".join(
            f"add rule bridge lab forward {rule}\n" for rule in self._switch_rules(faults)
        )
        return self._nft("switch", ("flush chain bridge lab forward\n" if flush else "") + rules)

    def _nft(self, node, text):
        # Not 'ip netns exec', which mounts, too: the moment is to be as sharp as possible.
        enter = f"--net={os.path.join(NAMESPACES, self.namespace(node))}"
        before_ns = time.monotonic_ns()
        run(["nsenter", enter, "nft", "-f", "-"], text)
        return Moment(before_ns, time.monotonic_ns())

    def _switch_fault(self, **fault):
        with self._change() as state:
            state["faults"].append(fault)
            return self._add_rules([fault])

    def cut(self, node):
        """Nothing passes between this node and the others, either way."""
        return self._switch_fault(kind="cut", node=self._node(node))

    def split(self, *sides):
        """Nothing passes between nodes of different sides, each a list; who is in none is free.
        When all nodes are on a side, hosts that are no nodes are with the most of them."""
        named = [node for side in sides for node in side]
        for node in named:
            self._node(node)
        if len(sides) < 2 or len(set(named)) < len(named) or not all(sides):
            raise LabError("a split takes two sides and more, and each node on one of them")
        placed = [list(side) for side in sides]
        if set(named) == set(self.nodes):
            max(placed, key=len).extend(self.hosts)
        return self._switch_fault(kind="split", sides=placed)

    def oneway(self, source, target):
        """No IP passes from one node to the other; the way back stays open. "all" is allowed."""
        if source == target == "all":
            raise LabError("a one-way cut needs a node on one side")
        for node in {source, target} - {"all"}:
            self._node(node)
        return self._switch_fault(kind="oneway", **{"from": source, "to": target})

    def udp_drop(self, source, target, port=9480):
        """No UDP to that port passes from one node to the other; all else does."""
        for node in (source, target):
            self._node(node)
        return self._switch_fault(kind="udp", **{"from": source, "to": target}, port=port)

    def loss(self, node, percent, peer="all"):
        """Random loss each way, of one pair, of one node, or ("all") of every pair."""
        if not 0 < percent < 100:
            raise LabError(f"a loss is more than 0 and less than 100 %, not {percent}")
        for name in {node, peer} - {"all"}:
            self._node(name)
        return self._switch_fault(kind="loss", node=node, peer=peer, percent=percent)

    def measured_loss(self):
        """(packets that loss rules have seen, of these dropped) since the last change."""
        done = run(
            self.command("switch", ["nft", "-j", "list", "chain", "bridge", "lab", "forward"])
        )
        seen = lost = 0
        for item in json.loads(done.stdout)["nftables"]:
            expressions = item.get("rule", {}).get("expr", [])
            packets = sum(part["counter"]["packets"] for part in expressions if "counter" in part)
            if any("drop" in part for part in expressions):
                lost += packets
            else:
                seen += packets
        return seen, lost

    def link_down(self, node):
        """Pulls the cable: the switch's port goes down and the node's eth0 loses its carrier."""
        with self._change() as state:
            state["faults"].append({"kind": "link", "node": self._node(node)})
            before_ns = time.monotonic_ns()
            run(["ip", "-n", self.switch, "link", "set", node, "down"])
            return Moment(before_ns, time.monotonic_ns())

    def output_drop(self, node):
        """The node's own firewall drops what it sends; its TCP learns of it and does not resend."""
        with self._change() as state:
            state["faults"].append({"kind": "output", "node": self._node(node)})
            return self._nft(
                node,
                (
                    "table inet lab {\n\tchain output {\n\t\ttype filter hook output priority 0;\n"
                    '\t\toifname != "lo" drop\n\t}\n}\n'
                ),
            )

    def stop(self, node):
        """SIGSTOP for the node's agent; its kernel goes on answering."""
        with self._change() as state:
            if self._node(node) not in state["agents"]:
                raise LabError(f"{node} runs no agent")
            state["faults"].append({"kind": "stop", "node": node})
            before_ns = time.monotonic_ns()
            os.kill(state["agents"][node], signal.SIGSTOP)
            return Moment(before_ns, time.monotonic_ns())

    def stop_all(self, node):
        """SIGSTOP for every process of the node: agent, store, applications."""
        with self._change() as state:
            before_ns = time.monotonic_ns()
            pids = self._processes(self._node(node))
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            state["faults"].append({"kind": "stop-all", "node": node})
            return Moment(before_ns, time.monotonic_ns())

    def _processes(self, node):
        listed = run(["ip", "netns", "pids", self.namespace(node)]).stdout
        return [int(pid) for pid in listed.split() if int(pid) != os.getpid()]

    def flap(self, node, on_ms, off_ms):
        """Cut for on_ms, open for off_ms, and so on, by a process of its own, until healed."""
        if min(on_ms, off_ms) < 10:
            raise LabError("a flap's periods are at least 10 ms")
        fault = {"kind": "flap", "node": self._node(node), "on_ms": on_ms, "off_ms": off_ms}
        before_ns = time.monotonic_ns()
        flapper = subprocess.Popen(
            [
                sys.executable,
                "-B",
                os.path.join(HERE, "lab"),
                "_flap",
                str(self.owner),
                node,
                str(on_ms),
                str(off_ms),
            ],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._helpers.append(flapper)
        with self._change() as state:
            state["faults"].append(
                {**fault, "pid": flapper.pid, "started": start_time(flapper.pid)}
            )
        return Moment(before_ns, time.monotonic_ns())

    def run_flap(self, node, on_ms, off_ms):
        """The flapping itself; ends when the lab does or when it is killed by heal()."""
        table = f"lab_{node}_flap"
        close = (
            f"table bridge {table} {{\n\tchain forward {{\n"
            "\t\ttype filter hook forward priority 0; policy accept;\n"
            f'\t\tiifname "{node}" drop\n\t\toifname "{node}" drop\n\t}}\n}}\n'
        )
        phases = ((close, on_ms), (f"delete table bridge {table}\n", off_ms))
        due = time.monotonic()
        while True:
            for text, period_ms in phases:
                try:
                    # Under the lock, so that heal() never meets it half way.
                    with self._change():
                        self._nft("switch", text)
                except (LabError, OSError):
                    if os.path.isdir(self.directory):
                        raise
                    return
                due += period_ms / 1000
                time.sleep(max(0.0, due - time.monotonic()))

    def heal(self, kind=None, node=None):
        """Lifts all faults, or those of a kind or a node. The moment is that of the switch."""
        with self._change() as state:
            lifted = [
                fault
                for fault in state["faults"]
                if kind in (None, fault["kind"])
                and (
                    node is None
                    or node
                    in (
                        fault.get("node"),
                        fault.get("peer"),
                        fault.get("from"),
                        fault.get("to"),
                        *(name for side in fault.get("sides", []) for name in side),
                    )
                )
            ]
            state["faults"] = [fault for fault in state["faults"] if fault not in lifted]
            moment = self._add_rules(state["faults"], flush=True)
            for fault in lifted:
                where = fault.get("node")
                if fault["kind"] == "link":
                    run(["ip", "-n", self.switch, "link", "set", where, "up"])
                elif fault["kind"] == "output":
                    self._nft(where, "add table inet lab\ndelete table inet lab\n")
                elif fault["kind"] == "stop":
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(state["agents"][where], signal.SIGCONT)
                elif fault["kind"] == "stop-all":
                    for pid in self._processes(where):
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGCONT)
                elif fault["kind"] == "flap":
                    if start_time(fault["pid"]) == fault["started"]:
                        os.kill(fault["pid"], signal.SIGKILL)
                    table = f"lab_{where}_flap"
                    # 'add' first, so that deleting does not depend on where in its period it was.
                    self._nft("switch", f"add table bridge {table}\ndelete table bridge {table}\n")
            return Moment(moment.before_ns, time.monotonic_ns())
