# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The three kinds of patches, applied to plain values. None of them changes what it is given."""

import copy

from status import ApiError, bad_request
from typed import List, Map, Struct, bare

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON = "application/json-patch+json"
OPERATIONS_MAX = 10000
ORDER = "$setElementOrder/"
DELETE_PRIMITIVES = "$deleteFromPrimitiveList/"


def merge(value, patch):
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    made = dict(value) if isinstance(value, dict) else {}
    for key, part in patch.items():
        if part is None:
            made.pop(key, None)
        else:
            made[key] = merge(made.get(key), part)
    return made


# RFC 6902


def _refused():
    # Why is not told: the reference server keeps it to itself, too.
    return ApiError(
        422, "Invalid", "the server rejected our request due to an error in our request"
    )


def _steps(pointer):
    if not isinstance(pointer, str) or pointer and not pointer.startswith("/"):
        raise _refused()
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def _index(values, step, end):
    """The place in a list; 'end' is the last one that may be named."""
    if step == "-":
        step = str(len(values))
    if not step.isdigit() or int(step) > end:
        raise _refused()
    return int(step)


def _parent(document, steps):
    if not steps:
        raise _refused()
    for step in steps[:-1]:
        if isinstance(document, dict) and step in document:
            document = document[step]
        elif isinstance(document, list):
            document = document[_index(document, step, len(document) - 1)]
        else:
            raise _refused()
    if not isinstance(document, (dict, list)):
        raise _refused()
    return document, steps[-1]


def _read(document, steps):
    if not steps:
        return document
    parent, step = _parent(document, steps)
    if isinstance(parent, list):
        return parent[_index(parent, step, len(parent) - 1)]
    if step not in parent:
        raise _refused()
    return parent[step]


def _add(document, steps, value):
    parent, step = _parent(document, steps)
    if isinstance(parent, list):
        parent.insert(_index(parent, step, len(parent)), value)
    else:
        parent[step] = value


def _remove(document, steps):
    value = _read(document, steps)
    parent, step = _parent(document, steps)
    if isinstance(parent, list):
        del parent[_index(parent, step, len(parent) - 1)]
    else:
        del parent[step]
    return value


def _replace(document, steps, value):
    _remove(document, steps)
    _add(document, steps, value)


def _test(document, steps, value):
    try:
        found = _read(document, steps)
    except ApiError:
        # The reference server takes what is not there for null.
        found = None
    if found != value or isinstance(found, bool) != isinstance(value, bool):
        raise _refused()


def apply_operations(document, operations):
    """RFC 6902: all of the operations or, when one is refused, none."""
    if not isinstance(operations, list) or not all(isinstance(one, dict) for one in operations):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    if len(operations) > OPERATIONS_MAX:
        raise ApiError(
            413,
            "RequestEntityTooLarge",
            f"Request entity too large: The allowed maximum operations in a JSON patch is "
            f"{OPERATIONS_MAX}, got {len(operations)}",
        )
    document = copy.deepcopy(document)
    for one in operations:
        steps = _steps(one.get("path"))
        value = copy.deepcopy(one.get("value"))
        match one.get("op"):
            case "add" if "value" in one:
                _add(document, steps, value)
            case "remove":
                _remove(document, steps)
            case "replace" if "value" in one:
                _replace(document, steps, value)
            case "move":
                _add(document, steps, _remove(document, _steps(one.get("from"))))
            case "copy":
                _add(document, steps, copy.deepcopy(_read(document, _steps(one.get("from")))))
            case "test":
                _test(document, steps, value)
            case _:
                raise _refused()
    return document


# Strategic merge: a list is merged where its type says so.


def strategic(value, patch, of):
    """Merges a patch into a value of a built-in type."""
    if not isinstance(patch, dict):
        raise bad_request("json: cannot unmarshal array into Go value of type map[string]interface {}")
    # Kind and version are no fields of the type.
    return {**_merge_map(value, patch, of), "kind": value["kind"], "apiVersion": value["apiVersion"]}


def _directive(patch):
    directive = patch.get("$patch")
    if directive not in (None, "merge", "replace", "delete"):
        raise bad_request(f"unknown patch type: {directive}")
    return directive


