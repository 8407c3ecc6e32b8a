# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Who asks, and whether the roles in the store let them."""

import dataclasses

from status import ApiError, qualified, unauthorized

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"
RBAC = "rbac.authorization.k8s.io"
# What everybody who is known may read, as the reference server's default roles say.
DISCOVERY = ("/api", "/apis", "/healthz", "/livez", "/openapi", "/readyz", "/version")


@dataclasses.dataclass(frozen=True)
class User:
    name: str
    groups: tuple


def service_account(namespace, name):
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
    return User(f"system:serviceaccount:{namespace}:{name}", groups)


@dataclasses.dataclass(frozen=True)
class Attributes:
    """What a request wants. Without a resource it is about a path alone."""

    verb: str
    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def full_resource(self):
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Authenticator:
    """Tokens and client certificates."""

    def __init__(self):
        self.tokens = {}

    def user(self, authorization, certificate):
        """The user of a request's header or its connection's certificate; 401 without one."""
        if authorization:
            scheme, _, token = authorization.partition(" ")
            user = self.tokens.get(token.strip()) if scheme.lower() == "bearer" else None
            if user is None:
                raise unauthorized()
            return user
        if certificate:
            fields = [pair for part in certificate["subject"] for pair in part]
            names = [value for key, value in fields if key == "commonName"]
            groups = [value for key, value in fields if key == "organizationName"]
            if names:
                return User(names[0], (*groups, AUTHENTICATED))
        raise unauthorized()


def _covers(values, wanted):
    return "*" in values or wanted in values


def _rule_allows(rule, wanted):
    if not _covers(rule["verbs"], wanted.verb):
        return False
    if not wanted.resource:
        return any(
            url == wanted.path or url.endswith("*") and wanted.path.startswith(url[:-1])
            for url in rule.get("nonResourceURLs", [])
        )
    resources = rule.get("resources", [])
    names = rule.get("resourceNames", [])
    return (
        _covers(rule.get("apiGroups", []), wanted.group)
        and (
            _covers(resources, wanted.full_resource)
            or bool(wanted.subresource)
            and f"*/{wanted.subresource}" in resources
        )
        and (not names or wanted.name in names)
    )


def _is_subject(subject, user, namespace):
    kind, name = subject["kind"], subject["name"]
    if kind == "ServiceAccount":
        return user.name == f"system:serviceaccount:{subject.get('namespace') or namespace}:{name}"
    return name == user.name if kind == "User" else kind == "Group" and name in user.groups


class Authorizer:
    """Role-based access control over the roles and bindings that the store has."""

    def __init__(self, store):
        self.store = store

    def _rules(self, user, namespace):
        sources = [("clusterrolebindings", "")]
        if namespace:
            sources.append(("rolebindings", namespace))
        for plural, where in sources:
            bindings = self.store.objects.get(f"{RBAC}/{plural}", {})
            for (binding_namespace, _), binding in bindings.items():
                if binding_namespace != where or not any(
                    _is_subject(subject, user, where) for subject in binding.get("subjects", [])
                ):
                    continue
                reference = binding["roleRef"]
                key = ("", reference["name"])
                if reference["kind"] == "Role":
                    key = (where, reference["name"])
                role = self.store.get(f"{RBAC}/{reference['kind'].lower()}s", key)
                yield from role["rules"] if role else ()

    def check(self, user, wanted):
        """403 unless a role allows it."""
        if MASTERS in user.groups:
            return
        if not wanted.resource and wanted.verb == "get":
            if any(wanted.path == path or wanted.path.startswith(f"{path}/") for path in DISCOVERY):
                return
        with self.store.lock:
            if any(_rule_allows(rule, wanted) for rule in self._rules(user, wanted.namespace)):
                return
        raise self._refusal(user, wanted)

    @staticmethod
    def _refusal(user, wanted):
        if not wanted.resource:
            return ApiError(
                403,
                "Forbidden",
                f'forbidden: User "{user.name}" cannot {wanted.verb} path "{wanted.path}"',
            )
        where = f'in the namespace "{wanted.namespace}"' if wanted.namespace else "at the cluster scope"
        about = qualified(wanted.resource, wanted.group) + (f' "{wanted.name}"' if wanted.name else "")
        details = {"name": wanted.name, "group": wanted.group, "kind": wanted.resource}
        return ApiError(
            403,
            "Forbidden",
            f'{about} is forbidden: User "{user.name}" cannot {wanted.verb} resource '
            f'"{wanted.full_resource}" in API group "{wanted.group}" {where}',
            {key: value for key, value in details.items() if value},
        )
