"""The rules of every write: identity, isolation of status, optimistic locking, admission, validation, ownership.

Everything is synchronous: a write never yields to the event loop, so it is atomic. Sources: kube-apiserver's
`registry/rest/{create,update,delete}.go`, kubernetes.io "API Concepts" and "Garbage Collection".
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import uuid4

from lockgate.embedded.kubernetes import built_in_rules, server_side_apply
from lockgate.embedded.kubernetes.admission import (
    ServiceAddresses,
    require_namespace,
)
from lockgate.embedded.kubernetes.admitting.admission import Admission
from lockgate.embedded.kubernetes.admitting.configurations import Write
from lockgate.embedded.kubernetes.catalogue import Catalogue
from lockgate.embedded.kubernetes.deletions import Deletions, check_preconditions
from lockgate.embedded.kubernetes.history import Stored
from lockgate.embedded.kubernetes.refusals import (
    Cause,
    already_exists,
    invalid,
    not_found,
    undecodable,
)
from lockgate.embedded.kubernetes.schemas import Given, Schemas, refusal
from lockgate.embedded.kubernetes.storage import Storage
from lockgate.embedded.kubernetes.webhooks import Webhooks
from lockgate.resources.field_errors import json_kind
from lockgate.resources.model import JsonObject, Kind, ObjectKey, Resource
from lockgate.resources.rules.core import endpoint_addresses

_SYSTEM = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink")
# The metadata fields that clients may set: each field's type here, and in Go for the error.
_USERS: dict[str, tuple[type, str]] = {
    "name": (str, "string"),
    "generateName": (str, "string"),
    "namespace": (str, "string"),
    "labels": (dict, "map[string]string"),
    "annotations": (dict, "map[string]string"),
    "ownerReferences": (list, "[]v1.OwnerReference"),
    "finalizers": (list, "[]string"),
}
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"  # apimachinery's `util/rand`: without vowels, so that no words appear


_EVENTS = ("", "Event")


@dataclass(frozen=True, slots=True)
class By:
    """The writer and the kind of write. `api_version` is the client's; `subresource` is "" or ``status``. `outside` is
    True for a client or a manifest, False for a component of the edge; `requested` only for a client. `given` is
    the typed value of the written manifest, if the writer has it and found it valid. `admission` has the answers of
    webhooks to a client's write."""

    manager: str = "lockgate"
    api_version: str = ""
    subresource: str = ""
    dry_run: bool = False
    outside: bool = False
    requested: bool = False
    given: Given | None = None
    admission: Admission | None = None


