# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a cluster learns of a fault without tocsin: etcd's log, read as a scraper would; a lease."""

import base64
import json
import os
import random
import re
import threading
import time

SCRAPE_SECONDS = 1
LEASE_SECONDS = 5
KEY = "/bench/lease"
# Elections are no warnings to etcd, but whoever watches its log would look for them.
TROUBLE = re.compile(r"lost leader|new election|became candidate|elected leader|became inactive")


class EtcdLog:
    """Reads the logs of all members once a second, from __init__ on and at a random phase."""

    def __init__(self, lab):
        self.lab = lab
        self.offsets = {node: self._size(node) for node in lab.store.nodes}
        self.seen_ns = None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._scrape, daemon=True)
        self.thread.start()

    def _size(self, node):
        try:
            return os.path.getsize(self.lab.store.log_file(node))
        except OSError:
            return 0

    def _speaks(self):
        for node, offset in self.offsets.items():
            try:
                with open(self.lab.store.log_file(node), "rb") as file:
                    file.seek(offset)
                    lines = file.read().splitlines()
            except OSError:
                continue
            for line in lines:
                try:
                    said = json.loads(line)
                    if said["level"] in ("warn", "error", "fatal") or TROUBLE.search(said["msg"]):
                        return True
                except (ValueError, KeyError):
                    continue
        return False

    def _scrape(self):
        due = time.monotonic() + random.uniform(0, SCRAPE_SECONDS)
        while not self.stopping.wait(max(0.0, due - time.monotonic())):
            if self._speaks():
                self.seen_ns = time.monotonic_ns()
                return
            due += SCRAPE_SECONDS

    def first_word(self, moment, seconds):
        """Seconds from the moment until the reader saw a line that tells of trouble, or None when
        that long has passed. No other fault may be made or healed before this returns."""
        self.thread.join(max(0.0, moment.before_ns / 1e9 + seconds - time.monotonic()))
        self.stopping.set()
        self.thread.join()
        return (self.seen_ns - moment.before_ns) / 1e9 if self.seen_ns else None


def _base64(text):
    return base64.b64encode(text.encode()).decode()


class EtcdLease:
    """A key under a lease that a node renews every second; stop() lets it go."""

    def __init__(self, store, holder, watcher):
        self.store, self.holder, self.watcher = store, holder, watcher
        self.stopping = threading.Event()
        granted = store.call(watcher, "/lease/grant", {"TTL": LEASE_SECONDS}, source=holder)
        self.lease = granted["ID"]
        put = {"key": _base64(KEY), "value": _base64("here"), "lease": self.lease}
        store.call(watcher, "/kv/put", put, source=holder)
        self.thread = threading.Thread(target=self._renew, daemon=True)
        self.thread.start()

    def _renew(self):
        while not self.stopping.wait(1):
            try:
                self.store.call(
                    self.watcher, "/lease/keepalive", {"ID": self.lease}, source=self.holder
                )
            except OSError:
                continue

    def wait_gone(self, moment, seconds=30):
        """Seconds from the moment until the key is gone, as the watcher's own node sees it."""
        while time.monotonic_ns() < moment.before_ns + seconds * 1e9:
            try:
                found = self.store.call(self.watcher, "/kv/range", {"key": _base64(KEY)})
                if not found.get("kvs"):
                    return (time.monotonic_ns() - moment.before_ns) / 1e9
            except OSError:
                pass
            time.sleep(0.05)
        return float("inf")

    def stop(self):
        self.stopping.set()
        self.thread.join()
