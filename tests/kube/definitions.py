# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Custom resource definitions: each that is accepted becomes a resource of its own."""

import copy
import datetime
import re
import threading

import schema
import typed
from resources import Resource
from status import FieldError, supported

GROUP = "apiextensions.k8s.io"
# The reference server's controller takes a moment, too: a client that does not wait for Established
# meets 404.
ESTABLISH_SECONDS = 0.05
VERSION = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


def _check_version(version, path):
    found = []
    if not VERSION.fullmatch(str(version.get("name", ""))):
        detail = "must be a DNS-1035 label"
        found.append(FieldError("Invalid", f"{path}.name", version.get("name"), detail))
    for name in ("served", "storage"):
        if not isinstance(version.get(name), bool):
            found.append(FieldError("Required", f"{path}.{name}"))
    of = (version.get("schema") or {}).get("openAPIV3Schema")
    if not isinstance(of, dict):
        detail = "schemas are required"
        found.append(FieldError("Required", f"{path}.schema.openAPIV3Schema", detail=detail))
    else:
        found += schema.problems(of, f"{path}.schema.openAPIV3Schema")
    for index, column in enumerate(version.get("additionalPrinterColumns") or []):
        below = f"{path}.additionalPrinterColumns[{index}]"
        for name in ("name", "type", "jsonPath"):
            if not column.get(name):
                found.append(FieldError("Required", f"{below}.{name}"))
        kinds = ("boolean", "date", "integer", "number", "string")
        if column.get("type") and column["type"] not in kinds:
            detail = supported(kinds)
            found.append(FieldError("NotSupported", f"{below}.type", column["type"], detail))
        if column.get("jsonPath") and not column["jsonPath"].startswith("."):
            detail = "is not a valid json path"
            found.append(FieldError("Invalid", f"{below}.jsonPath", column["jsonPath"], detail))
    return found


def check(new, old):
    """What is wrong with a definition."""
    spec, found = new["spec"] or {}, []
    names = spec.get("names") or {}
    for name in ("group", "scope", "versions"):
        if not spec.get(name):
            found.append(FieldError("Required", f"spec.{name}"))
    for name in ("plural", "kind"):
        if not names.get(name):
            found.append(FieldError("Required", f"spec.names.{name}"))
    if found:
        return found
    wanted = f"{names['plural']}.{spec['group']}"
    if new["metadata"].get("name") != wanted:
        detail = 'must be spec.names.plural+"."+spec.group'
        found.append(FieldError("Invalid", "metadata.name", new["metadata"].get("name"), detail))
    if "." not in spec["group"]:
        detail = "should be a domain with at least one dot"
        found.append(FieldError("Invalid", "spec.group", spec["group"], detail))
    approved = "api-approved.kubernetes.io" in new["metadata"].get("annotations", {})
    if re.search(r"(^|\.)(k8s|kubernetes)\.io$", spec["group"]) and not approved:
        path = "metadata.annotations[api-approved.kubernetes.io]"
        detail = "protected groups must have approval annotation"
        found.append(FieldError("Required", path, detail=detail))
    if spec["scope"] not in ("Cluster", "Namespaced"):
        detail = supported(("Cluster", "Namespaced"))
        found.append(FieldError("NotSupported", "spec.scope", spec["scope"], detail))
    if spec.get("preserveUnknownFields"):
        detail = "must be false"
        found.append(FieldError("Invalid", "spec.preserveUnknownFields", True, detail))
    for index, version in enumerate(spec["versions"]):
        found += _check_version(version, f"spec.versions[{index}]")
    if sum(bool(version.get("storage")) for version in spec["versions"]) != 1:
        detail = "must have exactly one version marked as storage version"
        found.append(FieldError("Invalid", "spec.versions", len(spec["versions"]), detail))
    if old is not None and old["spec"]["scope"] != spec["scope"]:
        found.append(FieldError("Invalid", "spec.scope", spec["scope"], "field is immutable"))
    return found


