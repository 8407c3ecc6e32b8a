# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A node of Kubernetes on this machine: containerd and kubelet in a network and with mounts of their own, beside a
control plane (tests/kube/real). The kernel, its processes and the trees of control groups are this machine's.
"""

import json
import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import certificates
from client import StandIn
from keeper import Groups, Keeper, Mounts, leave_namespaces
from pod import may_raise_limits
from system import run

HERE = os.path.dirname(os.path.abspath(__file__))
NODE, ADDRESS, API_PORT = "n1", "10.79.0.1", 6443
# The first of tests/kube/real's addresses of services, which is the API server's.
SERVICE = "10.0.0.1"
PODS, PLUGINS = "10.80.0.0/24", "/usr/lib/cni"
PAUSE, WORKLOAD = "localhost/pause:1", "localhost/workload:1"
# Names in the temporary directory of what stands in the place of the machine's.
PLACES = {"lib": "/var/lib", "log": "/var/log", "run": "/run"}
# The kubelet would set these for the whole machine; it finds them set.
TUNABLES = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1000000,
    "kernel/keys/root_maxbytes": 25000000,
}
DEADLINE_S = 120


def wait(condition, what, deadline_s=DEADLINE_S):
    """The first answer that is true; AssertionError when there is none in time."""
    deadline = time.monotonic() + deadline_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {deadline_s} s: {what() if callable(what) else what}"
        time.sleep(0.2)
    return found


def get(url):
    """(status, body); (0, why) without an answer."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


