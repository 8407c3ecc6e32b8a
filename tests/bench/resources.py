# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the agent takes of a node: memory, CPU, a scrape, its start; beside the node exporter, and
biolatency for the start."""

import contextlib
import gzip
import http.client
import os
import pty
import re
import select
import shutil
import signal
import socket
import statistics
import subprocess
import time

from lab import Lab
from report import Row
from system import LabError, inside, run

# The situations that are held against each other, of the same time.
WITH_PEERS, BESIDE_THEM = "agent, 5 peers with agents", "node exporter beside it"
RESIDENT_MIB = 10
CPU_PERCENT = 1
START_MS = 500
START_RUNS = 10
# Name, column and unit of what is at most the node exporter's.
BESIDE_EXPORTER = (
    ("resident memory", "resident MiB", "MiB"),
    ("CPU", "CPU %", "%"),
    ("scrape", "scrapes ms", "ms"),
    ("size of /metrics, compressed", "gzip KiB", "KiB"),
    ("size of /metrics", "KiB", "KiB"),
)
SETTLE_SECONDS = 5
SCRAPE_SECONDS = 5
SCRAPES = 20
PEERS_MANY = 200
PORT = 7000
AGENT_PORT, EXPORTER_PORT = 9479, 9100


def cpu_seconds(pid):
    """Of all its threads, also those that have ended: by the clock of its CPU time (CPUCLOCK_SCHED)."""
    return time.clock_gettime(~pid << 3 | 2)


def status_mib(pid, key):
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        return int(re.search(rf"^{key}:\s+(\d+) kB", file.read(), re.M)[1]) / 1024


def bpf_mib(pid):
    """What the kernel has charged for its maps and programs, each once."""
    charged = {}
    for name in os.listdir(f"/proc/{pid}/fdinfo"):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/fdinfo/{name}", encoding="utf-8") as file:
                text = file.read()
            identity = re.search(r"^(?:map|prog)_id:\t\d+", text, re.M)
            memory = re.search(r"^memlock:\t(\d+)", text, re.M)
            if identity and memory:
                charged[identity[0]] = int(memory[1])
    return sum(charged.values()) / (1 << 20)


class Server:
    """Something with /metrics, in a node's network namespace."""

    def __init__(self, lab, node, pid, port):
        self.namespace, self.pid, self.port = lab.namespace(node), pid, port
        self.milliseconds, self.sent, self.body = [], b"", b""

    def scrape(self, keep=True):
        """As Prometheus does: compressed."""
        with inside(self.namespace):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            connection.connect()
        begin = time.perf_counter()
        connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
        response = connection.getresponse()
        self.sent = response.read()
        if keep:
            self.milliseconds.append((time.perf_counter() - begin) * 1000)
        compressed = response.headers.get("Content-Encoding") == "gzip"
        self.body = gzip.decompress(self.sent) if compressed else self.sent
        connection.close()

    def wait_answer(self):
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError):
                self.scrape(keep=False)
                return
            if time.monotonic() > deadline:
                raise LabError(f"nothing answers on port {self.port} of {self.namespace}")
            time.sleep(0.1)

    def series(self):
        return sum(line[:1] not in ("#", "") for line in self.body.decode().split("\n"))


