# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Structural schemas of custom resources: what they may say, and defaults, pruning and validation."""

import copy
import datetime
import re

from status import FieldError, supported

TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}
BASE_KEYS = {"apiVersion", "kind", "metadata"}
KNOWN = {
    "type", "properties", "required", "additionalProperties", "items", "enum", "maximum", "minimum",
    "exclusiveMaximum", "exclusiveMinimum", "maxLength", "minLength", "pattern", "format", "maxItems",
    "minItems", "uniqueItems", "maxProperties", "minProperties", "multipleOf", "default", "nullable",
    "description", "title", "example", "externalDocs",
    "x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string", "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys", "x-kubernetes-map-type", "x-kubernetes-embedded-resource",
}  # fmt: skip
UUID = re.compile(r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
DURATION = re.compile(r"[+-]?(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+|0")


def problems(schema, path, root=True):
    """Why a schema is not structural, or what of it this server cannot do."""
    found = []
    for key in schema:
        if key not in KNOWN:
            found.append(FieldError("Forbidden", f"{path}.{key}", detail="is not supported here"))
    if schema.get("uniqueItems"):
        detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        found.append(FieldError("Forbidden", f"{path}.uniqueItems", detail=detail))
    any_type = schema.get("x-kubernetes-preserve-unknown-fields") or schema.get(
        "x-kubernetes-int-or-string"
    )
    kind = schema.get("type")
    if kind is None and (root or not any_type):
        detail = f"must not be empty {'at the root' if root else 'for specified object fields'}"
        found.append(FieldError("Required", f"{path}.type", detail=detail))
    elif kind is not None and kind not in TYPES:
        found.append(FieldError("NotSupported", f"{path}.type", kind, supported(sorted(TYPES))))
    elif root and kind != "object":
        detail = 'must be "object" at the root'
        found.append(FieldError("Invalid", f"{path}.type", kind, detail))
    if "properties" in schema and isinstance(schema.get("additionalProperties"), dict):
        detail = "must not be used together with properties"
        found.append(FieldError("Forbidden", f"{path}.additionalProperties", detail=detail))
    if kind == "array" and not isinstance(schema.get("items"), dict):
        found.append(FieldError("Required", f"{path}.items", detail="must be specified"))
    if "pattern" in schema:
        try:
            re.compile(schema["pattern"])
        except re.error:
            detail = "must be a valid regular expression"
            found.append(FieldError("Invalid", f"{path}.pattern", schema["pattern"], detail))
    for name, part in schema.get("properties", {}).items():
        if root and name == "metadata":
            continue
        found += problems(part, f"{path}.properties[{name}]", False)
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            found += problems(schema[name], f"{path}.{name}", False)
    return found


def _parts(schema, value):
    """Each part of a value with its schema; None where it has none."""
    if isinstance(value, dict):
        more = schema.get("additionalProperties")
        for name, part in value.items():
            of = schema.get("properties", {}).get(name)
            yield name, part, of if of is not None else more if isinstance(more, dict) else None
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, part in enumerate(value):
            yield index, part, schema["items"]


def prune(schema, value, unknown, path="", root=True):
    """Takes out, in place, what the schema does not name; the paths of it go to 'unknown'."""
    keep = schema.get("x-kubernetes-preserve-unknown-fields")
    open_ended = schema.get("additionalProperties") is True
    for name, part, of in list(_parts(schema, value)):
        below = f"{path}[{name}]" if isinstance(name, int) else f"{path}.{name}".lstrip(".")
        if root and name in BASE_KEYS:
            continue
        if of is not None:
            prune(of, part, unknown, below, False)
        elif isinstance(value, dict) and not keep and not open_ended:
            unknown.append(below)
            del value[name]


def set_defaults(schema, value):
    """Fills in, in place, what has a default and is missing; null goes where it is not allowed."""
    for name, part, of in list(_parts(schema, value)):
        if isinstance(value, dict) and part is None and of is not None and not of.get("nullable"):
            del value[name]
    if isinstance(value, dict):
        for name, of in schema.get("properties", {}).items():
            if "default" in of and name not in value:
                value[name] = copy.deepcopy(of["default"])
    for _, part, of in list(_parts(schema, value)):
        if of is not None:
            set_defaults(of, part)


def _is_date_time(text):
    if not re.fullmatch(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", text):
        return False
    try:
        datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.upper()))
    except ValueError:
        return False
    return True