def _without_directives(patch):
    return {key: part for key, part in patch.items() if not key.startswith("$")}


def _without_nulls(part):
    if isinstance(part, dict):
        return {key: _without_nulls(below) for key, below in part.items() if below is not None}
    return [_without_nulls(one) for one in part] if isinstance(part, list) else part


def _merge_map(value, patch, of):
    of = bare(of)
    directive = _directive(patch)
    if directive == "delete":
        return {}
    if directive == "replace":
        return copy.deepcopy({key: part for key, part in patch.items() if key != "$patch"})
    made = copy.deepcopy(value)
    for key, part in patch.items():
        if key.startswith(DELETE_PRIMITIVES):
            name = key.removeprefix(DELETE_PRIMITIVES)
            if isinstance(made.get(name), list):
                made[name] = [one for one in made[name] if one not in part]
    if "$retainKeys" in patch:
        kept = patch["$retainKeys"]
        if any(key not in kept for key in _without_directives(patch)):
            raise bad_request("'$retainKeys' list doesn't have all the keys of the patch")
        made = {key: part for key, part in made.items() if key in kept}
    for key, part in _without_directives(patch).items():
        inner = _type_of_field(of, key)
        if part is None:
            made.pop(key, None)
        elif key not in made:
            # As it is: a directive within is not looked at, and a list's elements need no key.
            made[key] = _without_nulls(part)
        elif isinstance(part, dict) and isinstance(made[key], dict):
            made[key] = _merge_map(made[key], part, inner)
        elif isinstance(part, list) and isinstance(inner, List) and inner.merge:
            made[key] = _merge_list(made[key], part, inner, patch.get(ORDER + key))
        else:
            made[key] = copy.deepcopy(part)
    for key, order in patch.items():
        name = key.removeprefix(ORDER)
        if key.startswith(ORDER) and name not in patch and isinstance(made.get(name), list):
            made[name] = _merge_list(made[name], [], _type_of_field(of, name), order)
    return made


def _type_of_field(of, name):
    if isinstance(of, Struct):
        return bare(of.fields.get(name))
    return bare(of.of) if isinstance(of, Map) else None


def _merge_list(values, patch, of, order):
    if of.key is None:
        merged = list(dict.fromkeys([*values, *patch]))
        return _in_order(merged, order if order is not None else patch, values, lambda one: one)
    return _merge_by_key(values, patch, of, order)


def _merge_by_key(values, patch, of, order):
    def identity(one):
        if not isinstance(one, dict) or of.key not in one:
            raise ApiError(500, "", f"map: {one} does not contain declared merge key: {of.key}")
        return one[of.key]

    merged = copy.deepcopy(values)
    ordinary = []
    replace = any(isinstance(one, dict) and _directive(one) == "replace" for one in patch)
    for one in patch:
        directive = _directive(one) if isinstance(one, dict) else None
        if directive == "delete":
            merged = [old for old in merged if identity(old) != identity(one)]
        elif directive != "replace":
            ordinary.append(one)
    if replace:
        return copy.deepcopy(ordinary)
    for one in ordinary:
        known = identity(one)
        at = next((index for index, old in enumerate(merged) if identity(old) == known), None)
        if at is None:
            merged.append(_merge_map({}, one, of.of))
        else:
            merged[at] = _merge_map(merged[at], one, of.of)
    wanted = [identity(one) for one in (order if order is not None else ordinary)]
    return _in_order(merged, wanted, [identity(one) for one in values], identity)


def _in_order(merged, wanted, before, identity):
    """The patch's elements in its own order; the others keep their places before, as far as may be."""
    ours = sorted(
        (one for one in merged if identity(one) in wanted), key=lambda one: wanted.index(identity(one))
    )
    others = [one for one in merged if identity(one) not in wanted]
    made = []
    while ours and others:
        ahead = (
            identity(ours[0]) in before
            and identity(others[0]) in before
            and before.index(identity(others[0])) < before.index(identity(ours[0]))
        )
        made.append((others if ahead else ours).pop(0))
    return made + ours + others
