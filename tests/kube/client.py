# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A small client of the Kubernetes interface, for tests, and the stand-in server as a process."""

import http.client
import json
import os
import ssl
import subprocess
import threading
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
START_SECONDS, REAL_START_SECONDS = 20, 90
CALL_SECONDS = 15
JSON_TYPE = "application/json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
OPERATIONS = "application/json-patch+json"


class Answer:
    """A code, headers and what the body says."""

    def __init__(self, answer, data):
        self.code, self.headers, self.data = answer.status, answer.headers, data
        try:
            self.body = json.loads(data)
        except ValueError:
            self.body = None

    def __str__(self):
        return f"{self.code} {self.data[:300].decode(errors='replace')}"


class Watch:
    """An open watch; events() yields what comes until a moment or the end."""

    def __init__(self, connection, answer):
        self.connection, self.answer = connection, answer
        self.ended = False

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.connection.close()

    def next(self, seconds=CALL_SECONDS):
        """The next event, or None when the stream has ended; TimeoutError when neither comes."""
        self.connection.sock.settimeout(seconds)
        line = self.answer.readline()
        if not line:
            self.ended = True
            return None
        return json.loads(line)

    def all(self, seconds=CALL_SECONDS):
        """All events until the stream ends."""
        found = []
        while (event := self.next(seconds)) is not None:
            found.append(event)
        return found


class Client:
    """Calls one server, on one connection a thread; each watch has a connection of its own."""

    def __init__(self, url, authority, token=None, certificate=None):
        address = urllib.parse.urlsplit(url)
        self.host, self.port = address.hostname, address.port or 443
        self.token = token
        self.kept = threading.local()
        self.context = ssl.create_default_context(cafile=authority)
        if certificate:
            self.context.load_cert_chain(*certificate)

    def _connection(self):
        return http.client.HTTPSConnection(
            self.host, self.port, context=self.context, timeout=CALL_SECONDS
        )

    def _ask(self, connection, method, path, body=None, content_type=None, headers=None):
        head = {"User-Agent": "tocsin-test", "Accept": JSON_TYPE}
        if self.token is not None:
            head["Authorization"] = f"Bearer {self.token}"
        data = body
        if body is not None:
            head["Content-Type"] = content_type or JSON_TYPE
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head.update(headers or {})
        try:
            connection.request(method, path, data, head)
            return connection.getresponse()
        except BaseException:
            connection.close()
            raise

    def call(self, method, path, body=None, content_type=None, headers=None):
        """An answer of whatever code; no call is made twice, and OSError or HTTPException without one."""
        if not hasattr(self.kept, "connection"):
            self.kept.connection = self._connection()
        answer = self._ask(self.kept.connection, method, path, body, content_type, headers)
        return Answer(answer, answer.read())

    def watch(self, path, headers=None, **parameters):
        """A watch of a collection; parameters as the interface names them."""
        query = urllib.parse.urlencode({"watch": "true", **parameters})
        connection = self._connection()
        answer = self._ask(connection, "GET", f"{path}?{query}", headers=headers)
        if answer.status != 200:
            found = Answer(answer, answer.read())
            connection.close()
            raise OSError(f"watch of {path}: {found}")
        return Watch(connection, answer)


def is_real():
    """Whether tests/kube/api starts a real server in the stand-in's place."""
    return bool(os.environ.get("TOCSIN_KUBE_PROGRAMS"))


class StandIn:
    """The stand-in server, or a real one in its place, which takes no orders, as a process of its own."""

    def __init__(self, directory, *arguments):
        self.directory = directory
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", os.path.join(HERE, "api"), "--directory", directory]
            + list(arguments),
            stdin=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + (REAL_START_SECONDS if is_real() else START_SECONDS)
        while not os.path.exists(self.path("port")):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise OSError(f"tests/kube/api in {directory} does not begin to listen")
            time.sleep(0.02)

    def path(self, name):
        return os.path.join(self.directory, name)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read().strip()

    @property
    def url(self):
        with open(self.path("kubeconfig"), encoding="utf-8") as file:
            return json.load(file)["clusters"][0]["cluster"]["server"]

    def client(self, token="admin-token"):
        return Client(self.url, self.path("ca.crt"), self.read(token))

    def order(self, name, order=None, method="POST"):
        """An order of tests; see the program's help."""
        answer = Client(self.url, self.path("ca.crt")).call(method, f"/testing/{name}", order or {})
        if answer.code != 200:
            raise OSError(f"/testing/{name}: {answer}")
        return answer.body

    def audit(self):
        """The lines of the audit log until now."""
        with open(self.path("audit.jsonl"), encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
