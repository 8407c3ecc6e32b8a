# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""All objects and what happened to them, in memory; one revision counts every change of any of them."""

import collections
import threading

from status import expired, too_old

# Objects are never changed once they are stored: who changes one makes another.
Change = collections.namedtuple("Change", "revision kind storage key before after")
CHANGES_MAX = 100000


class Store:
    """Whoever reads or writes holds the lock; a change wakes all who wait for one."""

    def __init__(self):
        self.lock = threading.Condition(threading.RLock())
        # Never 0, which asks for no state in particular.
        self.revision = 1
        self.compacted = 0
        self.objects = {}
        self.history = collections.deque()

    def get(self, storage, key):
        return self.objects.get(storage, {}).get(key)

    def _record(self, kind, storage, key, before, after):
        self.history.append(Change(self.revision, kind, storage, key, before, after))
        if len(self.history) > CHANGES_MAX:
            self.compacted = max(self.compacted, self.history.popleft().revision)
        self.lock.notify_all()

    def put(self, storage, key, value):
        """Stores an object with the next revision, which is set in it; returns it."""
        self.revision += 1
        value = {**value, "metadata": {**value["metadata"], "resourceVersion": str(self.revision)}}
        before = self.get(storage, key)
        self.objects.setdefault(storage, {})[key] = value
        self._record("MODIFIED" if before else "ADDED", storage, key, before, value)
        return value

    def delete(self, storage, key):
        """Takes an object out; returns its last state, with the revision of its end."""
        self.revision += 1
        before = self.objects[storage].pop(key)
        metadata = {**before["metadata"], "resourceVersion": str(self.revision)}
        after = {**before, "metadata": metadata}
        self._record("DELETED", storage, key, before, after)
        return after

    def compact(self):
        """Lets nobody begin at what happened until now any more; returns the revision."""
        self.compacted = self.revision
        return self.revision

    def at(self, storage, revision):
        """{key: object} of one storage, as it was."""
        if revision < self.compacted:
            raise expired("The resourceVersion for the provided list is too old.")
        values = dict(self.objects.get(storage, {}))
        for change in reversed(self.history):
            if change.revision <= revision:
                break
            if change.storage != storage:
                continue
            if change.before is None:
                values.pop(change.key, None)
            else:
                values[change.key] = change.before
        return values

    def check_start(self, revision):
        """410 when what happened after this revision is not known any more."""
        if revision < self.compacted:
            raise too_old(revision, self.compacted)

    def changes_after(self, revision):
        """All that happened after a revision, in order."""
        found = []
        for change in reversed(self.history):
            if change.revision <= revision:
                break
            found.append(change)
        return found[::-1]
