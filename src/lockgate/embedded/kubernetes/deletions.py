"""Deletion: of an object, its dependents, and all that is in a namespace.

An object with finalizers is only marked, and goes with its last one. Two policies work with finalizers of their own, as
in a cluster: ``foregroundDeletion`` keeps an owner until the dependents that block it are gone, ``orphan`` until its
dependents have lost their references to it.

Sources: kube-apiserver's `registry/rest/delete.go`; kubernetes.io "Garbage Collection"; kube-controller-manager's
`pkg/controller/garbagecollector`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal, TypeAlias

from lockgate.embedded.kubernetes.admission import UNDELETABLE_NAMESPACES, ServiceAddresses, namespace_key
from lockgate.embedded.kubernetes.admitting.admission import Admission
from lockgate.embedded.kubernetes.admitting.configurations import Write
from lockgate.embedded.kubernetes.catalogue import Catalogue
from lockgate.embedded.kubernetes.garbage import Expiry, Garbage
from lockgate.embedded.kubernetes.history import Stored
from lockgate.embedded.kubernetes.refusals import conflict, forbidden, modified_meanwhile, not_found
from lockgate.embedded.kubernetes.storage import Storage
from lockgate.resources.model import JsonObject, Kind, ObjectKey, Resource
from lockgate.resources.status import Conflict

Policy: TypeAlias = Literal["Background", "Foreground", "Orphan"]
_FINALIZERS: dict[Policy, str] = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}
_EVENTS = ("", "Event")


@dataclass(frozen=True, slots=True)
class Preconditions:
    uid: str = ""
    resource_version: str = ""


class Deletions:
    def __init__(
        self, storage: Storage, catalogue: Catalogue, addresses: ServiceAddresses, now: Callable[[], str]
    ) -> None:
        self._storage = storage
        self._catalogue = catalogue
        self._addresses = addresses
        self._now = now
        self._expiry = Expiry()
        self.garbage = Garbage()
        # Called with each deleted object.
        self.observers: list[Callable[[JsonObject], None]] = []

    def delete(
        self,
        model: type[Resource],
        key: ObjectKey,
        *,
        preconditions: Preconditions = Preconditions(),
        policy: Policy = "Background",
        dry_run: bool = False,
        admission: Admission | None = None,
    ) -> tuple[JsonObject, bool]:
        """The object's state, and whether it was deleted. With finalizers, it is marked, and deleted with the last one.

        Its dependents are deleted, too; with `Orphan`, only their owner references. Raises `NotFound`, `Conflict`.
        """
        kind = model.KIND
        before = self._storage.get(key)
        if before is None:
            raise not_found(kind, key.name)
        metadata = before.json["metadata"]
        _check_deletion(kind, before, preconditions)
        is_namespace = key.group == "" and key.kind == "Namespace"
        if is_namespace and key.name in UNDELETABLE_NAMESPACES:
            raise forbidden(kind, key.name, "this namespace may not be deleted")
        if admission is not None:
            admission.validated(deletion(before, kind, dry_run=dry_run))
        finalizers = list(metadata.get("finalizers") or ())
        if (own := _FINALIZERS.get(policy)) and own not in finalizers and not is_namespace:
            finalizers.append(own)
        if dry_run:
            return before.json, not finalizers
        if not is_namespace and not finalizers:
            self.remove(key)
            return before.json, True
        body = self._marked(before, finalizers, is_namespace=is_namespace)
        match policy:
            case "Foreground" if not is_namespace:
                for dependent in self._storage.owned_by(metadata["uid"]):
                    self.garbage.add(partial(self._delete_dependent, dependent, metadata["uid"]))
                self.garbage.add(partial(self._finish_foreground, key))
            case "Orphan" if not is_namespace:
                self._disown(metadata["uid"])
                self.garbage.add(partial(self._without_finalizer, key, _FINALIZERS["Orphan"]))
        if is_namespace:
            for inside in self._storage.in_namespace(key.name):
                self.garbage.add(partial(self._delete_if_there, inside))
        self.garbage.collect()
        if is_namespace:
            self._finish_namespace(key.name)
        return body, is_namespace and self._storage.get(key) is None

    def drop_kind(self, group: str, kind: str) -> None:
        """Deletes all objects of a kind that is no longer served."""
        for stored in self._storage.all((group, kind)):
            self.garbage.add(partial(self._remove_revision, stored))
        self.garbage.collect()

    def event_written(self, key: ObjectKey, now: datetime) -> None:
        """Keeps an Event for an hour from now on, and deletes expired ones."""
        self._expiry.written(key, now)
        self.expire_events(now)

    def expire_events(self, now: datetime) -> None:
        others = len(self._storage) - self._storage.count(_EVENTS)
        while (key := self._expiry.next_due(now, others)) is not None:
            self.remove(key)

    def remove(self, key: ObjectKey) -> None:
        """Removes an object, and releases what depends on it: dependents, addresses, a terminating namespace."""
        gone = self._storage.remove(key)
        if (key.group, key.kind) == ("", "Service"):
            self._addresses.hold(key, None)
        for observer in self.observers:
            observer(gone.json)
        if (key.group, key.kind) == _EVENTS:
            self._expiry.removed(key)
        uid = gone.json["metadata"]["uid"]
        for dependent in self._storage.owned_by(uid):
            self.garbage.add(partial(self._release, dependent, uid))
        for owner in gone.json["metadata"].get("ownerReferences") or ():
            if waiting := self._storage.by_uid(owner.get("uid", "")):
                self.garbage.add(partial(self._finish_foreground, waiting))
        self.garbage.collect()
        if key.namespace:
            self._finish_namespace(key.namespace)

    def _release(self, dependent: ObjectKey, owner: str) -> None:
        """Removes a deleted owner's reference. The object is deleted with its last owner."""
        stored = self._storage.get(dependent)
        model = self._catalogue.by_kind(dependent.group, dependent.kind)
        if stored is None or model is None:
            return
        owners = stored.json["metadata"].get("ownerReferences") or ()
        if not any(each.get("uid") == owner for each in owners):
            return
        others = [
            each
            for each in owners
            if each.get("uid") != owner and self._storage.by_uid(each.get("uid", "")) is not None
        ]
        if others:
            self._storage.put(dependent, _with_owners(stored.json, others))
        else:
            self.delete(model, dependent)

    def _delete_dependent(self, dependent: ObjectKey, owner: str) -> None:
        """Deletes a dependent of an owner that waits for it, unless it has another owner that stays."""
        stored = self._storage.get(dependent)
        model = self._catalogue.by_kind(dependent.group, dependent.kind)
        if stored is None or model is None or stored.json["metadata"].get("deletionTimestamp"):
            return
        owners = stored.json["metadata"].get("ownerReferences") or ()
        if any(self._stays(each.get("uid", "")) for each in owners if each.get("uid") != owner):
            rest = [each for each in owners if each.get("uid") != owner]
            self._storage.put(dependent, _with_owners(stored.json, rest))
        elif any(each.get("uid") == owner for each in owners):
            has_dependents = self._storage.owned_by(stored.json["metadata"]["uid"])
            self.delete(model, dependent, policy="Foreground" if has_dependents else "Background")

    def _stays(self, uid: str) -> bool:
        key = self._storage.by_uid(uid)
        stored = self._storage.get(key) if key else None
        return stored is not None and _FINALIZERS["Foreground"] not in (stored.json["metadata"].get("finalizers") or ())

    def _finish_foreground(self, key: ObjectKey) -> None:
        """Deletes an owner that waits for no dependent any more."""
        stored = self._storage.get(key)
        if stored is None or _FINALIZERS["Foreground"] not in (stored.json["metadata"].get("finalizers") or ()):
            return
        uid = stored.json["metadata"]["uid"]
        if not any(self._blocks(dependent, uid) for dependent in self._storage.owned_by(uid)):
            self._without_finalizer(key, _FINALIZERS["Foreground"])

    def _blocks(self, dependent: ObjectKey, owner: str) -> bool:
        stored = self._storage.get(dependent)
        owners = (stored.json["metadata"].get("ownerReferences") or ()) if stored else ()
        return any(each.get("uid") == owner and each.get("blockOwnerDeletion") for each in owners)

    def _without_finalizer(self, key: ObjectKey, name: str) -> None:
        """Removes a finalizer. The object is deleted with its last one."""
        stored = self._storage.get(key)
        if stored is None:
            return
        metadata = dict(stored.json["metadata"])
        metadata["finalizers"] = [each for each in metadata.get("finalizers") or () if each != name]
        if not metadata["finalizers"]:
            del metadata["finalizers"]
        self._storage.put(key, {**stored.json, "metadata": metadata})
        if "finalizers" not in metadata:
            self.remove(key)

    def _marked(self, before: Stored, finalizers: list[str], *, is_namespace: bool) -> JsonObject:
        """The object in deletion, stored."""
        metadata = before.json["metadata"]
        if metadata.get("deletionTimestamp") and finalizers == (metadata.get("finalizers") or []):
            return before.json
        if not metadata.get("deletionTimestamp"):
            metadata = {**metadata, "deletionTimestamp": self._now()}
            if not is_namespace:
                metadata["deletionGracePeriodSeconds"] = 0
            if "generation" in metadata:
                metadata["generation"] += 1
        body = {**before.json, "metadata": {**metadata, **({"finalizers": finalizers} if finalizers else {})}}
        if is_namespace:
            body["status"] = {**(body.get("status") or {}), "phase": "Terminating"}
        return self._storage.put(before.key, body).json

    def _delete_if_there(self, key: ObjectKey) -> None:
        model = self._catalogue.by_kind(key.group, key.kind)
        if model is not None and self._storage.get(key) is not None:
            self.delete(model, key)

    def _remove_revision(self, stored: Stored) -> None:
        if self._storage.get(stored.key) is stored:
            self.remove(stored.key)

    def _disown(self, uid: str) -> None:
        for dependent in self._storage.owned_by(uid):
            if stored := self._storage.get(dependent):
                owners = stored.json["metadata"]["ownerReferences"]
                rest = [owner for owner in owners if owner.get("uid") != uid]
                self._storage.put(dependent, _with_owners(stored.json, rest))

    def _finish_namespace(self, name: str) -> None:
        namespace = self._storage.get(namespace_key(name))
        if namespace is None or not namespace.json["metadata"].get("deletionTimestamp"):
            return
        if next(self._storage.in_namespace(name), None) is None:
            self.remove(namespace.key)