class Node:
    """One node and its cluster, from nothing to a Node that is Ready."""

    def __init__(self, build, stack):
        self.build, self.processes = build, {}
        self.programs = os.path.join(build, "kubernetes")
        leave_namespaces()
        self.directory = tempfile.mkdtemp(prefix="tocsin-kubelet-")
        tunables = {f"tunables/{name}": f"/proc/sys/{name}" for name in TUNABLES}
        mounts = Mounts(self.directory, {**PLACES, **tunables})
        self.groups = Groups(os.path.basename(self.directory))
        stack.callback(Keeper(mounts, self.groups).end)
        self.make_mounts(mounts)
        self.make_network()
        self.groups.enter()
        self.plane = self.start_plane()
        stack.callback(self.plane.stop)
        self.client = self.plane.client()
        self.containerd = self.make_containerd()
        self.start_containerd()
        self.make_images()
        self.kubelet = self.make_kubelet()
        self.start("kubelet", *self.kubelet)
        wait(self.is_ready, self.why_not_ready)

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def write(self, name, text):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text if isinstance(text, str) else json.dumps(text, indent=1))
        return path

    def log(self, name):
        with open(self.path(f"{name}.log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    # ---- what it is made of ----

    def make_mounts(self, mounts):
        for name in PLACES:
            os.mkdir(self.path(name))
        for name, value in TUNABLES.items():
            self.write(f"tunables/{name}", f"{value}\n")
        mounts.put()
        mounts.share()

    def make_network(self):
        for command in (
            "link set lo up",
            "link add eth0 type veth peer name eth1",
            "link set eth1 up",
            f"address add {ADDRESS}/24 dev eth0",
            "link set eth0 up",
            f"route add default via {ADDRESS} dev eth0",
        ):
            run(["ip", *command.split()])
        # In the place of kube-proxy.
        rule = f"ip daddr {SERVICE} tcp dport 443 dnat to {ADDRESS}:{API_PORT}"
        run(["nft", "-f", "-"], text=f"table ip services {{ chain out {{ type nat hook output priority -100; {rule}; }}; }}")

    def start(self, name, *arguments):
        with open(self.path(f"{name}.log"), "ab") as log:
            self.processes[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "prlimit", "--core=0", *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def lives(self):
        """That nothing of the node has ended."""
        for name, process in self.processes.items():
            assert process.poll() is None, f"{name} has ended with {process.returncode}: {self.log(name)[-3000:]}"
        return True

    def start_plane(self):
        os.environ["TOCSIN_KUBE_PROGRAMS"] = self.programs
        plane = StandIn(self.path("api"), "--listen", ADDRESS, "--port", str(API_PORT), "--controllers", "*",
                        "--rbac", "--service-account", "kube-system:test")  # fmt: skip
        self.start("kube-scheduler", os.path.join(self.programs, "kube-scheduler"), "--kubeconfig",
                   plane.path("kubeconfig-cert"), "--leader-elect=false", "--port=0", "--secure-port=10259",
                   f"--cert-dir={self.path('scheduler')}")  # fmt: skip
        return plane

    def make_containerd(self):
        network = {
            "cniVersion": "0.4.0",
            "name": "pods",
            "plugins": [
                {
                    "type": "bridge",
                    "bridge": "cni0",
                    "isDefaultGateway": True,
                    "ipam": {"type": "host-local", "ranges": [[{"subnet": PODS}]], "dataDir": self.path("addresses")},
                }
            ],
        }
        self.write("cni/pods.conflist", network)
        # A score below its own takes CAP_SYS_RESOURCE, which root in a container may lack.
        restrict = "false" if may_raise_limits() else "true"
        config = f"""version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = {restrict}
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{PLUGINS}"
    conf_dir = "{self.path('cni')}"
"""
        return ["containerd", "--config", self.write("containerd.toml", config)]

    def start_containerd(self):
        self.start("containerd", *self.containerd)
        wait(lambda: self.lives() and self.ctr("version", check=False).returncode == 0, "containerd")

    def ctr(self, *arguments, check=True):
        return run(["ctr", "--namespace", "k8s.io", *arguments], check=check)

    def make_images(self):
        """Ours as docs/install.md says; and a program that is the pods' pause and their load."""
        (archive,) = [f"{self.build}/image/{name}" for name in os.listdir(f"{self.build}/image") if name.endswith(".tar")]
        self.ctr("images", "import", "--base-name", "docker.io/library/tocsin", archive)
        os.mkdir(self.path("workload"))
        program = self.path("workload", "workload")
        run(["gcc", "-O2", "-Wall", "-static", "-o", program, os.path.join(HERE, "workload.c")])
        layer, layout = self.path("layer.tar"), self.path("layout")
        run(["tar", "--create", "--file", layer, "--directory", os.path.dirname(program), "workload"])
        run(["umoci", "init", "--layout", layout])
        run(["umoci", "new", "--image", f"{layout}:1"])
        run(["umoci", "raw", "add-layer", "--image", f"{layout}:1", layer])
        run(["umoci", "config", "--image", f"{layout}:1", "--os", "linux", "--architecture", "amd64",
             "--config.entrypoint", "/workload"])  # fmt: skip
        run(["tar", "--create", "--file", self.path("workload.tar"), "--directory", layout, "."])
        for name in (PAUSE, WORKLOAD):
            self.ctr("images", "import", "--base-name", name.partition(":")[0], self.path("workload.tar"))

    def make_kubelet(self):
        authority = self.plane.path("ca.crt")
        certificates.sign(self.plane.directory, "kubelet", f"/O=system:nodes/CN=system:node:{NODE}",
                          "extendedKeyUsage=clientAuth\n")  # fmt: skip
        user = certificates.certificate_user(self.plane.directory, "kubelet")
        access = certificates.kubeconfig(self.plane.directory, self.plane.url, user, "default")
        config = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": ADDRESS,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": False},
                "x509": {"clientCAFile": authority},
            },
            "authorization": {"mode": "AlwaysAllow"},
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.groups.name}",
            "clusterDNS": ["10.0.0.10"],
            "resolvConf": self.write("resolv.conf", "nameserver 10.0.0.10\n"),
            "failSwapOn": False,
            "makeIPTablesUtilChains": False,
            # Another's disk may be full.
            "evictionHard": {"memory.available": "1Mi", "nodefs.available": "0%", "imagefs.available": "0%",
                             "nodefs.inodesFree": "0%"},
            "imageGCHighThresholdPercent": 100,
            "oomScoreAdj": 0,
            # What is left of a pod may be seen only then.
            "syncFrequency": "5s",
            # It writes the Node's status each time, also when nothing is new.
            "nodeStatusUpdateFrequency": "2s",
            "nodeStatusReportFrequency": "2s",
        }  # fmt: skip
        return [os.path.join(self.programs, "kubelet"), "--kubeconfig", self.write("kubelet.kubeconfig", access),
                "--config", self.write("kubelet.json", config), f"--hostname-override={NODE}", f"--node-ip={ADDRESS}",
                "--container-runtime=remote", "--container-runtime-endpoint=unix:///run/containerd/containerd.sock",
                "--volume-plugin-dir=/var/lib/kubelet/plugins-exec", "--v=2"]  # fmt: skip

    def start_anew(self):
        """Kubelet and containerd, as when they are upgraded: containers go on, and by these two nobody is asked."""
        for name in ("kubelet", "containerd"):
            process = self.processes.pop(name)
            process.kill()
            process.wait()
        self.start_containerd()
        self.start("kubelet", *self.kubelet)

    # ---- what it says ----

    def call(self, path, method="GET", body=None):
        """What the API says to an administrator; None unless the object is there."""
        answer = self.client.call(method, path, body)
        assert answer.code in (200, 201, 202, 404), f"{method} {path}: {answer}"
        return answer.body if answer.code != 404 else None

    def conditions(self):
        """Of its Node, by their types."""
        node = self.call(f"/api/v1/nodes/{NODE}")
        return {one["type"]: one for one in node["status"].get("conditions", [])} if node else {}

    def is_ready(self):
        self.lives()
        return self.conditions().get("Ready", {}).get("status") == "True"

    def why_not_ready(self):
        return f"the Node is not ready: {self.conditions()}: {self.log('kubelet')[-3000:]}"

    def kubectl(self, *arguments):
        command = [os.path.join(self.build, "tools/kubectl"), "--kubeconfig", self.plane.path("kubeconfig-cert"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout
