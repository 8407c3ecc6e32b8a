# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the server asks of built-in objects beyond their types. All return lists of FieldErrors."""

import ipaddress
import re

from status import FieldError, supported

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
NAME_PART = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'example.com', regex used for "
    "validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must "
    "start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for "
    "validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
NAME_PART_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with "
    "an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
LABEL_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "
    "'12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
ANNOTATIONS_BYTES_MAX = 256 * 1024
TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
EVENT_TEXT_MAX = {"reportingInstance": 128, "action": 128, "reason": 128, "message": 1024}
SERIES_MIN = 2
FINALIZERS = ("foregroundDeletion", "kubernetes", "orphan")


def subdomain(name):
    """What is wrong with a name of the common form, in texts."""
    if len(name) > 253:
        return ["must be no more than 253 characters"]
    return [] if DNS_SUBDOMAIN.fullmatch(name) else [SUBDOMAIN_TEXT]


def dns_label(name):
    if len(name) > 63:
        return ["must be no more than 63 characters"]
    return [] if DNS_LABEL.fullmatch(name) else [LABEL_TEXT]


def path_segment(name):
    """Names of roles and their bindings."""
    if name in (".", "..") or "/" in name or "%" in name:
        return ["may not be '.' or '..' or contain '/' or '%'"]
    return []


def qualified_name(name):
    """Keys of labels, annotations and taints: PREFIX/NAME or NAME."""
    prefix, slash, last = name.rpartition("/")
    texts = []
    if "/" in prefix or slash and not prefix:
        return [NAME_PART_TEXT if "/" in prefix else "prefix part must be non-empty"]
    if prefix and subdomain(prefix):
        texts.append(f"prefix part {subdomain(prefix)[0]}")
    if not last:
        texts.append("name part must be non-empty")
    elif len(last) > 63:
        texts.append("name part must be no more than 63 characters")
    if not NAME_PART.fullmatch(last):
        texts.append(NAME_PART_TEXT)
    return texts


def label_value(value):
    if len(value) > 63:
        return ["must be no more than 63 characters"]
    return [] if not value or NAME_PART.fullmatch(value) else [LABEL_VALUE_TEXT]


def metadata(resource, value):
    """An object's metadata, at its creation and later."""
    found = []
    name = value.get("name", "")
    if not name:
        found.append(FieldError("Required", "metadata.name", detail="name or generateName is required"))
    else:
        wrong = resource.name_rule(name)
        found += [FieldError("Invalid", "metadata.name", name, text) for text in wrong]
    for key, text in value.get("labels", {}).items():
        found += [
            FieldError("Invalid", "metadata.labels", key, wrong) for wrong in qualified_name(key)
        ]
        found += [FieldError("Invalid", "metadata.labels", text, wrong) for wrong in label_value(text)]
    annotations = value.get("annotations", {})
    for key in annotations:
        found += [
            FieldError("Invalid", "metadata.annotations", key, wrong)
            for wrong in qualified_name(key.lower())
        ]
    if sum(len(key) + len(text) for key, text in annotations.items()) > ANNOTATIONS_BYTES_MAX:
        detail = f"may not be more than {ANNOTATIONS_BYTES_MAX} bytes"
        found.append(FieldError("TooLong", "metadata.annotations", detail=detail))
    for index, owner in enumerate(value.get("ownerReferences", [])):
        for name in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(name):
                path = f"metadata.ownerReferences[{index}].{name}"
                found.append(FieldError("Invalid", path, "", f"{name} must not be empty"))
    for index, name in enumerate(value.get("finalizers", [])):
        wrong = qualified_name(name)
        if not wrong and resource.group == "" and "/" not in name and name not in FINALIZERS:
            wrong = ["name is neither a standard finalizer name nor is it fully qualified"]
        path = f"metadata.finalizers[{index}]"
        found += [FieldError("Invalid", path, name, text) for text in wrong]
    return found


def _taints(taints):
    found, seen = [], set()
    for index, taint in enumerate(taints):
        # Under metadata, and not under spec: so says the reference server.
        path = f"metadata.taints[{index}]"
        key, effect = taint["key"], taint["effect"]
        found += [FieldError("Invalid", f"{path}.key", key, text) for text in qualified_name(key)]
        value = taint.get("value", "")
        found += [FieldError("Invalid", f"{path}.value", value, text) for text in label_value(value)]
        if not effect:
            found.append(FieldError("Required", f"{path}.effect"))
        elif effect not in TAINT_EFFECTS:
            detail = supported(TAINT_EFFECTS)
            found.append(FieldError("NotSupported", f"{path}.effect", effect, detail))
        if (key, effect) in seen:
            detail = "taints must be unique by key and effect pair"
            found.append(FieldError("Duplicate", path, taint, detail))
        seen.add((key, effect))
    return found


def _is_network(text):
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


def _networks(networks):
    found = [
        FieldError("Invalid", f"spec.podCIDRs[{index}]", networks, "must be valid CIDR")
        for index, text in enumerate(networks)
        if not _is_network(text)
    ]
    if not found and len(networks) > 1:
        versions = {ipaddress.ip_network(text, strict=False).version for text in networks}
        if len(versions) < len(networks):
            detail = "may specify no more than one CIDR for each IP family"
            found.append(FieldError("Invalid", "spec.podCIDRs", networks, detail))
    return found