def set_defaults(value):
    spec = value.get("spec")
    if not isinstance(spec, dict):
        return
    names = spec.get("names")
    if isinstance(names, dict) and names.get("kind"):
        names.setdefault("singular", names["kind"].lower())
        names.setdefault("listKind", f"{names['kind']}List")
    spec.setdefault("conversion", {"strategy": "None"})
    if not spec.get("preserveUnknownFields"):
        spec.pop("preserveUnknownFields", None)


DEFINITIONS = Resource(
    GROUP,
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    False,
    typed.DEFINITION,
    check,
    set_defaults,
    has_status=True,
    status_keeps_metadata=True,
    unconditional_update=False,
    counts_generations=True,
    short_names=("crd", "crds"),
)


class _Custom:
    """The rules of one version of a custom resource."""

    def __init__(self, of):
        self.schema = of

    def decode(self, value, unknown):
        value = copy.deepcopy(value)
        schema.prune(self.schema, value, unknown)
        schema.set_defaults(self.schema, value)
        return value

    def check(self, new, _old):
        return schema.validate(self.schema, new)


def resources_of(definition):
    """The resources that a definition makes, one a version that is served."""
    spec = definition["spec"]
    for version in spec["versions"]:
        if not version["served"]:
            continue
        custom = _Custom(version["schema"]["openAPIV3Schema"])
        yield Resource(
            spec["group"],
            version["name"],
            spec["names"]["plural"],
            spec["names"]["kind"],
            spec["scope"] == "Namespaced",
            check=custom.check,
            custom_decode=custom.decode,
            has_status="status" in (version.get("subresources") or {}),
            unconditional_update=False,
            counts_generations=True,
            short_names=tuple(spec["names"].get("shortNames", ())),
            columns=tuple(version.get("additionalPrinterColumns", ())),
        )


def _stored_versions(spec):
    versions = spec.get("versions")
    return [one.get("name") for one in versions if one.get("storage")] if versions else []


def first_status(definition):
    """The status until the controller has looked at it."""
    return {
        "conditions": None,
        "acceptedNames": {"plural": "", "kind": ""},
        "storedVersions": _stored_versions(definition["spec"] or {}),
    }


def _condition(kind, reason, message):
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "type": kind,
        "status": "True",
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }


class Controller:
    """Serves what is defined, a moment after it is."""

    def __init__(self, store, table):
        self.store, self.table = store, table
        table.add(DEFINITIONS)

    def changed(self, definition):
        """A definition was stored; the store's lock is held."""
        if self._is_established(definition):
            self._serve(definition)
            return
        timer = threading.Timer(ESTABLISH_SECONDS, self._establish, [definition["metadata"]["name"]])
        timer.daemon = True
        timer.start()

    def deleted(self, definition):
        """A definition is gone, and with it all that was of it."""
        spec = definition["spec"]
        self.table.remove(spec["group"], spec["names"]["plural"])
        storage = f"{spec['group']}/{spec['names']['plural']}"
        for key in list(self.store.objects.get(storage, {})):
            self.store.delete(storage, key)

    @staticmethod
    def _is_established(definition):
        return any(
            one["type"] == "Established" for one in definition["status"]["conditions"] or []
        )

    def _serve(self, definition):
        spec = definition["spec"]
        self.table.remove(spec["group"], spec["names"]["plural"])
        for resource in resources_of(definition):
            self.table.add(resource)

    def _establish(self, name):
        with self.store.lock:
            key = ("", name)
            definition = self.store.get(DEFINITIONS.storage, key)
            if definition is None or self._is_established(definition):
                return
            spec = definition["spec"]
            status = {
                "conditions": [
                    _condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                    _condition(
                        "Established", "InitialNamesAccepted", "the initial names have been accepted"
                    ),
                ],
                "acceptedNames": spec["names"],
                "storedVersions": _stored_versions(spec),
            }
            self._serve(self.store.put(DEFINITIONS.storage, key, {**definition, "status": status}))
