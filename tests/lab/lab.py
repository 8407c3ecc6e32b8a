# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""N nodes as network namespaces on a switch that can be told to fail.

Every node n1..nN is a namespace tocsin-<pid>-nX with 10.77.0.X and fd77::X on eth0; its cable ends
in port nX of a bridge in the namespace tocsin-<pid>-switch. Other hosts, without an agent, may be on
it, too. The machine's own network stays as is.
<pid> is the owner: when it is gone, anyone may remove what it left (Lab.clean()).

    with Lab(3, build="build") as lab:
        lab.start_agents()
        lab.cut("n3")
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from faults import Faults
from system import COMMAND_SECONDS, HERE, NAMESPACES, LabError, run, start_time

REGISTRY = "/run/tocsin-lab"
AGENT_STOP_SECONDS = 3
NODES_MAX = 64
# Those that may be there beside the nodes: the last number of their addresses.
HOSTS = {"api": 250}


class Lab(Faults):
    """One lab. The process that enters it owns it and removes it when it leaves."""

    def __init__(
        self,
        nodes=5,
        build="build",
        extra="",
        owner=None,
        mode="observe",
        members=True,
        hosts=(),
    ):
        """extra: YAML lines appended to every agent's configuration. owner: see attach().
        members: each agent is told of the others. hosts: see HOSTS."""
        if not 2 <= nodes <= NODES_MAX:
            raise LabError(f"a lab has 2 to {NODES_MAX} nodes, not {nodes}")
        self.owner = owner or os.getpid()
        self.nodes = [f"n{i}" for i in range(1, nodes + 1)]
        self.build = os.path.abspath(build)
        self.extra = extra
        self.mode = mode
        self.members = members
        self.hosts = list(hosts)
        self.store = None  # a Store, when the agents share one
        self.directory = os.path.join(REGISTRY, str(self.owner))
        self.agents = {}
        self._helpers = []

    @classmethod
    def attach(cls, owner):
        """A lab that another process owns."""
        with open(os.path.join(REGISTRY, str(owner), "state.json"), encoding="utf-8") as file:
            state = json.load(file)
        return cls(len(state["nodes"]), state["build"], state["extra"], owner)

    @staticmethod
    def running():
        """The owners of all labs that are up and have one."""
        owners = []
        for name in _listed(REGISTRY):
            try:
                with open(os.path.join(REGISTRY, name, "state.json"), encoding="utf-8") as file:
                    state = json.load(file)
            except (OSError, ValueError):
                continue
            if start_time(name) == state["started"]:
                owners.append(int(name))
        return sorted(owners)

    # Up and down

    def namespace(self, node):
        return f"tocsin-{self.owner}-{node}"

    @property
    def switch(self):
        return self.namespace("switch")

    @staticmethod
    def _number(node):
        return HOSTS.get(node) or int(node[1:])

    def address(self, node):
        return f"10.77.0.{self._number(node)}"

    def address6(self, node):
        return f"fd77::{self._number(node):x}"

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def __enter__(self):
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *_exception):
        self.down()

    def up(self):
        Lab.clean()
        os.makedirs(REGISTRY, mode=0o700, exist_ok=True)
        os.mkdir(self.directory, mode=0o700)
        # Before anything else exists, so that clean() knows whose it is.
        self._save(
            {
                "started": start_time(self.owner),
                "nodes": self.nodes,
                "build": self.build,
                "extra": self.extra,
                "faults": [],
                "agents": {},
            }
        )
        with open(self.path("key"), "wb") as file:
            file.write(os.urandom(32))
        os.chmod(self.path("key"), 0o600)

        run(["ip", "netns", "add", self.switch])
        # Not bridged: the bridge itself speaks no IPv6 and learns no multicast groups.
        batch = ["link add bridge type bridge forward_delay 0 mcast_snooping 0"]
        batch += ["link set bridge addrgenmode none", "link set bridge up"]
        for node in self.nodes + self.hosts:
            run(["ip", "netns", "add", self.namespace(node)])
            batch += [
                f"link add {node} type veth peer name eth0 netns {self.namespace(node)}",
                f"link set {node} addrgenmode none",
                f"link set {node} master bridge up",
            ]
        run(["ip", "-n", self.switch, "-batch", "-"], "\n".join(batch) + "\n")
        for node in self.nodes + self.hosts:
            # One segment a packet, so that a loss of p % loses p % of the segments, as on a wire.
            batch = [
                "link set lo up",
                "link set eth0 gso_max_segs 1",
                "link set eth0 up",
                f"address add {self.address(node)}/24 dev eth0",
                f"address add {self.address6(node)}/64 dev eth0 nodad",
            ]
            run(["ip", "-n", self.namespace(node), "-batch", "-"], "\n".join(batch) + "\n")
        self.prepare_switch()

    def down(self):
        """Removes everything; signals wait until it is done."""
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        try:
            for helper in self._helpers:
                _end(helper, signal.SIGTERM)
            self._helpers.clear()
            for agent in self.agents.values():
                agent.send_signal(signal.SIGCONT)
            self.stop_agents()
            if self.store:
                self.store.stop()
            _remove(self.owner)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    @staticmethod
    def clean():
        """Removes the labs whose owner is gone; returns their owners' numbers."""
        owners = {name for name in _listed(REGISTRY) if name.isdigit()}
        for name in _listed(NAMESPACES):
            match = re.fullmatch(r"tocsin-(\d+)-(n\d+|switch|api)", name)
            owners |= {match[1]} if match else set()
        removed = []
        for owner in sorted(set(map(int, owners)) - set(Lab.running())):
            # A process without a state file is making its lab or removing it, just now.
            if start_time(owner) and not os.path.exists(f"{REGISTRY}/{owner}/state.json"):
                continue
            _remove(owner)
            removed.append(owner)
        return removed

    # State on disk, shared with other processes that work on this lab

    def _save(self, state):
        with open(self.path("state.json.new"), "w", encoding="utf-8") as file:
            json.dump(state, file)
        os.rename(self.path("state.json.new"), self.path("state.json"))

    def load(self):
        with open(self.path("state.json"), encoding="utf-8") as file:
            return json.load(file)

    @contextlib.contextmanager
    def _change(self):
        with open(self.path("lock"), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            state = self.load()
            yield state
            self._save(state)

    # Commands and agents

    def command(self, node, arguments):
        """What to run to have a command run on a node."""
        return ["ip", "netns", "exec", self.namespace(node), *arguments]

    def config_file(self, node):
        path = self.path(f"{node}.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(
                f"node: {node}\n"
                f"mode: {self.mode}\n"
                f"state_dir: {self.path(node)}\n"
                "netns: own\n"
                "log: {format: json}\n"
                'http: {listen: "127.0.0.1:9479"}\n'
            )
            if self.members or self.store:
                file.write(
                    f"heartbeat: {{listen: \"0.0.0.0:9480\", key_file: {self.path('key')}}}\n"
                )
            if self.members:
                file.write("nodes:\n")
                for peer in self.nodes:
                    addresses = f'["{self.address(peer)}", "{self.address6(peer)}"]'
                    file.write(f"  - {{name: {peer}, addresses: {addresses}}}\n")
            if self.store:
                file.write(self.store.config())
            file.write(self.extra)
        return path

    def log_file(self, node):
        return self.path(f"{node}.log")

    def start_agents(self, nodes=None):
        binary = os.path.join(self.build, "tocsin")
        if not os.access(binary, os.X_OK):
            raise LabError(f"{binary} is missing; run make first")
        for node in nodes or self.nodes:
            os.makedirs(self.path(node), mode=0o700, exist_ok=True)
            # An agent must not outlive a lab that was killed.
            arguments = [
                "setpriv",
                "--pdeathsig",
                "KILL",
                binary,
                "agent",
                "-c",
                self.config_file(node),
            ]
            with open(self.log_file(node), "ab") as log:
                self.agents[node] = subprocess.Popen(
                    self.command(node, arguments),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self.path(node),
                    start_new_session=True,
                )
        with self._change() as state:
            state["agents"] = {node: agent.pid for node, agent in self.agents.items()}

    def stop_agents(self, nodes=None):
        """Asks the agents to end; returns {node: exit status}, negative for a signal."""
        status = {}
        nodes = list(nodes or self.agents)
        for node in nodes:
            if self.agents[node].poll() is None:
                self.agents[node].send_signal(signal.SIGTERM)
        for node in nodes:
            status[node] = _end(self.agents.pop(node), 0)
        return status

    def dead_agents(self):
        """What became of agents that ended by themselves: one line each."""
        lines = []
        for node, agent in self.agents.items():
            if agent.poll() is not None:
                with open(self.log_file(node), encoding="utf-8", errors="replace") as file:
                    last = file.read().strip().rpartition("\n")[2]
                lines.append(f"the agent of {node} ended with {agent.returncode}: {last[:300]}")
        return lines

    def tocsin(self, node, *arguments):
        """Runs a subcommand on a node."""
        binary = os.path.join(self.build, "tocsin")
        return run(self.command(node, [binary, *arguments]), check=False)

    def status(self, node, *options):
        return self.tocsin(node, "status", *options)

    def cluster(self, node):
        """What the node's agent has of the cluster, or None when it does not answer."""
        try:
            return json.loads(self.tocsin(node, "cluster", "--json").stdout)
        except ValueError:
            return None

    def peers(self, node):
        """What the node's agent says of each of its peers; none when it does not answer."""
        try:
            return json.loads(self.status(node, "--json").stdout)["peers"]
        except ValueError:
            return []

    def all_heard(self):
        """True when every agent finds every other healthy and had a heartbeat answered by it."""
        for node in self.nodes:
            try:
                healthy = {
                    peer["name"]
                    for peer in self.peers(node)
                    if peer["state"] in ("healthy", "lossy")
                    and peer["heartbeat_rtt_us"] is not None
                }
            except (KeyError, TypeError):
                return False
            if not healthy >= set(self.nodes) - {node}:
                return False
        return True

    def wait_all_heard(self, seconds):
        """Waits until all_heard(); raises LabError when the time is up or an agent has ended."""
        deadline = time.monotonic() + seconds
        while not self.all_heard():
            if self.dead_agents():
                raise LabError(self.dead_agents()[0])
            if time.monotonic() > deadline:
                raise LabError(f"not every node has heard of every other within {seconds} s")
            time.sleep(0.1)

    def start_traffic(self, flows):
        """flows: "n1:n2:requests=20" (a second), "n1:n2:bulk=25" (MB/s), "n1:n2:zero-window"."""
        arguments = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            sys.executable,
            "-B",
            os.path.join(HERE, "traffic.py"),
        ]
        traffic = subprocess.Popen(
            [*arguments, str(self.owner), *flows],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._helpers.append(traffic)
        if traffic.stdout.readline().strip() != "ready":
            raise LabError("the traffic generator did not start")
        return traffic

    def stop_traffic(self, traffic):
        """Ends it and returns what it counted."""
        self._helpers.remove(traffic)
        traffic.terminate()
        out, _ = traffic.communicate(timeout=COMMAND_SECONDS)
        return json.loads(out)


def _listed(directory):
    return os.listdir(directory) if os.path.isdir(directory) else []


def _end(process, number):
    """Waits for a process, killing it when it takes too long; returns its exit status."""
    if number and process.poll() is None:
        process.send_signal(number)
    try:
        process.wait(AGENT_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()
    return process.returncode


def _remove(owner):
    """Everything that a lab has left in the system, whatever state it is in."""
    prefix = f"tocsin-{owner}-"
    directory = os.path.join(REGISTRY, str(owner))
    with contextlib.suppress(OSError, ValueError):
        with open(os.path.join(directory, "state.json"), encoding="utf-8") as file:
            for fault in json.load(file)["faults"]:
                if fault["kind"] == "flap" and start_time(fault["pid"]) == fault["started"]:
                    os.kill(fault["pid"], signal.SIGKILL)
    for name in [name for name in _listed(NAMESPACES) if name.startswith(prefix)]:
        for pid in run(["ip", "netns", "pids", name], check=False).stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        run(["ip", "netns", "delete", name], check=False)
    shutil.rmtree(directory, ignore_errors=True)
