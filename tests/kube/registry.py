# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What each verb does to the objects of a resource."""

import base64
import binascii
import datetime
import json
import random
import uuid

import patch as patches
import status
import validation
from definitions import DEFINITIONS, first_status
from resources import prepare_new
from status import ApiError, FieldError, bad_request
from typed import DecodeError

SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
GRACE_SECONDS = 30
KEPT_METADATA = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
)


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_revision(text):
    """A resourceVersion of a request; 0 when there is none."""
    if text and not text.isdigit():
        raise ApiError(
            400,
            "BadRequest",
            f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": '
            "invalid syntax",
        )
    return int(text or 0)


class Options:
    """What a request's parameters say about a write."""

    def __init__(self, parameters):
        self.dry_run = parameters.get("dryRun") == "All"
        if parameters.get("dryRun") not in (None, "", "All"):
            finding = FieldError(
                "NotSupported", "dryRun", parameters["dryRun"], status.supported(("All",))
            )
            raise status.invalid("Options", "meta.k8s.io", "", [finding])
        self.unknown_fields = parameters.get("fieldValidation", "Warn")
        # For the answer's headers.
        self.warnings = []


class Registry:
    """Reads and writes objects; each call is one atomic step."""

    def __init__(self, store, table, controller):
        self.store, self.table, self.controller = store, table, controller

    # Reading

    def get(self, resource, key):
        with self.store.lock:
            return resource.shown(self._existing(resource, key))

    def _existing(self, resource, key):
        value = self.store.get(resource.storage, key)
        if value is None:
            raise status.not_found(resource, key[1])
        return value

    def _state(self, resource, parameters):
        """({key: object}, revision, the last key already told) that a list asks for."""
        revision = parse_revision(parameters.get("resourceVersion"))
        match = parameters.get("resourceVersionMatch")
        token = parameters.get("continue")
        if match and (not parameters.get("resourceVersion") or token):
            detail = "resourceVersionMatch is forbidden unless resourceVersion is provided"
            finding = FieldError("Forbidden", "resourceVersionMatch", detail=detail)
            raise status.invalid("ListOptions", "meta.k8s.io", "", [finding])
        if token:
            if revision:
                raise bad_request(
                    "specifying resource version is not allowed when using continue"
                )
            revision, last = self._read_token(token)
            return self._state_of_token(resource, revision, last), revision, last
        if revision > self.store.revision:
            text = "Too large resource version"
            raise ApiError(
                504,
                "Timeout",
                f"Timeout: {text}: {revision}, current: {self.store.revision}",
                {"causes": [{"reason": "ResourceVersionTooLarge", "message": text}]},
                retry_after_s=1,
            )
        exact = match == "Exact" or revision and parameters.get("limit") and match is None
        if not exact:
            revision = self.store.revision
        return self.store.at(resource.storage, revision), revision, None

    @staticmethod
    def _read_token(token):
        try:
            said = json.loads(base64.urlsafe_b64decode(token.encode() + b"=="))
            return int(said["rv"]), tuple(said["last"])
        except (ValueError, KeyError, TypeError, binascii.Error):
            raise bad_request("continue key is not valid") from None

    @staticmethod
    def _token(revision, last):
        text = json.dumps({"rv": revision, "last": last})
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def _state_of_token(self, resource, revision, last):
        try:
            return self.store.at(resource.storage, revision)
        except ApiError:
            error = status.expired(
                "The provided continue parameter is too old to display a consistent list result. You "
                "can start a new list without the continue parameter, or use the continue token in "
                "this response to retrieve the remainder of the results."
            )
            error.list_metadata = {"continue": self._token(self.store.revision, last)}
            raise error from None

    def list(self, resource, selection, parameters):
        limit = int(parameters.get("limit") or 0)
        with self.store.lock:
            values, revision, last = self._state(resource, parameters)
        picked = [key for key in sorted(values) if last is None or key > last]
        picked = [key for key in picked if selection.picks(values[key])]
        metadata = {"resourceVersion": str(revision)}
        if limit and len(picked) > limit:
            metadata["continue"] = self._token(revision, picked[limit - 1])
            if not selection.terms:
                metadata["remainingItemCount"] = len(picked) - limit
            picked = picked[:limit]
        items = [resource.shown(values[key]) for key in picked]
        if not resource.is_custom:
            items = [
                {name: part for name, part in item.items() if name not in ("kind", "apiVersion")}
                for item in items
            ]
        return {
            "kind": f"{resource.kind}List",
            "apiVersion": resource.api_version,
            "metadata": metadata,
            "items": items,
        }

    # Writing

    def _decode(self, resource, body, options):
        try:
            value, unknown = resource.decode(body)
        except DecodeError as error:
            raise resource.refusal(error) from None
        self._report_unknown(unknown, options)
        return value

    @staticmethod
    def _report_unknown(unknown, options):
        told = [f'unknown field "{path}"' for path in unknown]
        if told and options.unknown_fields == "Strict":
            raise bad_request(f"strict decoding error: {', '.join(told)}")
        if options.unknown_fields == "Warn":
            options.warnings += told

    def _check(self, resource, new, old):
        stored = resource.stored(new)
        found = validation.metadata(resource, new["metadata"])
        found += resource.check(stored, old)
        if found:
            raise status.invalid(resource.kind, resource.group, new["metadata"].get("name", ""), found)
        return stored

    def create(self, resource, namespace, body, options, name=None):
        """A new object; 'name' is the one that a PUT's path has."""
        value = self._decode(resource, body, options)
        metadata = value["metadata"]
        self._fit_to_path(resource, metadata, namespace, name)
        if name is not None:
            # A PUT creates whatever version it names.
            metadata.pop("resourceVersion", None)
        if metadata.get("resourceVersion"):
            raise ApiError(500, "", "resourceVersion should not be set on objects to be created")
        if not metadata.get("name") and metadata.get("generateName"):
            suffix = "".join(random.choices(SUFFIX, k=5))
            metadata["name"] = metadata["generateName"] + suffix
        with self.store.lock:
            self._require_namespace(resource, namespace, metadata)
            for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"):
                metadata.pop(name, None)
            metadata["uid"] = str(uuid.uuid4())
            metadata["creationTimestamp"] = now()
            if resource.counts_generations:
                metadata["generation"] = 1
            prepare_new(resource, value)
            if resource is DEFINITIONS:
                value["status"] = first_status(value)
            stored = self._check(resource, value, None)
            key = (metadata.get("namespace", ""), metadata["name"])
            if self.store.get(resource.storage, key) is not None:
                raise status.already_exists(resource, metadata["name"])
            return self._commit(resource, key, stored, options)

    @staticmethod
    def _fit_to_path(resource, metadata, namespace, name):
        if name is not None:
            said = metadata.get("name")
            if said != name:
                raise bad_request(
                    f"the name of the object ({said}) does not match the name on the URL ({name})"
                    if said
                    else "name must be provided"
                )
        if resource.namespaced:
            if metadata.setdefault("namespace", namespace) != namespace:
                raise bad_request(
                    "the namespace of the provided object does not match the namespace sent on the "
                    "request"
                )
        elif metadata.pop("namespace", None):
            raise bad_request("namespace is not allowed on this type")

    def _require_namespace(self, resource, namespace, metadata):
        if not resource.namespaced:
            return
        of = self.table.find("", "v1", "namespaces")
        found = self._existing(of, ("", namespace))
        if found["status"]["phase"] == "Terminating":
            raise status.forbidden(
                resource,
                metadata.get("name", ""),
                f"unable to create new content in namespace {namespace} because it is being terminated",
            )

    def _commit(self, resource, key, value, options):
        if options.dry_run:
            return resource.shown(value)
        stored = self.store.put(resource.storage, key, value)
        if resource is DEFINITIONS:
            self.controller.changed(stored)
        return resource.shown(stored)

    def update(self, resource, key, body, subresource, options):
        """(object, whether it is new) after a PUT."""
        value = self._decode(resource, body, options)
        self._fit_to_path(resource, value["metadata"], key[0], key[1])
        with self.store.lock:
            old = self.store.get(resource.storage, key)
            if old is None:
                uid = value["metadata"].get("uid")
                if uid:
                    raise self._wrong_uid(resource, key[1], uid, "")
                if not resource.create_on_update or subresource:
                    raise status.not_found(resource, key[1])
                return self.create(resource, key[0], body, options, key[1]), True
            if not value["metadata"].get("resourceVersion") and not resource.unconditional_update:
                finding = FieldError(
                    "Invalid", "metadata.resourceVersion", 0, "must be specified for an update"
                )
                raise status.invalid(resource.plural, resource.group, key[1], [finding])
            found, wanted = old["metadata"]["uid"], value["metadata"].get("uid")
            if wanted and wanted != found:
                raise self._wrong_uid(resource, key[1], wanted, found)
            return self._replace(resource, key, old, value, subresource, options), False

    @staticmethod
    def _wrong_uid(resource, name, wanted, found):
        return status.conflict(
            resource,
            name,
            f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}",
        )

    def _replace(self, resource, key, old, value, subresource, options):
        """Puts a new state in the place of an old one, as far as the interface may change it."""
        before = resource.shown(old)
        metadata = value["metadata"]
        kept = before["metadata"]
        if metadata.get("resourceVersion") not in (None, kept["resourceVersion"]):
            raise status.stale(resource, key[1])
        if metadata.get("uid") not in (None, kept["uid"]):
            finding = FieldError("Invalid", "metadata.uid", metadata["uid"], "field is immutable")
            raise status.invalid(resource.kind, resource.group, key[1], [finding])
        if subresource == "status":
            metadata = metadata if resource.status_keeps_metadata else dict(kept)
            value = {**before, "status": value.get("status")}
            if value["status"] is None:
                del value["status"]
        elif resource.has_status:
            value = dict(value)
            value.pop("status", None)
            if "status" in before:
                value["status"] = before["status"]
            if resource.plural == "namespaces":
                value["spec"] = before["spec"]
        metadata = {
            **{name: part for name, part in metadata.items() if name not in KEPT_METADATA},
            **{name: kept[name] for name in KEPT_METADATA if name in kept},
            "resourceVersion": kept["resourceVersion"],
        }
        value = {**value, "metadata": metadata}
        stored = self._check(resource, value, old)
        if self._same(value, before):
            return before
        if resource.counts_generations and any(
            value.get(name) != before.get(name)
            for name in {*value, *before} - {"metadata", "status"}
        ):
            metadata["generation"] = kept.get("generation", 0) + 1
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            if metadata.get("deletionGracePeriodSeconds", 0) == 0:
                if options.dry_run:
                    return value
                self.store.put(resource.storage, key, stored)
                return resource.shown(self._take_out(resource, key))
        return self._commit(resource, key, stored, options)

    @staticmethod
    def _same(new, old):
        """A write that changes nothing is none: no revision, no event."""
        return json.dumps(new, sort_keys=True) == json.dumps(old, sort_keys=True)

    def patch(self, resource, key, content_type, body, subresource, options):
        with self.store.lock:
            old = self._existing(resource, key)
            before = resource.shown(old)
            if content_type == patches.JSON:
                made = patches.apply_operations(before, body)
            elif content_type == patches.MERGE:
                made = patches.merge(before, body)
            else:
                made = patches.strategic(before, body, resource.type)
            try:
                value, unknown = resource.decode(made)
            except DecodeError as error:
                finding = FieldError("Invalid", "patch", json.dumps(body), str(error))
                raise status.invalid("", "", "", [finding]) from None
            self._report_unknown(unknown, options)
            self._fit_to_path(resource, value["metadata"], key[0], key[1])
            return self._replace(resource, key, old, value, subresource, options)

    # Deleting

    def delete(self, resource, key, wanted, options):
        """A Status, or the object when it stays for a while."""
        with self.store.lock:
            old = self._existing(resource, key)
            self._check_preconditions(resource, key[1], old["metadata"], wanted.get("preconditions"))
            if options.dry_run:
                return self._deleted_status(resource, old)
            if resource.plural == "namespaces":
                return self._end_namespace(resource, key, old)
            grace = self._grace(resource, old, wanted)
            if not grace and not old["metadata"].get("finalizers"):
                self._take_out(resource, key)
                return self._deleted_status(resource, old)
            metadata = {**old["metadata"]}
            metadata.setdefault("deletionTimestamp", now())
            metadata["deletionGracePeriodSeconds"] = grace
            value = {**old, "metadata": metadata}
            if self._same(value, old):
                return resource.shown(old)
            return resource.shown(self.store.put(resource.storage, key, value))

    @staticmethod
    def _grace(resource, old, wanted):
        if resource.plural != "pods" or not old["spec"].get("nodeName"):
            return 0
        if old["status"].get("phase") in ("Succeeded", "Failed"):
            return 0
        if wanted.get("gracePeriodSeconds") is not None:
            return wanted["gracePeriodSeconds"]
        return old["spec"].get("terminationGracePeriodSeconds", GRACE_SECONDS)

    def _check_preconditions(self, resource, name, metadata, wanted):
        wanted = wanted or {}
        if wanted.get("uid") not in (None, metadata["uid"]):
            raise self._wrong_uid(resource, name, wanted["uid"], metadata["uid"])
        version = wanted.get("resourceVersion")
        if version not in (None, metadata["resourceVersion"]):
            raise status.conflict(
                resource,
                name,
                f"Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion "
                f"in object meta: {metadata['resourceVersion']}",
            )

    @staticmethod
    def _deleted_status(resource, old):
        details = {
            "name": old["metadata"]["name"],
            "group": resource.group,
            "kind": resource.plural,
            "uid": old["metadata"]["uid"],
        }
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": {name: part for name, part in details.items() if part},
        }

    def _take_out(self, resource, key):
        last = self.store.delete(resource.storage, key)
        if resource is DEFINITIONS:
            self.controller.deleted(last)
        return last

    def _end_namespace(self, resource, key, old):
        """Ends what is in a namespace and then itself, which is a controller's work elsewhere."""
        metadata = {**old["metadata"], "deletionTimestamp": now()}
        value = {**old, "metadata": metadata, "status": {"phase": "Terminating"}}
        shown = resource.shown(self.store.put(resource.storage, key, value))
        for storage, values in list(self.store.objects.items()):
            for inner in [inner for inner in values if inner[0] == key[1]]:
                self.store.delete(storage, inner)
        self._take_out(resource, key)
        return shown

    def delete_many(self, resource, selection, parameters, wanted, options):
        with self.store.lock:
            found = self.list(resource, selection, parameters)
            for item in found["items"]:
                metadata = item["metadata"]
                key = (metadata.get("namespace", ""), metadata["name"])
                self.delete(resource, key, {**wanted, "preconditions": None}, options)
            return found