def deletion(before: Stored, kind: Kind, *, dry_run: bool) -> Write:
    version = before.json["apiVersion"].rpartition("/")[2]
    key = before.key
    return Write(kind, version, "DELETE", key.namespace, key.name, "", None, before.json, dry_run)


def check_preconditions(kind: Kind, before: Stored, uid: str, resource_version: str) -> None:
    have = before.json["metadata"]["uid"]
    if uid and uid != have:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {have}"
        raise conflict(kind, before.key.name, why)
    if resource_version and resource_version != str(before.revision):
        raise modified_meanwhile(kind, before.key.name)


def _conflict(kind: Kind, name: str) -> Conflict:
    error = conflict(kind, name, "")
    error.details["kind"] = kind.kind
    return error


def _check_deletion(kind: Kind, before: Stored, given: Preconditions) -> None:
    """In the words of `registry/rest/delete.go`, which names the kind here."""
    have, name = before.json["metadata"]["uid"], before.key.name
    start = f'Operation cannot be fulfilled on {kind.kind} "{name}": '
    end = "The object might have been deleted and then recreated"
    if given.uid and given.uid != have:
        error = _conflict(kind, name)
        error.message = (
            f"{start}the UID in the precondition ({given.uid}) does not match the UID in record ({have}). {end}"
        )
        raise error
    if given.resource_version and given.resource_version != str(before.revision):
        error = _conflict(kind, name)
        error.message = (
            f"{start}the ResourceVersion in the precondition ({given.resource_version}) does not match the "
            f"ResourceVersion in record ({before.revision}). The object might have been modified"
        )
        raise error


def _with_owners(body: JsonObject, owners: list[JsonObject]) -> JsonObject:
    metadata = {name: value for name, value in body["metadata"].items() if name != "ownerReferences"}
    return {**body, "metadata": {**metadata, "ownerReferences": owners} if owners else metadata}
