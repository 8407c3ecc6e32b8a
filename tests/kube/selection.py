# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Which objects a label selector and a field selector pick."""

import re

from status import bad_request

LABEL_TERM = re.compile(
    r"\s*(?:(?P<absent>!)\s*(?P<absent_key>[\w./-]+)"
    r"|(?P<key>[\w./-]+)\s*(?:(?P<operator>==|!=|=)\s*(?P<value>[\w.-]*)"
    r"|\s(?P<set>in|notin)\s*\((?P<values>[^)]*)\))?)\s*(?:,|$)"
)
FIELD_TERM = re.compile(r"\s*([^=!,\s]+)\s*(==|!=|=)\s*([^,]*?)\s*$")


def _label_term(found):
    if found["absent"]:
        return lambda labels, key=found["absent_key"]: key not in labels
    key, operator, value = found["key"], found["operator"], found["value"]
    if found["set"]:
        values = {part.strip() for part in found["values"].split(",")}
        if found["set"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if operator is None:
        return lambda labels: key in labels
    if operator == "!=":
        return lambda labels: labels.get(key) != value
    return lambda labels: labels.get(key) == value


def _label_terms(text):
    terms, at = [], 0
    while at < len(text):
        found = LABEL_TERM.match(text, at)
        if not found or found.end() == at:
            raise bad_request(f"unable to parse requirement: found '{text[at:]}'")
        terms.append(_label_term(found))
        at = found.end()
    return terms


def value_at(value, path):
    """What stands at a path of names, as a selector compares it."""
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _field_terms(text, resource):
    terms, name = [], None
    for part in filter(None, text.split(",")):
        found = FIELD_TERM.match(part)
        if not found:
            raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
        field, operator, value = found.groups()
        if field not in resource.selectable:
            raise bad_request(f"field label not supported: {field}")
        if field == "metadata.name" and operator != "!=":
            name = value
        # What is false by default is absent from the object.
        absent = "false" if field == "spec.unschedulable" else ""
        terms.append(
            lambda one, field=field, value=value, wanted=operator != "!=", absent=absent: (
                (value_at(one, field) or absent) == value
            )
            is wanted
        )
    return terms, name


class Selection:
    """What a list, a watch or a deletion of many is about; 'name' is the only name it can pick."""

    def __init__(self, resource, namespace, label_text, field_text):
        self.namespace = namespace
        labels = _label_terms(label_text)
        fields, self.name = _field_terms(field_text, resource)
        self.terms = [
            *(lambda one, term=term: term(one["metadata"].get("labels", {})) for term in labels),
            *fields,
        ]

    def picks(self, one):
        if self.namespace and one["metadata"].get("namespace") != self.namespace:
            return False
        return all(term(one) for term in self.terms)
