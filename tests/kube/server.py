# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""HTTP: requests in, answers and watches out, one audit line for each."""

import http.server
import ipaddress
import json
import select
import socket
import ssl
import threading
import time
import traceback
import urllib.parse
import uuid

import patch as patches
import status
import table
from access import Attributes, User
from faults import Close
from registry import Options
from selection import Selection
from status import ApiError, bad_request
from watch import Watch

BODY_BYTES_MAX = 3 * 1024 * 1024
IDLE_SECONDS = 600
STALL_LOOK_SECONDS = 0.02
JSON_TYPE = "application/json"
# What a refusal names; the last two are the reference server's alone.
BODY_TYPES = (JSON_TYPE, "application/yaml", "application/vnd.kubernetes.protobuf")
VERSION = {
    "major": "1",
    "minor": "30",
    "gitVersion": "v1.30.0-tocsin-stand-in",
    "platform": "linux/amd64",
}


class PlainNotFound(Exception):
    """No such path at all: the reference server says so in plain text."""


class Path:
    """A request's path taken apart."""

    def __init__(self, text):
        parts = [urllib.parse.unquote(part) for part in text.split("/") if part]
        self.text = text
        self.resource = self.namespace = self.name = self.subresource = ""
        self.group = self.version = None
        if len(parts) > 2 and parts[0] == "api":
            self.group, self.version, rest = "", parts[1], parts[2:]
        elif len(parts) > 3 and parts[0] == "apis":
            self.group, self.version, rest = parts[1], parts[2], parts[3:]
        else:
            return
        if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
            self.namespace, rest = rest[1], rest[2:]
        self.resource, self.name, self.subresource = (rest + ["", ""])[:3]
        if len(rest) > 3:
            raise PlainNotFound

    @property
    def is_resource(self):
        return self.version is not None


class Application:
    """What all connections share."""

    def __init__(self, store, registry, table, authenticator, authorizer, faults, audit, bookmark_s):
        self.store, self.registry, self.table = store, registry, table
        self.authenticator, self.authorizer = authenticator, authorizer
        self.faults, self.audit = faults, audit
        self.bookmark_s = bookmark_s
        self.watches = 0
        # Orders of tests by path, given by the program.
        self.testing = {}


