# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""How long from a fault of the network's ends to the finding; a row of FAULTS each."""

import contextlib
import socket
import threading

from agent import AgentLog
from findings import Bench, Fault, measure
from lab import Lab
from system import inside

PORT = 7001
RECEIVE_BYTES = 4096
FLOOD_AT_ONCE, FLOOD_PAUSE_SECONDS = 20, 0.02
JOIN_SECONDS = 15


class Flood:
    """A socket of the first node that nobody reads is sent more than it holds."""

    def __init__(self, lab):
        with inside(lab.namespace("n1")):
            self.full = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.full.bind((lab.address("n1"), PORT))
        with inside(lab.namespace("n2")):
            self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sender.connect((lab.address("n1"), PORT))
        self.ended = threading.Event()
        self.thread = None

    def start(self):
        self.ended.clear()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.ended.wait(FLOOD_PAUSE_SECONDS):
            for _ in range(FLOOD_AT_ONCE):
                self.sender.send(b"x")

    def stop(self):
        self.ended.set()
        if self.thread:
            self.thread.join()
        # So that there is room again.
        with contextlib.suppress(BlockingIOError):
            while True:
                self.full.recv(1, socket.MSG_DONTWAIT)

    def close(self):
        self.stop()
        self.full.close()
        self.sender.close()


class Unread:
    """A connection from the first node to the second, which does not read."""

    def __init__(self, lab):
        self.lab, self.ends = lab, []

    def fill(self):
        lab = self.lab
        with inside(lab.namespace("n2")):
            listener = socket.create_server((lab.address("n2"), PORT))
        with listener:
            # Less than the other end sends without waiting.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
            with inside(lab.namespace("n1")):
                client = socket.create_connection((lab.address("n2"), PORT), timeout=10)
            self.ends = [client, listener.accept()[0]]
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                client.send(bytes(1 << 16))

    def close(self):
        for end in self.ends:
            end.close()
        self.ends = []


FAULTS = (
    Fault(
        "peer-overloaded",
        "a peer does not read (rule: 1 s)",
        lambda bench: bench.unread.fill(),
        lambda bench: bench.unread.close(),
        lambda bench: "n2",
        seconds=15,
        kernel=lambda bench: r"TCP:.*window",
    ),
    Fault(
        "receive-drops",
        "a socket that nobody reads is sent 1,000 packets a second (rule: 2 windows of 5 s)",
        lambda bench: bench.flood.start(),
        lambda bench: bench.flood.stop(),
        lambda bench: "socket_rcvbuff",
        seconds=30,
        kernel=lambda bench: r"rcvbuf|packets? (were )?dropped",
        clear_s=60,
        # What is usual is known after six windows.
        begin_s=35,
    ),
)


class NetworkBench(Bench):
    """Two nodes, and what the first one's agent finds."""

    def begin(self):
        lab = self.parts.enter_context(Lab(2, self.build))
        lab.start_agents()
        lab.wait_all_heard(JOIN_SECONDS)
        self.agent = self.keep(AgentLog(lab.log_file("n1"), lab.agents["n1"]))
        self.flood = self.keep(Flood(lab))
        self.unread = self.keep(Unread(lab))


def section(report, build, runs):
    report.section("Findings of the network")
    measure(report, NetworkBench(build), runs, FAULTS)
