# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the server refuses a request with: an HTTP code, a reason and a Status object."""

import json

# The reason of each kind of finding about a field, and how its text begins.
FIELD_REASONS = {
    "Required": ("FieldValueRequired", "Required value"),
    "Invalid": ("FieldValueInvalid", "Invalid value"),
    "NotSupported": ("FieldValueNotSupported", "Unsupported value"),
    "Forbidden": ("FieldValueForbidden", "Forbidden"),
    "Duplicate": ("FieldValueDuplicate", "Duplicate value"),
    "TooLong": ("FieldValueTooLong", "Too long"),
    "TypeInvalid": ("FieldValueTypeInvalid", "Invalid value"),
}


class FieldError:
    """One finding about one field of an object."""

    def __init__(self, kind, field, value=None, detail=""):
        self.kind, self.field = kind, field
        self.reason, text = FIELD_REASONS[kind]
        if kind not in ("Required", "Forbidden", "TooLong"):
            text += f": {json.dumps(value, ensure_ascii=False)}"
        self.message = f"{text}: {detail}" if detail else text

    def __str__(self):
        return f"{self.field}: {self.message}"


def supported(values):
    """The detail of an unsupported value."""
    return "supported values: " + ", ".join(f'"{value}"' for value in values)


class ApiError(Exception):
    """A refusal, as the client gets it."""

    def __init__(self, code, reason, message, details=None, retry_after_s=None):
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message
        self.details = dict(details or {})
        self.retry_after_s = retry_after_s
        self.list_metadata = {}
        if retry_after_s is not None:
            self.details["retryAfterSeconds"] = retry_after_s

    def body(self):
        status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.list_metadata,
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": self.details,
            "code": self.code,
        }
        return {name: part for name, part in status.items() if part or name == "metadata"}


def qualified(plural, group):
    return f"{plural}.{group}" if group else plural


def _about(resource, name, **more):
    details = {"name": name, "group": resource.group, "kind": resource.plural, **more}
    return {key: value for key, value in details.items() if value}


def not_found(resource, name):
    return ApiError(
        404,
        "NotFound",
        f'{qualified(resource.plural, resource.group)} "{name}" not found',
        _about(resource, name),
    )


def no_such_path():
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def already_exists(resource, name):
    return ApiError(
        409,
        "AlreadyExists",
        f'{qualified(resource.plural, resource.group)} "{name}" already exists',
        _about(resource, name),
    )


def conflict(resource, name, why):
    return ApiError(
        409,
        "Conflict",
        f"Operation cannot be fulfilled on {qualified(resource.plural, resource.group)} "
        f'"{name}": {why}',
        _about(resource, name),
    )


def stale(resource, name):
    return conflict(
        resource,
        name,
        "the object has been modified; please apply your changes to the latest version and try again",
    )


def invalid(kind, group, name, findings):
    text = ", ".join(str(finding) for finding in findings)
    causes = [
        {"reason": finding.reason, "message": finding.message, "field": finding.field}
        for finding in findings
    ]
    details = {"name": name, "group": group, "kind": kind, "causes": causes}
    return ApiError(
        422,
        "Invalid",
        f'{qualified(kind, group)} "{name}" is invalid: {text if len(findings) == 1 else f"[{text}]"}',
        {key: value for key, value in details.items() if value},
    )


def bad_request(message):
    return ApiError(400, "BadRequest", message)


def unauthorized():
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(resource, name, why):
    about = qualified(resource.plural, resource.group) + (f' "{name}"' if name else "")
    return ApiError(403, "Forbidden", f"{about} is forbidden: {why}", _about(resource, name))


def not_allowed():
    return ApiError(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource"
    )


def unsupported_media_type(accepted):
    return ApiError(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: "
        + ", ".join(accepted),
    )


def expired(message):
    return ApiError(410, "Expired", message)


def too_old(asked, oldest):
    return expired(f"too old resource version: {asked} ({oldest})")