class Exporter:
    """prometheus-node-exporter on the first node, or None of it where it is not installed."""

    def __init__(self, lab):
        self.process = self.server = None
        binary = shutil.which("prometheus-node-exporter")
        if not binary:
            return
        command = [binary, f"--web.listen-address=127.0.0.1:{EXPORTER_PORT}"]
        self.process = subprocess.Popen(
            lab.command("n1", command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.server = Server(lab, "n1", self.process.pid, EXPORTER_PORT)
        self.server.wait_answer()

    def close(self):
        if self.process:
            self.process.terminate()
            self.process.wait()


class Traffic:
    """TCP connections of many remote addresses to the first node, one small request in turn."""

    def __init__(self, lab, count):
        batch = [f"address add 10.77.1.{i + 1}/32 dev eth0" for i in range(count)]
        run(["ip", "-n", lab.namespace("n2"), "-batch", "-"], "\n".join(batch) + "\n")
        run(["ip", "-n", lab.namespace("n1"), "route", "add", "10.77.1.0/24", "dev", "eth0"])
        with inside(lab.namespace("n1")):
            listener = socket.create_server((lab.address("n1"), PORT), backlog=count)
        self.pairs = []
        for i in range(count):
            with inside(lab.namespace("n2")):
                client = socket.create_connection(
                    (lab.address("n1"), PORT), timeout=10, source_address=(f"10.77.1.{i + 1}", 0)
                )
            self.pairs.append((client, listener.accept()[0]))
        listener.close()

    def run(self, seconds):
        """Each connection has about one request a second."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for client, server in self.pairs:
                client.sendall(b"x")
                server.sendall(server.recv(1))
                client.recv(1)
                time.sleep(1 / len(self.pairs))

    def close(self):
        for pair in self.pairs:
            for end in pair:
                end.close()


def situation(lab, traffic, exporter, seconds):
    """Measures the agent of the first node, and the exporter in the same time; returns rows."""
    agent = Server(lab, "n1", lab.agents["n1"].pid, AGENT_PORT)
    servers = [agent] + ([exporter.server] if exporter and exporter.server else [])
    agent.wait_answer()

    def go_on(duration):
        (traffic.run if traffic else time.sleep)(duration)

    go_on(SETTLE_SECONDS)
    cpu = [cpu_seconds(server.pid) for server in servers]
    begin = time.monotonic()
    while time.monotonic() < begin + seconds:
        for server in servers:
            server.scrape(keep=False)
        go_on(SCRAPE_SECONDS)
    took = time.monotonic() - begin
    cpu = [100 * (cpu_seconds(server.pid) - was) / took for server, was in zip(servers, cpu)]
    for _ in range(SCRAPES):
        # An answer is given again for as long as it took to make.
        time.sleep(0.1)
        for server in servers:
            server.scrape()
    return [
        {
            "resident MiB": status_mib(server.pid, "VmRSS"),
            "peak MiB": status_mib(server.pid, "VmHWM"),
            "CPU %": percent,
            "scrapes ms": tuple(server.milliseconds),
            "scrape ms": statistics.median(server.milliseconds),
            "scrape max ms": max(server.milliseconds),
            "gzip KiB": len(server.sent) / 1024,
            "KiB": len(server.body) / 1024,
            "series": server.series(),
            "BPF MiB": bpf_mib(server.pid) if server is agent else None,
        }
        for server, percent in zip(servers, cpu)
    ]


def measure(build, seconds):
    """{what: figures} of the agent alone, with 5 peers and with many, and of the exporter."""
    figures = {}
    with Lab(2, build, members=False) as lab:
        exporter = Exporter(lab)
        try:
            lab.start_agents(["n1"])
            rows = situation(lab, None, exporter, seconds)
            figures["agent, no peer"] = rows[0]
            if len(rows) > 1:
                figures["node exporter"] = rows[1]
            traffic = Traffic(lab, PEERS_MANY)
            try:
                figures[f"agent, {PEERS_MANY} peers by their traffic"] = situation(
                    lab, traffic, None, seconds
                )[0]
            finally:
                traffic.close()
        finally:
            exporter.close()
    with Lab(6, build) as lab:
        lab.start_agents()
        lab.wait_all_heard(15)
        with contextlib.closing(Exporter(lab)) as exporter:
            rows = situation(lab, None, exporter, seconds)
        figures[WITH_PEERS] = rows[0]
        if len(rows) > 1:
            figures[BESIDE_THEM] = rows[1]
    return figures


# The start


def agent_start_ms(lab):
    size = os.path.getsize(lab.log_file("n1")) if os.path.exists(lab.log_file("n1")) else 0
    begin = time.monotonic()
    lab.start_agents(["n1"])
    with open(lab.log_file("n1"), encoding="utf-8") as log:
        log.seek(size)
        while "agent started" not in log.read():
            if lab.dead_agents() or time.monotonic() > begin + 20:
                raise LabError("the agent does not start")
            time.sleep(0.002)
    took = (time.monotonic() - begin) * 1000
    lab.stop_agents(["n1"])
    return took


def biolatency_start_ms(binary):
    """Until it says that it traces: on a terminal, or it would keep that to itself."""
    control, terminal = pty.openpty()
    begin = time.monotonic()
    process = subprocess.Popen([binary], stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    text = b""
    try:
        while b"Tracing" not in text:
            if not select.select([control], [], [], 20)[0]:
                raise LabError("biolatency does not start")
            text += os.read(control, 4096)
        return (time.monotonic() - begin) * 1000
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(control)


def measure_start(build):
    biolatency = shutil.which("biolatency")
    ours, theirs = [], []
    with Lab(2, build) as lab:
        for _ in range(START_RUNS):
            ours.append(agent_start_ms(lab))
            if biolatency:
                theirs.append(biolatency_start_ms(biolatency))
    return ours, theirs


def rows_of(figures, ours, theirs, command):
    """What is held against a target or against the node exporter."""
    agent, exporter = figures[WITH_PEERS], figures.get(BESIDE_THEM, {})
    most = max(row["CPU %"] for what, row in figures.items() if what.startswith("agent"))
    yield Row("resident, 5 peers", command, "MiB", (agent["resident MiB"],), limit=RESIDENT_MIB)
    yield Row("CPU at rest, with 5 and with 200 peers, at most", command, "%", (most,), limit=CPU_PERCENT)
    why = "" if exporter else "prometheus-node-exporter is missing; scripts/install-deps bench installs it"
    for name, column, unit in BESIDE_EXPORTER:
        pair = [row[column] if isinstance(row[column], tuple) else (row[column],)
                for row in (agent, exporter) if row]
        yield Row(
            f"{name}, 5 peers", command, unit, pair[0], "node exporter", pair[1] if exporter else (),
            limit=1, why=why,
        )
    yield Row("start to all programs attached", command, "ms", tuple(ours), limit=START_MS)
    yield Row(
        "start, beside biolatency", command, "ms", tuple(ours), "biolatency", tuple(theirs),
        why="" if theirs else "biolatency is missing; scripts/install-deps bench installs it",
    )
    yield Row("BPF memory, 5 peers", command, "MiB", (agent["BPF MiB"],))


def section(report, build, seconds):
    report.section("Resources")
    ours, theirs = measure_start(build)
    figures = measure(build, seconds)
    report.say(
        f"One agent, {seconds} s in each situation, scraped every {SCRAPE_SECONDS} s as the node exporter is in the"
        f" same time, compressed; then {SCRAPES} scrapes of each in turn. CPU in % of one core, BPF memory as the"
        " kernel charges it. The peers with agents exchange heartbeats; those by their traffic send a"
        " request a second each."
    )
    report.say()
    columns = ["resident MiB", "peak MiB", "CPU %", "scrape ms", "scrape max ms", "gzip KiB", "KiB", "series",
               "BPF MiB"]
    formats = {"CPU %": ".2f", "KiB": ".0f", "series": "d"}
    report.table(
        ["", *columns],
        [
            [what, *("" if row[c] is None else format(row[c], formats.get(c, ".1f")) for c in columns)]
            for what, row in figures.items()
        ],
    )
    report.rows(list(rows_of(figures, ours, theirs, f"RESOURCE_SECONDS={seconds} tests/bench/run build resources")))