def node(new, old):
    """A node, new or changed."""
    found = _taints(new["spec"].get("taints", []))
    if old is None:
        return found + _networks(new["spec"].get("podCIDRs", []))
    seen = []
    for index, address in enumerate(new["status"].get("addresses", [])):
        if address in seen:
            found.append(FieldError("Duplicate", f"status.addresses[{index}]", address))
        seen.append(address)
    for name, shown in (("podCIDRs", "podCIDR"), ("providerID", "providerID")):
        before = old["spec"].get(name)
        if before and before != new["spec"].get(name):
            detail = f'node updates may not change {shown} except from "" to valid'
            found.append(FieldError("Forbidden", f"spec.{name}", detail=detail))
    return found


def lease(new, _old):
    spec, found = new["spec"], []
    seconds = spec.get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        path = "spec.leaseDurationSeconds"
        found.append(FieldError("Invalid", path, seconds, "must be greater than 0"))
    transitions = spec.get("leaseTransitions")
    if transitions is not None and transitions < 0:
        path = "spec.leaseTransitions"
        detail = "must be greater than or equal to 0"
        found.append(FieldError("Invalid", path, transitions, detail))
    return found


def pod(new, old):
    if old is not None:
        if old["spec"].get("nodeName") and old["spec"]["nodeName"] != new["spec"].get("nodeName"):
            detail = "pod updates may not change fields other than the image of a container"
            return [FieldError("Forbidden", "spec", detail=detail)]
        return []
    found = []
    if not new["spec"]["containers"]:
        found.append(FieldError("Required", "spec.containers"))
    for index, container in enumerate(new["spec"]["containers"]):
        for name in ("name", "image"):
            if not container.get(name):
                found.append(FieldError("Required", f"spec.containers[{index}].{name}"))
    return found


def event(new, _old):
    """An event in its stored form, that of core/v1, as both of its interfaces ask."""
    found = []
    about, namespace = new["involvedObject"].get("namespace", ""), new["metadata"]["namespace"]
    mismatch = FieldError(
        "Invalid", "involvedObject.namespace", about, "does not match event.namespace"
    )
    if new["eventTime"] is None:
        if namespace != (about or "default"):
            found.append(mismatch)
        return found
    if not about and namespace not in ("default", "kube-system"):
        found.append(mismatch)
    controller = new["reportingComponent"]
    if not controller:
        found.append(FieldError("Required", "reportingController"))
    found += [
        FieldError("Invalid", "reportingController", controller, text)
        for text in qualified_name(controller)
    ]
    for name, limit in EVENT_TEXT_MAX.items():
        text = new.get(name, "")
        if not text and name != "message":
            found.append(FieldError("Required", name))
        if len(text) > limit:
            found.append(FieldError("Invalid", name, "", f"can have at most {limit} characters"))
    return found


# What an event's later states of events.k8s.io/v1 may not differ in.
EVENT_FIXED = (
    "involvedObject",
    "reason",
    "message",
    "source",
    "firstTimestamp",
    "lastTimestamp",
    "count",
    "type",
    "eventTime",
    "action",
    "related",
    "reportingComponent",
    "reportingInstance",
)


def strict_event(new, old):
    """What events.k8s.io/v1 asks of the stored form besides."""
    found = []
    series = new.get("series")
    if series is not None and (old is None or series != old.get("series")):
        if series.get("count", 0) < SERIES_MIN:
            found.append(FieldError("Invalid", "series.count", "", "should be at least 2"))
        if series["lastObservedTime"] is None:
            found.append(FieldError("Required", "series.lastObservedTime"))
    if old is not None:
        return found + [
            FieldError("Invalid", name, new.get(name), "field is immutable")
            for name in EVENT_FIXED
            if new.get(name) != old.get(name)
        ]
    if new["eventTime"] is None:
        found.append(FieldError("Required", "eventTime"))
    if new.get("type") not in ("Normal", "Warning"):
        found.append(FieldError("Invalid", "type", "", f"has invalid value: {new.get('type', '')}"))
    for name in ("firstTimestamp", "lastTimestamp", "count"):
        if new.get(name):
            found.append(FieldError("Invalid", name, "", "needs to be unset"))
    if new["source"]:
        found.append(FieldError("Invalid", "source", "", "needs to be unset"))
    return found


def role(new, _old):
    found = []
    for index, rule in enumerate(new["rules"]):
        if not rule["verbs"]:
            detail = "verbs must contain at least one value"
            found.append(FieldError("Required", f"rules[{index}].verbs", detail=detail))
    return found


def binding(new, old):
    found = []
    if old is not None and new["roleRef"] != old["roleRef"]:
        found.append(FieldError("Invalid", "roleRef", new["roleRef"], "cannot change roleRef"))
    if new["roleRef"]["kind"] not in ("Role", "ClusterRole"):
        detail = supported(("Role", "ClusterRole"))
        found.append(FieldError("NotSupported", "roleRef.kind", new["roleRef"]["kind"], detail))
    for index, subject in enumerate(new.get("subjects", [])):
        path = f"subjects[{index}]"
        if subject["kind"] == "ServiceAccount" and not subject.get("namespace"):
            found.append(FieldError("Required", f"{path}.namespace"))
    return found
