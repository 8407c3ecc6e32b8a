# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A watch: what happens to the objects of a resource, told in order."""

import time

from registry import parse_revision
from status import ApiError, FieldError, invalid

# How often a silent watch looks whether its client is still there, and for orders of a test.
LOOK_SECONDS = 0.5


def _event(kind, value):
    return {"type": kind, "object": value}


class Watch:
    """Events for one client, from the state or the revision that it asked for."""

    def __init__(self, store, resource, selection, parameters, bookmark_s):
        self.store, self.resource, self.selection = store, resource, selection
        if parameters.get("resourceVersionMatch") or parameters.get("sendInitialEvents"):
            detail = "forbidden for watch unless the WatchList feature gate is enabled"
            finding = FieldError("Forbidden", "sendInitialEvents", detail=detail)
            raise invalid("ListOptions", "meta.k8s.io", "", [finding])
        self.start = self.position = parse_revision(parameters.get("resourceVersion"))
        seconds = parameters.get("timeoutSeconds")
        self.end = time.monotonic() + int(seconds) if seconds and int(seconds) else None
        bookmarks = parameters.get("allowWatchBookmarks") in ("true", "1")
        self.bookmark_s = bookmark_s if bookmarks else None
        self.next_bookmark = time.monotonic() + bookmark_s
        self.done = False
        # How an object is shown in an event.
        self.show = resource.shown

    def _begin(self):
        """Without a revision, all that there is now comes first."""
        if self.position:
            self.store.check_start(self.position)
            return []
        self.start = self.position = self.store.revision
        values = self.store.objects.get(self.resource.storage, {})
        return [
            _event("ADDED", self.show(values[key]))
            for key in sorted(values)
            if self.selection.picks(values[key])
        ]

    def _told(self, change):
        """What a change is to this client: an object may come into its selection and leave it."""
        if change.storage != self.resource.storage:
            return None
        was = change.before is not None and self.selection.picks(change.before)
        if change.kind == "DELETED":
            return _event("DELETED", self.show(change.after)) if was else None
        if self.selection.picks(change.after):
            return _event("MODIFIED" if was else "ADDED", self.show(change.after))
        if not was:
            return None
        # As it was when it was last seen, but with the revision of its leaving.
        version = change.after["metadata"]["resourceVersion"]
        metadata = {**change.before["metadata"], "resourceVersion": version}
        return _event("DELETED", self.show({**change.before, "metadata": metadata}))

    def _bookmark(self):
        """Nothing until there is more to tell than the client said itself."""
        self.next_bookmark = time.monotonic() + self.bookmark_s
        metadata = {"resourceVersion": str(self.position)}
        found = [_event("BOOKMARK", self.resource.empty(metadata))]
        return found if self.position > self.start else []

    def first(self):
        """The events that come at once; an ERROR when the revision is too old."""
        with self.store.lock:
            try:
                return self._begin()
            except ApiError as error:
                self.done = True
                return [_event("ERROR", error.body())]

    def next(self):
        """Waits for a while; the events since, or None at the end."""
        if self.done:
            return None
        with self.store.lock:
            if self.store.revision == self.position:
                wake = time.monotonic() + LOOK_SECONDS
                for limit in (self.end, self.next_bookmark if self.bookmark_s else None):
                    wake = min(wake, limit) if limit is not None else wake
                self.store.lock.wait(max(0, wake - time.monotonic()))
            changes = self.store.changes_after(self.position)
            self.position = max(self.position, self.store.revision)
        events = [event for event in map(self._told, changes) if event]
        moment = time.monotonic()
        ended = self.end is not None and moment >= self.end
        if self.bookmark_s and (ended or moment >= self.next_bookmark):
            events += self._bookmark()
        if ended:
            self.done = True
        return events