FORMATS = {
    "date-time": _is_date_time,
    "date": lambda text: bool(re.fullmatch(r"\d{4}-\d\d-\d\d", text)),
    "duration": lambda text: bool(DURATION.fullmatch(text)),
    "uuid": lambda text: bool(UUID.fullmatch(text)),
}


def _is_of_type(value, kind):
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, TYPES[kind])


def _name_of_type(value):
    for kind in ("boolean", "integer", "number", "string", "array", "object"):
        if _is_of_type(value, kind):
            return kind
    return "null"


def _bounds(schema, value, path):
    found = []
    for name, exclusive, wrong, text in (
        ("minimum", "exclusiveMinimum", lambda v, limit: v < limit, "greater than"),
        ("maximum", "exclusiveMaximum", lambda v, limit: v > limit, "less than"),
    ):
        limit = schema.get(name)
        if limit is None:
            continue
        strict = schema.get(exclusive, False)
        if wrong(value, limit) or strict and value == limit:
            detail = f"{path} in body should be {text}{'' if strict else ' or equal to'} {limit}"
            found.append(FieldError("Invalid", path, value, detail))
    step = schema.get("multipleOf")
    if step is not None and value % step:
        detail = f"{path} in body should be a multiple of {step}"
        found.append(FieldError("Invalid", path, value, detail))
    return found


def _text(schema, value, path):
    found = []
    if len(value) > schema.get("maxLength", len(value)):
        detail = f"may not be longer than {schema['maxLength']}"
        found.append(FieldError("TooLong", path, detail=detail))
    if len(value) < schema.get("minLength", 0):
        detail = f"{path} in body should be at least {schema['minLength']} chars long"
        found.append(FieldError("Invalid", path, value, detail))
    if "pattern" in schema and not re.search(schema["pattern"], value):
        detail = f"{path} in body should match '{schema['pattern']}'"
        found.append(FieldError("Invalid", path, value, detail))
    check = FORMATS.get(schema.get("format"))
    if check and not check(value):
        detail = f"{path} in body must be of type {schema['format']}: \"{value}\""
        found.append(FieldError("TypeInvalid", path, value, detail))
    return found


def _items(schema, value, path):
    found = []
    if len(value) > schema.get("maxItems", len(value)):
        detail = f"{path} in body should have at most {schema['maxItems']} items"
        found.append(FieldError("Invalid", path, len(value), detail))
    if len(value) < schema.get("minItems", 0):
        detail = f"{path} in body should have at least {schema['minItems']} items"
        found.append(FieldError("Invalid", path, len(value), detail))
    kind = schema.get("x-kubernetes-list-type")
    keys = schema.get("x-kubernetes-list-map-keys", [])
    seen = []
    for index, one in enumerate(value if kind in ("set", "map") else []):
        known = {key: one.get(key) for key in keys} if kind == "map" and isinstance(one, dict) else one
        if known in seen:
            found.append(FieldError("Duplicate", f"{path}[{index}]", known))
        seen.append(known)
    return found


def _properties(schema, value, path):
    found = [
        FieldError("Required", f"{path}.{name}".lstrip("."))
        for name in schema.get("required", [])
        if name not in value
    ]
    for name, wrong, text in (
        ("maxProperties", lambda size, limit: size > limit, "most"),
        ("minProperties", lambda size, limit: size < limit, "least"),
    ):
        if name in schema and wrong(len(value), schema[name]):
            detail = f"{path} in body should have at {text} {schema[name]} properties"
            found.append(FieldError("Invalid", path, len(value), detail))
    return found


def validate(schema, value, path=""):
    """What of a value is not as the schema says."""
    if value is None and schema.get("nullable"):
        return []
    kind = "int-or-string" if schema.get("x-kubernetes-int-or-string") else schema.get("type")
    fits = kind is None or (
        _name_of_type(value) in ("integer", "string")
        if kind == "int-or-string"
        else _is_of_type(value, kind)
    )
    if not fits:
        shown = _name_of_type(value)
        detail = f'{path} in body must be of type {kind}: "{shown}"'
        return [FieldError("TypeInvalid", path, shown, detail)]
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(FieldError("NotSupported", path, value, supported(schema["enum"])))
    checks = {int: _bounds, float: _bounds, str: _text, list: _items, dict: _properties}
    check = checks.get(type(value))
    if check:
        found += check(schema, value, path)
    for name, part, of in _parts(schema, value):
        below = f"{path}[{name}]" if isinstance(name, int) else f"{path}.{name}".lstrip(".")
        if of is not None and not (not path and name == "metadata"):
            found += validate(of, part, below)
    return found
