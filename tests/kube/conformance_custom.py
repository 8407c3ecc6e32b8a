# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Custom resource definitions and what they define."""

from client import MERGE, OPERATIONS, STRATEGIC
from conformance import check, same

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SCHEMA = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["state"],
            "properties": {
                "state": {"type": "string", "enum": ["healthy", "isolated"]},
                "sequence": {"type": "integer", "format": "int64", "minimum": 1},
                "peer": {"type": "string", "maxLength": 5, "pattern": "^[a-z]*$"},
                "ratio": {"type": "number", "maximum": 1},
                "since": {"type": "string", "format": "date-time"},
                "mode": {"type": "string", "default": "advise"},
                "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
                "port": {"x-kubernetes-int-or-string": True},
                "zone": {"type": "string", "nullable": True},
                "edges": {
                    "type": "array",
                    "maxItems": 2,
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["peer"],
                    "items": {
                        "type": "object",
                        "required": ["peer"],
                        "properties": {"peer": {"type": "string"}, "lost": {"type": "boolean"}},
                    },
                },
            },
        },
        "status": {
            "type": "object",
            "properties": {"seen": {"type": "integer"}},
        },
    },
}
COLUMNS = [
    {"name": "State", "type": "string", "jsonPath": ".spec.state"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
]


def _definition(server, status=True, schema=None):
    group = f"{server.name('group')}.tocsin.dev"
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema or SCHEMA},
        "additionalPrinterColumns": COLUMNS,
    }
    if status:
        version["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"probes.{group}"},
        "spec": {
            "group": group,
            "scope": "Cluster",
            "names": {"plural": "probes", "kind": "Probe", "shortNames": ["pb"]},
            "versions": [version],
        },
    }


def _is_established(server, name):
    found = server.get(f"{DEFINITIONS}/{name}")["status"]["conditions"] or []
    return any(one["type"] == "Established" and one["status"] == "True" for one in found)


class Probes:
    """A custom resource that is served."""

    def __init__(self, server, **more):
        self.server = server
        made = server.create(DEFINITIONS, _definition(server, **more))
        self.definition = f"{DEFINITIONS}/{made['metadata']['name']}"
        server.wait(lambda: _is_established(server, made["metadata"]["name"]), "Established")
        self.api_version = f"{made['spec']['group']}/v1"
        self.path = f"/apis/{self.api_version}/probes"
        # It is served a moment after that.
        server.wait(lambda: server.client.call("GET", self.path).code == 200, "the resource")

    def body(self, **spec):
        return {
            "apiVersion": self.api_version,
            "kind": "Probe",
            "metadata": {"name": self.server.name("probe")},
            "spec": {"state": "healthy", **spec},
        }

    def create(self, **spec):
        return self.server.create(self.path, self.body(**spec))

    def path_of(self, made):
        return f"{self.path}/{made['metadata']['name']}"


def test_definition(server):
    """is served once it is Established, keeps its columns, ends with all that was of it"""
    probes = Probes(server)
    found = server.get(probes.definition)
    columns = found["spec"]["versions"][0]["additionalPrinterColumns"]
    same(columns, COLUMNS, "columns")
    same(found["spec"]["names"]["listKind"], "ProbeList", "listKind")
    same(found["status"]["storedVersions"], ["v1"], "storedVersions")
    same(server.get(probes.path)["kind"], "ProbeList", "kind of a list")
    made = probes.create()
    same(made["metadata"]["generation"], 1, "generation")
    same((made["kind"], made["apiVersion"]), ("Probe", probes.api_version), "kind")
    found = server.get(probes.path)["items"]
    same(found[0]["kind"], "Probe", "kind of an item")
    server.delete(probes.definition)
    server.wait(lambda: server.client.call("GET", probes.path).code == 404, "the end")


