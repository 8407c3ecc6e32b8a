# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Objects of the Kubernetes API, checked against the types of its Python client: strictly."""

import datetime
import re

from kubernetes.client import models

PLAIN = {"str": str, "int": int, "float": (int, float), "bool": bool, "object": object, "datetime": datetime.datetime}


class Unfit(Exception):
    """Where an object is not of its type, and why."""


def _build(kind, value, path):
    if (inner := re.fullmatch(r"list\[(.*)\]", kind)) is not None:
        if not isinstance(value, list):
            raise Unfit(f"{path}: {value!r}, expected a list")
        return [_build(inner[1], one, f"{path}[{index}]") for index, one in enumerate(value)]
    if (inner := re.fullmatch(r"dict\(str, (.*)\)", kind)) is not None:
        if not isinstance(value, dict):
            raise Unfit(f"{path}: {value!r}, expected a mapping")
        return {key: _build(inner[1], one, f"{path}.{key}") for key, one in value.items()}
    if kind in PLAIN:
        # In Python a bool is an int, too.
        if not isinstance(value, PLAIN[kind]) or kind != "object" and isinstance(value, bool) != (kind == "bool"):
            raise Unfit(f"{path}: {value!r}, expected {kind}")
        return value
    model = getattr(models, kind)
    names = {json_name: name for name, json_name in model.attribute_map.items()}
    if not isinstance(value, dict):
        raise Unfit(f"{path}: {value!r}, expected {kind}")
    if unknown := sorted(set(value) - set(names)):
        raise Unfit(f"{path}: {kind} has no {', '.join(unknown)}")
    given = {names[key]: _build(model.openapi_types[names[key]], one, f"{path}.{key}") for key, one in value.items()}
    try:
        return model(**given)  # misses what is required
    except ValueError as error:
        raise Unfit(f"{path}: {error}") from None


def check(value):
    """Unfit unless the object is one of the API's, whole and with nothing that the API does not know."""
    version = value["apiVersion"].rpartition("/")[2].capitalize()
    kind = f"{version}{value['kind']}"
    if not hasattr(models, kind):
        raise Unfit(f"the Kubernetes client has no {value['apiVersion']} {value['kind']}")
    _build(kind, value, value["kind"])