class Writes:
    def __init__(self, storage: Storage, catalogue: Catalogue, schemas: Schemas, clock: Callable[[], datetime]) -> None:
        self._storage = storage
        self._catalogue = catalogue
        self._schemas = schemas
        self._clock = clock
        self.addresses = ServiceAddresses()
        self.deletions = Deletions(storage, catalogue, self.addresses, self._now)
        self.webhooks = Webhooks(storage)
        # Called with each stored object, and its model.
        self.observers: list[Callable[[type[Resource], JsonObject], None]] = []

    def create(self, model: type[Resource], body: JsonObject, by: By) -> JsonObject:
        """Raises `AlreadyExists`, `NotFound` (the namespace), `Invalid`, `Forbidden`."""
        return self._create(model, body, by, None)

    def update(
        self,
        model: type[Resource],
        key: ObjectKey,
        change: Callable[[JsonObject], JsonObject],
        by: By,
    ) -> JsonObject:
        """Replaces an object by the result of `change`. A no-op writes nothing.

        Raises `NotFound`, `Conflict` for a stale resourceVersion or uid in the result, `Invalid`, and the exceptions of
        `change`.
        """
        before = self.existing(model.KIND, key)
        after = self._successor(model.KIND, before, change(before.json), by)
        return self._store(model, key, before, after, by, None)

    def apply(self, model: type[Resource], body: JsonObject, by: By, *, force: bool) -> JsonObject:
        """Server-side apply, which may create the object. Raises `Conflict` for fields of other managers."""
        kind = model.KIND
        metadata = body.get("metadata") or {}
        name = metadata.get("name") or ""
        _users_metadata(kind, body)
        namespace = (metadata.get("namespace") or "default") if kind.namespaced else ""
        key = ObjectKey(kind.group, kind.kind, namespace, name)
        before = self._live(kind, key)
        if before is None and by.subresource:
            raise not_found(kind, name)
        live = before.json if before else {**_head(kind), "metadata": {"name": name, "namespace": namespace}}
        merged = server_side_apply.apply(
            live,
            _part(kind, body, by),
            self._manager(kind, by),
            self._schemas.topology(model),
            force=force,
            kind=kind,
        )
        managed = merged["metadata"]["managedFields"]
        if before is None:
            return self._create(model, merged, by, managed)
        locks = {name: metadata[name] for name in ("uid", "resourceVersion") if metadata.get(name)}
        after = self._successor(kind, before, {**merged, "metadata": {**merged["metadata"], **locks}}, by)
        return self._store(model, key, before, after, by, managed)

    def existing(self, kind: Kind, key: ObjectKey) -> Stored:
        stored = self._live(kind, key)
        if stored is None:
            raise not_found(kind, key.name)
        return stored

    def _live(self, kind: Kind, key: ObjectKey) -> Stored | None:
        """The stored object, in the storage version of today."""
        stored = self._storage.get(key)
        if stored is None or stored.json["apiVersion"] == kind.api_version:
            return stored
        return Stored(key, stored.body(kind.api_version), stored.revision)

    def _create(self, model: type[Resource], body: JsonObject, by: By, managed: list[JsonObject] | None) -> JsonObject:
        kind = model.KIND
        metadata = _users_metadata(kind, body)
        if not metadata.get("name") and (prefix := metadata.get("generateName")):
            metadata["name"] = prefix + "".join(secrets.choice(_SUFFIX) for _ in range(5))
        _check_name(kind, metadata.get("name", ""))
        if kind.namespaced:
            metadata.setdefault("namespace", "default")
        else:
            metadata.pop("namespace", None)
        key = ObjectKey(kind.group, kind.kind, metadata.get("namespace", ""), metadata["name"])
        require_namespace(self._storage, kind, key)
        metadata = {**metadata, "uid": str(uuid4()), "creationTimestamp": self._now()}
        if kind.group:
            metadata["generation"] = 1
        content = _content(body)
        if kind.has_status:
            content.pop("status", None)
        body = {**_head(kind), "metadata": metadata, **content}
        if self._storage.get(key) is not None:
            self._schemas.checked(model, self._completed(model, key, None, body))  # validation comes before storage
            raise already_exists(kind, key.name)
        created = self._store(model, key, None, body, by, managed)
        owners = metadata.get("ownerReferences") or ()
        if owners and not by.dry_run and not any(self._storage.by_uid(owner.get("uid", "")) for owner in owners):
            self.deletions.delete(model, key)  # its owner was deleted before: it is garbage from the start
        return created

    def _successor(self, kind: Kind, before: Stored, after: JsonObject, by: By) -> JsonObject:
        """The replacement of an object for a client's `after`: the client's fields, and the server's previous ones."""
        requested = after.get("metadata") or {}
        check_preconditions(kind, before, requested.get("uid") or "", requested.get("resourceVersion") or "")
        old = before.json
        if by.subresource:
            result = {name: value for name, value in old.items() if name != "status"}
            return {**result, "status": after["status"]} if after.get("status") is not None else result
        metadata = _users_metadata(kind, after)
        metadata |= {name: old["metadata"][name] for name in _SYSTEM if name in old["metadata"]}
        # A client may rewrite managedFields: kubectl does so to migrate to server-side apply. [{}] clears them.
        claimed = requested.get("managedFields")
        kept = old["metadata"].get("managedFields", []) if claimed is None else [entry for entry in claimed if entry]
        metadata["managedFields"] = kept
        metadata |= {name: old["metadata"][name] for name in ("name", "namespace") if name in old["metadata"]}
        if old["metadata"].get("deletionTimestamp"):
            earlier = old["metadata"].get("finalizers") or ()
            new = [name for name in metadata.get("finalizers") or () if name not in earlier]
            if new:
                found = ", ".join(f'"{name}"' for name in new)
                why = (
                    "Forbidden: no new finalizers can be added if the object is being deleted, "
                    f"found new finalizers []string{{{found}}}"
                )
                raise invalid(kind, before.key.name, [Cause("metadata.finalizers", why, "FieldValueForbidden")])
        content = _content(after)
        if kind.has_status:
            content.pop("status", None)
            if "status" in old:
                content["status"] = old["status"]
        return {**_head(kind), "metadata": metadata, **content}

    def _store(
        self,
        model: type[Resource],
        key: ObjectKey,
        before: Stored | None,
        body: JsonObject,
        by: By,
        managed: list[JsonObject] | None,
    ) -> JsonObject:
        kind = model.KIND
        old = before.json if before else None
        is_service = kind.group_kind == ("", "Service")
        complete = partial(self._completed, model, key, old)
        if not by.subresource:
            body = complete(body)
        if by.admission is not None:
            body = by.admission.mutated(_written(kind, key, old, body, by), _as_is if by.subresource else complete)
        entries = body["metadata"].get("managedFields", [])
        if old is not None and _same(old, body):
            if (entries if managed is None else managed) == old["metadata"].get("managedFields"):
                return old
        elif old is not None and kind.group and not by.subresource and _content_changed(kind, old, body):
            metadata = {**body["metadata"], "generation": old["metadata"].get("generation", 0) + 1}
            body = {**body, "metadata": metadata}
        if managed is None:
            topology = self._schemas.topology(model)
            managed = server_side_apply.record_update(old, body, entries, self._manager(kind, by), topology)
        if by.given is not None:
            body = by.given.shared(body)
        revision = old["metadata"]["resourceVersion"] if old else ""
        if not by.dry_run:
            revision = str(self._storage.revision + 1)
        metadata = {**body["metadata"], "resourceVersion": revision, "managedFields": managed}
        body = {**body, "metadata": metadata}
        parsed = self._schemas.checked(model, body, old, by.given)
        former = before.parsed(model) if before and not by.subresource else None
        if by.outside and (found := list(endpoint_addresses(parsed, former))):
            raise refusal(model, body, found)
        if by.requested and not by.subresource and (found := built_in_rules.refusals(kind, body)):
            raise refusal(model, body, found)
        if not by.subresource and (denied := self.webhooks.refusals(parsed, former)):
            raise refusal(model, body, denied)
        if by.admission is not None:
            by.admission.validated(_written(kind, key, old, body, by))
        if by.dry_run:
            return body
        stored = self._storage.put(key, body, parsed)
        if is_service:
            self.addresses.hold(key, stored.json)
        for observer in self.observers:
            observer(model, stored.json)
        if kind.group_kind == _EVENTS:
            self.deletions.event_written(key, self._clock())
        metadata = stored.json["metadata"]
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers") and kind.kind != "Namespace":
            self.deletions.remove(key)
        return stored.json

    def _completed(self, model: type[Resource], key: ObjectKey, old: JsonObject | None, body: JsonObject) -> JsonObject:
        """The object with additions of webhooks, defaults, and for a Service its addresses."""
        try:
            if old is None:
                body = self.webhooks.mutated(key, body)
            completed = self._schemas.defaulted(model, body)
            if model.KIND.group_kind == ("", "Service"):
                completed = self.addresses.assign(model.KIND, key, old, completed)
            return completed
        except (TypeError, AttributeError, KeyError, ValueError):
            self._schemas.checked(model, body)  # both rely on the shape: this reports the faults of a wrong one
            raise

    def _manager(self, kind: Kind, by: By) -> server_side_apply.Manager:
        return server_side_apply.Manager(by.manager, by.api_version or kind.api_version, by.subresource, self._now())

    def _now(self) -> str:
        return self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")