def test_definition_wrong(server):
    """422 for a name that is not its own, no schema, an untyped schema, no version that is stored"""

    def refused(change):
        body = _definition(server)
        change(body)
        server.create(DEFINITIONS, body, code=422, reason="Invalid")

    refused(lambda body: body["metadata"].update(name="other.tocsin.dev"))
    refused(lambda body: body["spec"]["versions"][0].pop("schema"))
    refused(
        lambda body: body["spec"]["versions"][0].update(
            schema={"openAPIV3Schema": {"type": "object", "properties": {"spec": {}}}}
        )
    )
    refused(lambda body: body["spec"]["versions"][0].update(storage=False))
    refused(lambda body: body["spec"].update(scope="Everywhere"))
    refused(lambda body: body["spec"].pop("group"))
    columns = [{"name": "State", "type": "text", "jsonPath": ".spec.state"}]
    refused(lambda body: body["spec"]["versions"][0].update(additionalPrinterColumns=columns))


def test_custom_schema(server):
    """422 for what the schema does not allow, with the field's name"""
    probes = Probes(server)
    for field, wrong, reason in (
        ("state", "ill", "FieldValueNotSupported"),
        ("state", 5, "FieldValueTypeInvalid"),
        ("sequence", 0, "FieldValueInvalid"),
        ("sequence", 1.5, "FieldValueTypeInvalid"),
        ("sequence", "1", "FieldValueTypeInvalid"),
        ("peer", "abcdef", "FieldValueTooLong"),
        ("peer", "A", "FieldValueInvalid"),
        ("ratio", 1.5, "FieldValueInvalid"),
        ("since", "yesterday", "FieldValueTypeInvalid"),
        ("counts", {"a": "1"}, "FieldValueTypeInvalid"),
        ("port", True, "FieldValueTypeInvalid"),
        ("edges", [{"peer": "a"}] * 2, "FieldValueDuplicate"),
        ("edges", [{"lost": True}], "FieldValueRequired"),
    ):
        said = server.create(probes.path, probes.body(**{field: wrong}), code=422, reason="Invalid")
        causes = [one for one in said["details"]["causes"] if one["field"].startswith(f"spec.{field}")]
        check(causes, f"{field} = {wrong!r}: {said['message']}")
        # Older servers call a wrong type an invalid value.
        found = {one["reason"] for one in causes}
        wanted = {reason, "FieldValueInvalid"} if "Type" in reason or "Long" in reason else {reason}
        check(found & wanted, f"{field} = {wrong!r}: expected {reason}, found {found}")
    body = probes.body()
    del body["spec"]["state"]
    said = server.create(probes.path, body, code=422, reason="Invalid")
    same(said["details"]["causes"][0]["field"], "spec.state", "field")
    body = probes.body()
    del body["spec"]
    server.create(probes.path, body, code=422, reason="Invalid")


def test_custom_values(server):
    """unknown fields are pruned except where they are kept; defaults are filled in"""
    probes = Probes(server)
    made = probes.create(
        nobody=1,
        open={"a": {"b": 1}},
        counts={"x": 1},
        port="http",
        zone=None,
        edges=[{"peer": "a", "nobody": 1}],
        since="2026-01-02T03:04:05Z",
    )
    wanted = {
        "state": "healthy",
        "mode": "advise",
        "open": {"a": {"b": 1}},
        "counts": {"x": 1},
        "port": "http",
        "zone": None,
        "edges": [{"peer": "a"}],
        "since": "2026-01-02T03:04:05Z",
    }
    same(made["spec"], wanted, "spec")
    same(probes.create(port=80)["spec"]["port"], 80, "port")
    made = probes.create(peer=None, mode=None)
    same(made["spec"], {"state": "healthy", "mode": "advise"}, "null where it is not allowed")


def test_custom_body(server):
    """400 without a kind or with another version, 422 with another kind"""
    probes = Probes(server)
    for change, code in (({"kind": None}, 400), ({"kind": "Other"}, 422), ({"apiVersion": "v1"}, 400)):
        body = {key: part for key, part in {**probes.body(), **change}.items() if part}
        server.create(probes.path, body, code=code)


