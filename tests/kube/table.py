# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Objects as the table that `kubectl get` asks for, with a custom resource's printer columns."""

import datetime
import re

MEDIA = re.compile(r"application/json\s*;(?=[^,]*as=Table)(?=[^,]*g=meta\.k8s\.io)(?=[^,]*v=v1\b)")
NAME = {"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}
AGE = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
STEP = re.compile(
    r"\.(?P<name>(?:[^.\[\\]|\\.)+)|\[(?P<index>\d+)\]|\['(?P<key>[^']*)'\]"
    r"|\[\?\(@\.(?P<field>\w+)\s*==\s*[\"'](?P<value>[^\"']*)[\"']\)\]"
)


def is_asked_for(resource, accepted):
    """Built-in objects have columns of their own elsewhere; here they have none."""
    return resource.is_custom and MEDIA.search(accepted) is not None


def find(value, path):
    """What a column's jsonPath leads to, or None: names, indices, and [?(@.field=="value")]."""
    at = 0
    while at < len(path):
        step = STEP.match(path, at)
        if step is None:
            return None
        at = step.end()
        name = step["key"] if step["key"] is not None else step["name"]
        if name is not None:
            name = name.replace("\\.", ".")
            value = value.get(name) if isinstance(value, dict) else None
        elif not isinstance(value, list):
            return None
        elif step["index"] is not None:
            value = value[int(step["index"])] if int(step["index"]) < len(value) else None
        else:
            value = next((one for one in value if one.get(step["field"]) == step["value"]), None)
    return value


def duration(seconds):
    """As kubectl shows an age: the two greatest units while they say something."""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    for limit, great, small, units in (
        (10 * 60, minutes, seconds % 60, "ms"),
        (3 * 3600, minutes, 0, "m"),
        (8 * 3600, hours, minutes % 60, "hm"),
        (48 * 3600, hours, 0, "h"),
        (8 * 86400, days, hours % 24, "dh"),
    ):
        if seconds < limit:
            return f"{great}{units[0]}" + (f"{small}{units[1]}" if small else "")
    return f"{days}d"


def _cell(column, value):
    found = find(value, column["jsonPath"])
    if column["type"] != "date" or found is None:
        return found
    try:
        moment = datetime.datetime.fromisoformat(found)
    except (TypeError, ValueError):
        return "<invalid>"
    age = datetime.datetime.now(datetime.timezone.utc) - moment
    return duration(max(0, int(age.total_seconds())))


class Shower:
    """Makes a table of each object of a watch."""

    def __init__(self, resource):
        self.resource, self.with_columns = resource, True

    def __call__(self, stored):
        value = self.resource.shown(stored)
        version = {"resourceVersion": value["metadata"]["resourceVersion"]}
        made = make(self.resource, version, [value], self.with_columns)
        self.with_columns = False
        return made


def make(resource, metadata, items, with_columns=True):
    """A Table of the objects; a watch's later ones have no columns."""
    columns = resource.columns or (AGE,)
    definitions = [NAME] + [
        {
            "name": column["name"],
            "type": column["type"],
            "format": column.get("format", ""),
            "description": column.get("description", f"JSONPath: {column['jsonPath']}"),
            "priority": column.get("priority", 0),
        }
        for column in columns
    ]
    rows = [
        {
            "cells": [item["metadata"]["name"], *(_cell(column, item) for column in columns)],
            "object": {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": item["metadata"],
            },
        }
        for item in items
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions if with_columns else None,
        "rows": rows,
    }