def _written(kind: Kind, key: ObjectKey, old: JsonObject | None, body: JsonObject, by: By) -> Write:
    """A creation or an update, as webhooks see it: in the version of the client."""
    api_version = by.api_version or body["apiVersion"]
    return Write(
        kind=kind,
        version=api_version.rpartition("/")[2],
        operation="CREATE" if old is None else "UPDATE",
        namespace=key.namespace,
        name="" if old is None and body["metadata"].get("generateName") else key.name,
        subresource=by.subresource,
        body={**body, "apiVersion": api_version},
        before={**old, "apiVersion": api_version} if old is not None else None,
        dry_run=by.dry_run,
    )


def _as_is(body: JsonObject) -> JsonObject:
    return body


def _head(kind: Kind) -> JsonObject:
    return {"apiVersion": kind.api_version, "kind": kind.kind}


def _content(body: JsonObject) -> JsonObject:
    return {name: value for name, value in body.items() if name not in ("apiVersion", "kind", "metadata")}


def _users_metadata(kind: Kind, body: JsonObject) -> JsonObject:
    """The metadata fields that clients may set. Raises `BadRequest` for values of the wrong type."""
    metadata = body.get("metadata") or {}
    for name, (type_, go) in _USERS.items():
        value = metadata.get(name)
        if value is not None and not isinstance(value, type_):
            field = f"ObjectMeta.metadata.{name} of type {go}"
            why = f"json: cannot unmarshal {json_kind(value)} into Go struct field {field}"
            raise undecodable(kind, kind.versions[0], why)
    return {name: metadata[name] for name in _USERS if metadata.get(name)}


def _part(kind: Kind, body: JsonObject, by: By) -> JsonObject:
    """The effective part of an applied configuration: only `status` on that subresource, all but `status` otherwise."""
    if by.subresource:
        return {"status": body["status"]} if "status" in body else {}
    return {name: value for name, value in body.items() if name != "status" or not kind.has_status}


def _same(old: JsonObject, new: JsonObject) -> bool:
    if _content(old) != _content(new):
        return False
    bookkeeping = ("resourceVersion", "managedFields", "generation")
    before = {name: value for name, value in old["metadata"].items() if name not in bookkeeping}
    return before == {name: value for name, value in new["metadata"].items() if name not in bookkeeping}


def _content_changed(kind: Kind, old: JsonObject, new: JsonObject) -> bool:
    before, after = _content(old), _content(new)
    if kind.has_status:
        before.pop("status", None)
        after.pop("status", None)
    return before != after


def _check_name(kind: Kind, name: str) -> None:
    if not name:
        cause = Cause("metadata.name", "Required value: name or generateName is required", "FieldValueRequired")
        raise invalid(kind, name, [cause])
    if kind.group == "rbac.authorization.k8s.io":  # RBAC names may contain anything that a path can contain
        if "/" in name or "%" in name or name in (".", ".."):
            raise invalid(kind, name, [Cause("metadata.name", f"Invalid value: \"{name}\": may not contain '/'")])
    elif len(name) > 253 or not _NAME.fullmatch(name):
        why = (
            f'Invalid value: "{name}": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric '
            "characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', "
            r"regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        )
        raise invalid(kind, name, [Cause("metadata.name", why)])