def test_custom_patches(server):
    """merge and operations; 415 for a strategic one; 409 for a stale version"""
    probes = Probes(server)
    made = probes.create(edges=[{"peer": "a"}])
    path = probes.path_of(made)
    server.patch(path, {}, STRATEGIC, code=415, reason="UnsupportedMediaType")
    found = server.patch(path, {"spec": {"edges": [{"peer": "b"}], "mode": None}}, MERGE)
    same(found["spec"]["edges"], [{"peer": "b"}], "edges")
    same(found["spec"]["mode"], "advise", "a default that was taken away")
    found = server.patch(path, [{"op": "add", "path": "/spec/sequence", "value": 7}], OPERATIONS)
    same(found["spec"]["sequence"], 7, "sequence")
    server.patch(path, {"spec": {"state": "ill"}}, code=422, reason="Invalid")
    stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}}
    server.patch(path, {**stale, "spec": {"sequence": 8}}, code=409, reason="Conflict")


def test_custom_put(server):
    """409 for a stale version, 422 for none, 404 for what is not there; generations count"""
    probes = Probes(server)
    made = probes.create()
    path = probes.path_of(made)
    made["spec"]["sequence"] = 1
    found = server.put(path, made)
    same(found["metadata"]["generation"], 2, "generation")
    server.put(path, {**made, "spec": {"state": "isolated"}}, code=409, reason="Conflict")
    found["metadata"]["labels"] = {"a": "1"}
    found = server.put(path, found)
    same(found["metadata"]["generation"], 2, "generation after a label")
    del found["metadata"]["resourceVersion"]
    server.put(path, found, code=422, reason="Invalid")
    body = probes.body()
    server.put(probes.path_of(body), body, code=404, reason="NotFound")


def test_custom_status(server):
    """apart, where it is a subresource: neither write changes the other part, nor the metadata"""
    probes = Probes(server)
    body = probes.body()
    body["status"] = {"seen": 1}
    made = server.create(probes.path, body)
    check("status" not in made, "a status came with the object")
    path = probes.path_of(made)
    body = {"metadata": {"labels": {"a": "1"}}, "spec": {"state": "isolated"}, "status": {"seen": 2}}
    found = server.patch(f"{path}/status", body)
    same(found["status"], {"seen": 2}, "status")
    same(found["spec"]["state"], "healthy", "state")
    check("labels" not in found["metadata"], "labels were written with the status")
    same(found["metadata"]["generation"], 1, "generation")
    found = server.patch(path, {"spec": {"sequence": 3}, "status": {"seen": 4}})
    same((found["status"], found["spec"]["sequence"]), ({"seen": 2}, 3), "object")
    server.patch(f"{path}/status", {"status": {"seen": "x"}}, code=422, reason="Invalid")


def test_custom_without_status(server):
    """404 for the status, where it is no subresource; then it is a field like others"""
    probes = Probes(server, status=False)
    body = probes.body()
    body["status"] = {"seen": 1}
    made = server.create(probes.path, body)
    same(made["status"], {"seen": 1}, "status")
    server.patch(f"{probes.path_of(made)}/status", {}, code=404, reason="NotFound")
    other = server.client.call("GET", f"/apis/{probes.api_version}/others")
    check(other.code == 404 and other.body is None, f"another resource of the group: {other}")


def test_custom_columns(server):
    """a table with the printer columns, for who asks for it"""
    probes = Probes(server)
    made = probes.create()
    head = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    for path in (probes.path, probes.path_of(made)):
        found = server.get(path, headers=head)
        same(found["kind"], "Table", "kind")
        names = [one["name"] for one in found["columnDefinitions"]]
        same(names, ["Name", "State", "Age"], "columns")
        cells = found["rows"][0]["cells"]
        same(cells[:2], [made["metadata"]["name"], "healthy"], "cells")
        check(cells[2].endswith("s"), f"age: {cells[2]}")
        metadata = found["rows"][0]["object"]["metadata"]
        same(metadata["name"], made["metadata"]["name"], "name")


def test_custom_watch(server):
    """like any other resource"""
    probes = Probes(server)
    start = server.get(probes.path)["metadata"]["resourceVersion"]
    made = probes.create()
    with server.client.watch(probes.path, resourceVersion=start, timeoutSeconds=10) as watch:
        event = watch.next()
        same((event["type"], event["object"]), ("ADDED", made), "event")
        server.patch(probes.path_of(made), {"spec": {"sequence": 2}})
        same(watch.next()["object"]["spec"]["sequence"], 2, "sequence")
        server.delete(probes.path_of(made))
        same(watch.next()["type"], "DELETED", "type")
