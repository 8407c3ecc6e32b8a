# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The kinds of objects that the server has: how each is decoded, validated, updated and selected."""

import copy
import dataclasses
import typing

import typed
import validation
from status import FieldError, bad_request, invalid
from typed import DecodeError, Unknown

EVENT_NAMES = {
    # events.k8s.io/v1: core/v1, in which both are stored
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
ALWAYS_SELECTABLE = ("metadata.name", "metadata.namespace")


def _converted(value, names, of):
    """An object of one version as one of another, which has other names for the same."""
    body = {
        names.get(key, key): part for key, part in value.items() if key not in ("kind", "apiVersion")
    }
    return of.decode(body, "", Unknown())


@dataclasses.dataclass(eq=False)
class Resource:
    """One resource of the interface. 'storage' is where its objects are; two resources may share it."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    # A built-in type, or None: then custom_decode makes the value.
    type: typing.Any = None
    check: typing.Callable = lambda new, old: []
    default: typing.Callable = lambda value: None
    has_status: bool = False
    # The status interface of a Node takes metadata as well, that of a custom resource does not.
    status_keeps_metadata: bool = False
    create_on_update: bool = False
    unconditional_update: bool = True
    counts_generations: bool = False
    selectable: tuple = ()
    name_rule: typing.Callable = validation.subdomain
    short_names: tuple = ()
    storage: str = ""
    stored_type: typing.Any = None
    names_in_storage: dict = dataclasses.field(default_factory=dict)
    custom_decode: typing.Callable = None
    # Printer columns of a custom resource.
    columns: tuple = ()

    def __post_init__(self):
        self.storage = self.storage or f"{self.group}/{self.plural}"
        self.selectable = (*self.selectable, *ALWAYS_SELECTABLE)
        self.names_outside = {stored: name for name, stored in self.names_in_storage.items()}

    @property
    def api_version(self):
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_version_path(self):
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    @property
    def is_custom(self):
        return self.type is None

    def decode(self, value):
        """The object that a request's body is, without status rules; (object, unknown paths)."""
        if not isinstance(value, dict):
            raise DecodeError("json: cannot unmarshal array into Go value")
        version, kind = value.get("apiVersion"), value.get("kind")
        if self.is_custom and not kind:
            raise DecodeError("Object 'Kind' is missing in the object")
        if (version or self.is_custom) and version != self.api_version:
            raise DecodeError(
                f"the API version in the data ({version}) does not match the expected API version "
                f"({self.api_version})"
            )
        if kind and kind != self.kind:
            if self.is_custom:
                finding = FieldError("Invalid", "kind", kind, f"must be {self.kind}")
                raise invalid(kind, self.group, "", [finding])
            raise DecodeError(f"converting ({kind}) to ({self.kind}): unknown conversion")
        unknown = Unknown()
        body = {key: part for key, part in value.items() if key not in ("apiVersion", "kind")}
        if self.is_custom:
            metadata = typed.METADATA.decode(body.get("metadata") or {}, "metadata", unknown)
            made = self.custom_decode({**body, "metadata": metadata}, unknown)
        else:
            made = self.type.decode(body, "", unknown)
        made = copy.deepcopy(made)
        made["metadata"].pop("managedFields", None)
        self.default(made)
        return {"kind": self.kind, "apiVersion": self.api_version, **made}, unknown

    def refusal(self, error):
        return bad_request(
            f'{self.kind} in version "{self.version}" cannot be handled as a {self.kind}: {error}'
        )

    def stored(self, value):
        """In the form of its storage."""
        if self.stored_type:
            return _converted(value, self.names_in_storage, self.stored_type)
        return value

    def shown(self, value):
        """A stored object in this resource's own form."""
        if self.stored_type:
            value = _converted(value, self.names_outside, self.type)
        return {
            "kind": self.kind,
            "apiVersion": self.api_version,
            **{key: part for key, part in value.items() if key not in ("kind", "apiVersion")},
        }

    def empty(self, metadata):
        """What a bookmark shows."""
        if self.is_custom:
            return {"kind": self.kind, "apiVersion": self.api_version, "metadata": metadata}
        metadata = {**metadata, "creationTimestamp": None}
        return self.shown({**self.type.decode({}, "", Unknown()), "metadata": metadata})


def _default_node(value):
    status = value["status"]
    if "capacity" in status:
        status.setdefault("allocatable", dict(status["capacity"]))
    spec = value["spec"]
    networks, first = spec.get("podCIDRs", []), spec.get("podCIDR")
    # The older field is believed where they differ.
    if first and networks[:1] != [first]:
        spec["podCIDRs"] = [first]
    elif networks:
        spec["podCIDR"] = networks[0]


def _default_pod(value):
    spec = value["spec"]
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")


def _default_event(value):
    value.setdefault("type", "Normal")


def _default_binding(value):
    value["roleRef"]["apiGroup"] = value["roleRef"]["apiGroup"] or "rbac.authorization.k8s.io"


def prepare_new(resource, value):
    """What the server itself adds to an object at its creation."""
    if resource.plural == "nodes":
        taints = value["spec"].setdefault("taints", [])
        mark = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
        if not any(
            taint["key"] == mark["key"] and taint["effect"] == mark["effect"] for taint in taints
        ):
            taints.append(mark)
    elif resource.plural == "pods":
        value["status"] = {"phase": "Pending", "qosClass": "BestEffort"}
    elif resource.plural == "namespaces":
        value["spec"] = {"finalizers": ["kubernetes"]}
        value["status"] = {"phase": "Active"}
        labels = value["metadata"].setdefault("labels", {})
        labels["kubernetes.io/metadata.name"] = value["metadata"]["name"]
    elif resource.has_status and resource.is_custom:
        value.pop("status", None)


EVENT_FIELDS = (
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "type",
)
RBAC = "rbac.authorization.k8s.io"


def _strict_event(new, old):
    return validation.event(new, old) + validation.strict_event(new, old)


BUILT_IN = (
    Resource(
        "", "v1", "nodes", "Node", False, typed.NODE, validation.node, _default_node,
        has_status=True, status_keeps_metadata=True, selectable=("spec.unschedulable",),
        short_names=("no",),
    ),
    Resource(
        "", "v1", "pods", "Pod", True, typed.POD, validation.pod, _default_pod,
        has_status=True, status_keeps_metadata=True, counts_generations=False,
        selectable=(
            "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
            "status.phase", "status.podIP", "status.nominatedNodeName",
        ),
        short_names=("po",),
    ),
    Resource(
        "", "v1", "namespaces", "Namespace", False, typed.NAMESPACE, has_status=True,
        status_keeps_metadata=True, selectable=("status.phase",),
        name_rule=validation.dns_label, short_names=("ns",),
    ),
    Resource(
        "", "v1", "serviceaccounts", "ServiceAccount", True, typed.SERVICE_ACCOUNT,
        short_names=("sa",),
    ),
    Resource(
        "", "v1", "events", "Event", True, typed.EVENT, validation.event, _default_event,
        create_on_update=True, selectable=EVENT_FIELDS, short_names=("ev",), storage="events",
    ),
    Resource(
        "events.k8s.io", "v1", "events", "Event", True, typed.NEW_EVENT, _strict_event,
        create_on_update=True, selectable=("reason", "type"), short_names=("ev",),
        storage="events", stored_type=typed.EVENT, names_in_storage=EVENT_NAMES,
    ),
    Resource(
        "coordination.k8s.io", "v1", "leases", "Lease", True, typed.LEASE, validation.lease,
        create_on_update=True, unconditional_update=False,
    ),
    Resource(
        "discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", True, typed.ENDPOINT_SLICE,
        create_on_update=True,
    ),
    Resource(
        RBAC, "v1", "roles", "Role", True, typed.ROLE, validation.role,
        create_on_update=True, name_rule=validation.path_segment,
    ),
    Resource(
        RBAC, "v1", "clusterroles", "ClusterRole", False, typed.ROLE, validation.role,
        create_on_update=True, name_rule=validation.path_segment,
    ),
    Resource(
        RBAC, "v1", "rolebindings", "RoleBinding", True, typed.BINDING, validation.binding,
        _default_binding, create_on_update=True, name_rule=validation.path_segment,
    ),
    Resource(
        RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", False, typed.BINDING,
        validation.binding, _default_binding, create_on_update=True,
        name_rule=validation.path_segment,
    ),
)  # fmt: skip


class Table:
    """The resources that are served now, by the path that a request names."""

    def __init__(self):
        self._served = {}
        for resource in BUILT_IN:
            self.add(resource)

    def add(self, resource):
        self._served[resource.group, resource.version, resource.plural] = resource

    def remove(self, group, plural):
        for key in [key for key in self._served if key[0] == group and key[2] == plural]:
            del self._served[key]

    def find(self, group, version, plural):
        return self._served.get((group, version, plural))

    def all(self):
        return list(self._served.values())

    def of_kind(self, api_version, kind):
        """For what comes with no path, of a file of manifests."""
        for resource in self._served.values():
            if (resource.api_version, resource.kind) == (api_version, kind):
                return resource
        return None
