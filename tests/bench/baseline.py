# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a cluster learns of a fault without tocsin: etcd's log, read as a scraper would; a lease."""

import base64
import json
import os
import random
import threading
import time

SCRAPE_SECONDS = 1
LEASE_SECONDS = 5
KEY = "/bench/lease"


class EtcdLog:
    """The logs of all members from now on."""

    def __init__(self, lab):
        self.lab = lab
        self.offsets = {node: self._size(node) for node in lab.store.nodes}

    def _size(self, node):
        try:
            return os.path.getsize(self.lab.store.log_file(node))
        except OSError:
            return 0

    def _warns(self):
        for node, offset in self.offsets.items():
            with open(self.lab.store.log_file(node), "rb") as file:
                file.seek(offset)
                lines = file.read().splitlines()
            for line in lines:
                try:
                    if json.loads(line)["level"] in ("warn", "error", "fatal"):
                        return True
                except (ValueError, KeyError):
                    continue
        return False

    def first_word(self, moment, seconds):
        """Seconds from the moment until a reader who comes by once a second sees a warning of any
        kind, or None. A warning that was written since __init__ counts, whenever it is found."""
        time.sleep(random.uniform(0, SCRAPE_SECONDS))
        while True:
            if self._warns():
                return (time.monotonic_ns() - moment.before_ns) / 1e9
            if time.monotonic_ns() > moment.before_ns + seconds * 1e9:
                return None
            time.sleep(SCRAPE_SECONDS)


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
