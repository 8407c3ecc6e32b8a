# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""How long from the end of a watched process to what the other nodes know of it, through etcd."""

import random
import subprocess
import time

from cluster import Cluster
from lab import Lab
from report import quantile
from store import Store
from system import LabError

PORT = 7777
TARGETS_MS = {"the finding of its node": 50, "the first other node": 150, "the last other node": 150}
SECONDS = 10
RESTART_SECONDS = 15
EXTRA = f"watch: [{{port: {PORT}}}]\n"


class Service:
    """Something that listens on the port, on one node."""

    def __init__(self, lab, node):
        self.lab, self.node = lab, node

    def start(self):
        self.process = subprocess.Popen(
            self.lab.command(self.node, ["socat", f"TCP-LISTEN:{PORT},reuseaddr,fork", "PIPE"])
        )
        deadline = time.monotonic() + SECONDS
        while not self._listens():
            if time.monotonic() > deadline:
                raise LabError(f"nothing listens on port {PORT} of {self.node}")
            time.sleep(0.05)

    def _listens(self):
        command = self.lab.command(self.node, ["ss", "-Hltn", f"sport = :{PORT}"])
        return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.strip()

    def kill(self):
        self.process.kill()
        self.process.wait()


def one_run(cluster, service, times):
    witness, node = cluster.witness, service.node
    others = [name for name in cluster.lab.nodes if name != node]

    def first_ms(said):
        return (min(s["monotonic_ns"] for s in said) - cluster.before_ns) / 1e6

    def verdicts(of):
        return witness.of_kind("verdict", **{"class": "service-down"}, subjects=node, witness=of)

    time.sleep(random.uniform(0.2, 1.2))
    cluster.fault(service.kill)
    if not witness.wait(SECONDS, lambda: all(verdicts(other) for other in others)):
        raise LabError(f"not all know of it after {SECONDS} s: {cluster.timeline()}")
    found = witness.of_kind("finding", witness=node, finding="watched-process-died")
    known = sorted(first_ms(verdicts(other)) for other in others)
    for name, value in zip(TARGETS_MS, (first_ms(found), known[0], known[-1])):
        times[name].append(value)
    service.start()
    cluster.wait_well(RESTART_SECONDS)


def section(report, build, runs):
    report.section("A service that ends")
    report.say(
        "Five nodes with an etcd of three members; of a service on the last one the process that"
        f" listens is killed, {runs} times. Times from just before the kill to the finding there, and"
        " to the verdict 'service-down' of the other nodes, which comes with its row through etcd."
    )
    report.say()
    times = {name: [] for name in TARGETS_MS}
    with Lab(5, build, EXTRA, mode="enforce") as lab:
        store = Store(lab, lab.nodes[:3])
        store.start()
        store.wait_healthy()
        service = Service(lab, lab.nodes[-1])
        service.start()
        try:
            lab.start_agents()
            lab.wait_all_heard(15)
            cluster = Cluster(lab)
            cluster.wait_well()
            for number in range(runs):
                report.note(f"service down: {number + 1} of {runs}")
                one_run(cluster, service, times)
        finally:
            service.kill()
    report.note("")
    report.table(
        ["known to", "n", "p50 ms", "p99 ms", "max ms"],
        [
            [name, len(values), *(f"{quantile(values, share):.1f}" for share in (0.5, 0.99, 1))]
            for name, values in times.items()
        ],
    )
    for name, values in times.items():
        p99 = quantile(values, 0.99)
        report.target(
            f"{name}: p99 {p99:.1f} ms, target at most {TARGETS_MS[name]} ms", p99 <= TARGETS_MS[name]
        )
