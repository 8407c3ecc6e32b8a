# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a kubelet and a container runtime make of the DaemonSet's pod: a configuration for an OCI runtime.

Only what the DaemonSet uses is known; anything else is refused, so that it cannot be given there and be
missing here.
"""

import json
import os
import resource

MEBI = 1024 * 1024
# containerd's; where this machine's root may not raise its own limit, that one.
OPEN_FILES = 1024 * 1024
# The kubelet's, for system-node-critical.
OOM_SCORES = {"system-node-critical": -997}
CAP_SYS_RESOURCE = 24
SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


class Unknown(Exception):
    """The DaemonSet says what this does not know."""


def take(value, where, **defaults):
    """The values of a mapping by these names; it may have no others."""
    for name in value:
        if name not in defaults:
            raise Unknown(f"{where}.{name} is not known in tests/image/pod.py")
    return [value.get(name, default) for name, default in defaults.items()]


def may_raise_limits():
    """Whether this process has CAP_SYS_RESOURCE, which root in a container may lack."""
    with open("/proc/self/status", encoding="ascii") as file:
        held = next(line.split()[1] for line in file if line.startswith("CapEff:"))
    return bool(int(held, 16) & 1 << CAP_SYS_RESOURCE)


def capabilities(of):
    add, drop = take(of, "capabilities", add=[], drop=[])
    if drop != ["ALL"]:
        raise Unknown(f"capabilities.drop: {drop}, expected [ALL]")
    return [f"CAP_{name}" for name in add]


def bind(source, destination, read_only):
    options = ["rbind", "rprivate", "ro" if read_only else "rw"]
    return {"destination": destination, "type": "bind", "source": source, "options": options}


class Pod:
    """A pod of the DaemonSet on a node.

    The node is a name, a directory for what its disk would have (paths below the kernel's own file systems
    are the machine's), and the directories of ConfigMaps, Secrets and the service account by their names.
    """

    def __init__(self, daemonset, node, directory, contents, service):
        self.spec = daemonset["spec"]["template"]["spec"]
        (self.container,) = self.spec["containers"]
        self.node, self.directory, self.contents, self.service = node, directory, contents, service

    def _source(self, volume):
        volume = dict(volume)
        volume.pop("name")
        ((kind, of),) = volume.items()
        if kind == "configMap":
            return self.contents["configMap", *take(of, kind, name=None)]
        if kind == "secret":
            name, _mode = take(of, kind, secretName=None, defaultMode=None)
            return self.contents["secret", name]
        if kind != "hostPath":
            raise Unknown(f"volumes: {kind} is not known in tests/image/pod.py")
        path, made = take(of, kind, path=None, type="")
        if path.startswith(("/sys/", "/proc/")):
            return path
        path = self.directory + path
        if made == "DirectoryOrCreate":
            os.makedirs(path, 0o755, exist_ok=True)
        return path

    def _mounts(self):
        sources = {volume["name"]: self._source(volume) for volume in self.spec["volumes"]}
        mounts = [bind(self.contents["serviceAccount", self.spec["serviceAccountName"]], SERVICE_ACCOUNT, True)]
        for mount in self.container["volumeMounts"]:
            name, path, read_only = take(mount, "volumeMounts", name=None, mountPath=None, readOnly=False)
            mounts.append(bind(sources[name], path, read_only))
        return mounts

    def _environment(self):
        yield from (f"KUBERNETES_SERVICE_HOST={self.service[0]}", f"KUBERNETES_SERVICE_PORT={self.service[1]}")
        for variable in self.container["env"]:
            name, of = take(variable, "env", name=None, valueFrom=None)
            if of != {"fieldRef": {"fieldPath": "spec.nodeName"}}:
                raise Unknown(f"env: {of} is not known in tests/image/pod.py")
            yield f"{name}={self.node}"

    def _security(self, process, root):
        privileged, root["readonly"], escalation, user, seccomp, given = take(
            self.container["securityContext"], "securityContext", privileged=False, readOnlyRootFilesystem=False,
            allowPrivilegeEscalation=True, runAsUser=None, seccompProfile=None, capabilities=None)  # fmt: skip
        if privileged or user != 0 or seccomp != {"type": "Unconfined"}:
            raise Unknown("securityContext: only a user 0 without privileged and seccomp is known in tests/image/pod.py")
        process["noNewPrivileges"] = not escalation
        process["user"] = {"uid": 0, "gid": 0}
        process["capabilities"] = {kind: capabilities(given) for kind in ("bounding", "effective", "permitted")}

    def _resources(self):
        requests, limits = take(self.container["resources"], "resources", requests={}, limits={})
        cpu, _memory = take(requests, "requests", cpu="0m", memory=None)
        return {"memory": {"limit": self.memory_limit(*take(limits, "limits", memory=None))},
                "cpu": {"shares": int(cpu.removesuffix("m")) * 1024 // 1000}}

    @staticmethod
    def memory_limit(said):
        """Bytes of a quantity in Mi."""
        return int(said.removesuffix("Mi")) * MEBI

    def config(self, image, arguments=None):
        """Of the image's own configuration; arguments stand in place of the container's."""
        config = json.loads(json.dumps(image))
        process, linux = config["process"], config["linux"]
        for name in ("hostNetwork", "hostPID"):
            if self.spec[name] is not True:
                raise Unknown(f"{name}: only true is known in tests/image/pod.py")
        # With hostNetwork the name is the node's, too.
        del config["hostname"]
        # Of control groups only with their second version, as containerd has it.
        kinds = ["mount", "ipc", *["cgroup"] * os.path.exists("/sys/fs/cgroup/cgroup.controllers")]
        linux["namespaces"] = [{"type": kind} for kind in kinds]
        linux["resources"] = self._resources()
        process["terminal"] = False
        process["args"] = [process["args"][0], *(arguments or self.container["args"])]
        process["env"] = [*process["env"], *self._environment()]
        files = OPEN_FILES if may_raise_limits() else resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        process["rlimits"] = [{"type": "RLIMIT_NOFILE", "hard": files, "soft": files}]
        if may_raise_limits():
            process["oomScoreAdj"] = OOM_SCORES[self.spec["priorityClassName"]]
        self._security(process, config["root"])
        config["mounts"] = [*config["mounts"], *self._mounts()]
        return config

    def probe(self, kind):
        """(host, port, path) of a probe."""
        get = self.container[f"{kind}Probe"]["httpGet"]
        return take(get, f"{kind}Probe", host=None, port=None, path=None)