class Audit:
    """DIR/audit.jsonl: one line a request."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.file = open(path, "a", encoding="utf-8")

    def write(self, line):
        with self.lock:
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()


def _discovery(served, path):
    """What kubectl asks for before anything else; None when the path is not about that."""
    groups = {}
    for resource in served.all():
        groups.setdefault(resource.group, {}).setdefault(resource.version, []).append(resource)
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    if path == "/apis":
        made = []
        for group, versions in sorted(groups.items()):
            names = [
                {"groupVersion": f"{group}/{version}", "version": version} for version in versions
            ]
            if group:
                made.append({"name": group, "versions": names, "preferredVersion": names[0]})
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": made}
    for resources in (found for versions in groups.values() for found in versions.values()):
        if path == resources[0].group_version_path:
            return {
                "kind": "APIResourceList",
                "apiVersion": "v1",
                "groupVersion": resources[0].api_version,
                "resources": [entry for one in resources for entry in _discovered(one)],
            }
    return None


def _discovered(resource):
    entry = {
        "name": resource.plural,
        "singularName": resource.kind.lower(),
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        "shortNames": list(resource.short_names),
    }
    yield entry
    if resource.has_status:
        name = f"{resource.plural}/status"
        yield {**entry, "name": name, "verbs": ["get", "patch", "update"], "shortNames": []}


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True
    app = None

    def log_message(self, *_arguments):
        pass

    def setup(self):
        # Here, in the connection's own thread: a client that says nothing stops no other.
        self.request.settimeout(IDLE_SECONDS)
        self.request.do_handshake()
        super().setup()

    # One request

    def _handle(self):
        self.parameters = {}
        self.line = {}
        self.answered = False
        try:
            try:
                self._serve()
            except ApiError as error:
                self._refuse(error)
            except PlainNotFound:
                self._answer(404, b"404 page not found\n", content_type="text/plain; charset=utf-8")
            except (Close, OSError):
                raise
            except Exception as error:
                # A fault of the stand-in's own, which a test must not take for the server's answer.
                traceback.print_exc()
                self.close_connection = True
                self._refuse(ApiError(500, "InternalError", f"the stand-in failed: {error!r}"))
        except Close:
            self.line["code"] = 0
            self.close_connection = True
        except (OSError, ssl.SSLError):
            # The client has gone.
            self.close_connection = True
        if self.line and not self.answered:
            self._write_audit(self.line.get("code", 0))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _handle

    def _refuse(self, error):
        headers = {}
        if error.retry_after_s is not None:
            headers["Retry-After"] = str(error.retry_after_s)
        self._answer(error.code, error.body(), headers)

    def _write_audit(self, code):
        self.answered = True
        if not self.line.get("testing"):
            self.app.audit.write({"time": round(time.time(), 6), **self.line, "code": code})

    def _answer(self, code, body, headers=None, content_type=JSON_TYPE):
        data = body if isinstance(body, bytes) else json.dumps(body).encode() + b"\n"
        head = {
            "Audit-Id": str(uuid.uuid4()),
            "Cache-Control": "no-cache, private",
            "Content-Type": content_type,
            "Content-Length": str(len(data)),
            **(headers or {}),
        }
        self._write_audit(code)
        if self.command == "HEAD":
            data = b""
        self._send_head(code, head, data)

    def _send_head(self, code, head, data=b""):
        # In one piece with the body, so that one packet carries a small answer.
        self.send_response_only(code)
        self.send_header("Date", self.date_time_string())
        for name, value in head.items():
            self.send_header(name, value)
        self._headers_buffer.append(b"\r\n" + data)
        self.flush_headers()

    def _read_body(self):
        length = self.headers.get("Content-Length", "0")
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower() or not length.isdigit():
            self.close_connection = True
            raise ApiError(411, "Unknown", "a body needs a Content-Length here")
        if int(length) > BODY_BYTES_MAX:
            self.close_connection = True
            raise ApiError(
                413,
                "RequestEntityTooLarge",
                f"Request entity too large: limit is {BODY_BYTES_MAX}",
            )
        return self.rfile.read(int(length))

    def _serve(self):
        body = self._read_body()
        path, _, query = self.path.partition("?")
        self.parameters = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        if path.startswith("/testing/"):
            self.line = {"testing": True}
            self._order(path, body)
            return
        self.line = {
            "user_agent": self.headers.get("User-Agent", ""),
            "user": "",
            "method": self.command,
            "path": self.path,
            "content_type": self.headers.get("Content-Type", ""),
        }
        path = Path(path)
        wanted, selection = self._attributes(path)
        self.line.update(
            verb=wanted.verb,
            group=wanted.group,
            resource=wanted.full_resource,
            namespace=wanted.namespace,
            name=wanted.name,
        )
        fault = self.app.faults.take(self.line)
        if fault and not fault.get("done"):
            self.app.faults.carry_out(fault)
        user = self._authenticate()
        self.line["user"] = user.name
        self.app.authorizer.check(user, wanted)
        code, answer, headers = self._route(path, wanted, selection, body)
        if fault and fault.get("done"):
            self.app.faults.carry_out(fault)
        if answer is not None:
            self._answer(code, answer, headers)

    def _authenticate(self):
        certificate = self.connection.getpeercert()
        user = self.app.authenticator.user(self.headers.get("Authorization"), certificate)
        name = self.headers.get("Impersonate-User")
        if name:
            groups = tuple(self.headers.get_all("Impersonate-Group", ()))
            self.app.authorizer.check(user, Attributes("impersonate", resource="users", name=name))
            if name.startswith("system:serviceaccount:") and not groups:
                namespace = name.split(":")[2]
                groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
            user = User(name, (*groups, "system:authenticated"))
        return user

    def _attributes(self, path):
        """What the request wants, and the selection of a list, if it is one."""
        method = self.command
        if not path.is_resource:
            return Attributes(method.lower(), path.text), None
        verb = {"POST": "create", "PUT": "update", "PATCH": "patch"}.get(method)
        name = path.name
        selection = None
        if verb is None:
            verb = "delete" if method == "DELETE" else "get"
            if not name:
                resource = self.app.table.find(path.group, path.version, path.resource)
                if resource:
                    selection = Selection(
                        resource,
                        path.namespace,
                        self.parameters.get("labelSelector", ""),
                        self.parameters.get("fieldSelector", ""),
                    )
                    name = selection.name or ""
                is_watch = self.parameters.get("watch") in ("true", "1")
                verb = "deletecollection" if verb == "delete" else "watch" if is_watch else "list"
        namespace = path.namespace
        if path.resource == "namespaces":
            namespace = path.name
        return (
            Attributes(
                verb, path.text, path.group, path.resource, path.subresource, namespace, name
            ),
            selection,
        )

    # The routes

    def _route(self, path, wanted, selection, body):
        if not path.is_resource:
            return self._route_other(path)
        resource = self.app.table.find(path.group, path.version, path.resource)
        if resource is None:
            known = any(
                (one.group, one.version) == (path.group, path.version) and not one.is_custom
                for one in self.app.table.all()
            )
            raise status.no_such_path() if known else PlainNotFound
        if resource.namespaced and not path.namespace and (path.name or wanted.verb == "create"):
            raise status.not_allowed() if not path.name else PlainNotFound
        if not resource.namespaced and path.namespace:
            raise PlainNotFound
        if path.subresource and not (path.subresource == "status" and resource.has_status):
            raise status.not_found(resource, path.name) if resource.is_custom else status.no_such_path()
        if path.subresource and wanted.verb not in ("get", "update", "patch"):
            raise status.not_allowed()
        # Only a POST is for the collection, only PUT and PATCH are for one object alone.
        if wanted.verb in (("create",) if path.name else ("update", "patch")):
            raise status.not_allowed()
        self._check_accept()
        if wanted.verb == "watch":
            self._watch(resource, selection)
            return 200, None, {}
        if wanted.verb == "list":
            found = self.app.registry.list(resource, selection, self.parameters)
            if table.is_asked_for(resource, self.headers.get("Accept", "")):
                found = table.make(resource, found["metadata"], found["items"])
            return 200, found, {}
        key = (path.namespace if resource.namespaced else "", path.name)
        if wanted.verb == "get":
            found = self.app.registry.get(resource, key)
            if table.is_asked_for(resource, self.headers.get("Accept", "")):
                version = {"resourceVersion": found["metadata"]["resourceVersion"]}
                found = table.make(resource, version, [found])
            return 200, found, {}
        return self._write(resource, key, path, selection, wanted.verb, body)

    def _route_other(self, path):
        if self.command not in ("GET", "HEAD"):
            raise status.not_allowed()
        if path.text in ("/healthz", "/livez", "/readyz"):
            self._answer(200, b"ok", content_type="text/plain; charset=utf-8")
            return 200, None, {}
        if path.text == "/version":
            return 200, VERSION, {}
        found = _discovery(self.app.table, path.text.rstrip("/"))
        if found is None:
            raise PlainNotFound
        return 200, found, {}

    def _check_accept(self):
        accepted = self.headers.get("Accept", "*/*")
        names = [part.split(";")[0].strip() for part in accepted.split(",")]
        if not {JSON_TYPE, "application/*", "*/*"} & set(names):
            raise ApiError(
                406,
                "NotAcceptable",
                "only the following media types are accepted: application/json",
            )

    def _content_type(self):
        return self.headers.get("Content-Type", "").partition(";")[0].strip()

    def _json(self, body, what):
        try:
            return json.loads(body)
        except ValueError as error:
            raise bad_request(f"the object provided is unrecognized ({what}): {error}") from None

    def _write(self, resource, key, path, selection, verb, body):
        options = Options(self.parameters)
        registry = self.app.registry
        code = 200
        if verb == "patch":
            accepted = [patches.JSON, patches.MERGE]
            if not resource.is_custom:
                accepted.append(patches.STRATEGIC)
            if self._content_type() not in accepted:
                raise status.unsupported_media_type(accepted)
            patch = self._json(body, "patch")
            answer = registry.patch(
                resource, key, self._content_type(), patch, path.subresource, options
            )
        elif verb in ("delete", "deletecollection"):
            wanted = self._json(body, "DeleteOptions") if body else {}
            if "gracePeriodSeconds" in self.parameters:
                wanted["gracePeriodSeconds"] = int(self.parameters["gracePeriodSeconds"])
            if verb == "delete":
                answer = registry.delete(resource, key, wanted, options)
            else:
                answer = registry.delete_many(resource, selection, self.parameters, wanted, options)
        else:
            if self._content_type() not in ("", JSON_TYPE):
                raise status.unsupported_media_type(BODY_TYPES)
            value = self._json(body, resource.kind)
            if verb == "create":
                answer, code = registry.create(resource, path.namespace, value, options), 201
                self.line["name"] = answer["metadata"]["name"]
            else:
                answer, created = registry.update(resource, key, value, path.subresource, options)
                code = 201 if created else 200
        headers = {}
        if options.warnings:
            headers["Warning"] = ", ".join(f"299 - {json.dumps(text)}" for text in options.warnings)
        return code, answer, headers

    # Watches

    def _watch(self, resource, selection):
        watch = Watch(self.app.store, resource, selection, self.parameters, self.app.bookmark_s)
        epoch = self.app.faults.watch_epoch
        if table.is_asked_for(resource, self.headers.get("Accept", "")):
            watch.show = table.Shower(resource)
        events = watch.first()
        self._write_audit(200)
        self._send_head(
            200,
            {
                "Audit-Id": str(uuid.uuid4()),
                "Cache-Control": "no-cache, private",
                "Content-Type": JSON_TYPE,
                "Transfer-Encoding": "chunked",
            },
        )
        with self.app.store.lock:
            self.app.watches += 1
        try:
            while events is not None:
                if epoch != self.app.faults.watch_epoch or self._client_is_gone():
                    raise Close
                if time.monotonic() < self.app.faults.stalled_until:
                    time.sleep(STALL_LOOK_SECONDS)
                    continue
                self._chunk("".join(json.dumps(event) + "\n" for event in events))
                events = watch.next()
            self.wfile.write(b"0\r\n\r\n")
        finally:
            with self.app.store.lock:
                self.app.watches -= 1

    def _chunk(self, text):
        data = text.encode()
        size = self.app.faults.piece_bytes or len(data) or 1
        for at in range(0, len(data), size):
            piece = data[at : at + size]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))

    def _client_is_gone(self):
        """A client says nothing during a watch: what can be read is its end."""
        if not select.select([self.connection], [], [], 0)[0]:
            return False
        self.connection.settimeout(0)
        try:
            return self.connection.recv(1) == b""
        except (ssl.SSLWantReadError, BlockingIOError):
            return False
        except OSError:
            return True
        finally:
            self.connection.settimeout(IDLE_SECONDS)

    # Orders of tests

    def _order(self, path, body):
        order = self.app.testing.get((self.command, path.removeprefix("/testing/")))
        if order is None:
            raise PlainNotFound
        self._answer(200, order(self._json(body, "order") if body else {}) or {})


class Server(http.server.ThreadingHTTPServer):
    """One address that the server listens on."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address, port, context, app):
        if ipaddress.ip_address(address).version == 6:
            self.address_family = socket.AF_INET6
        self.context = context
        handler = type("BoundHandler", (Handler,), {"app": app})
        super().__init__((address, port), handler)

    def get_request(self):
        connection, peer = super().get_request()
        return (
            self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False),
            peer,
        )

    def handle_error(self, request, client_address):
        # A handshake that fails, or a client that goes, is no fault of the server's.
        pass
