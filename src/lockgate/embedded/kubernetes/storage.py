"""Stores objects by name, with one revision counter and a history of changes. The rules for writes are in `writes`.

Stored JSON is never modified in place. A write stores a new object, so readers may keep references to old ones.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TypeAlias

from lockgate.embedded.kubernetes.history import Event, History, Reader, Stored
from lockgate.resources.model import JsonObject, ObjectKey, Resource

GroupKind: TypeAlias = tuple[str, str]

# Kinds with many objects that are rarely read. Only their JSON text is kept.
_KEPT_AS_TEXT = frozenset({("", "Event")})


class Storage:
    """`first_revision` should be greater than all revisions of earlier runs, so that their clients' watches expire.

    A reader may be at most `history` changes of a kind behind.
    """

    def __init__(self, *, first_revision: int = 1, history: int = 4096) -> None:
        self.revision = first_revision
        self._first = first_revision
        self._history = history
        self._collections: dict[GroupKind, _Collection] = {}
        self._histories: dict[GroupKind, History] = {}
        self._by_namespace: dict[str, dict[ObjectKey, None]] = {}
        self._by_owner: dict[str, dict[ObjectKey, None]] = {}
        self._uids: dict[str, ObjectKey] = {}

    def __len__(self) -> int:
        return len(self._uids)

    def get(self, key: ObjectKey) -> Stored | None:
        collection = self._collections.get((key.group, key.kind))
        return collection.objects.get((key.namespace, key.name)) if collection else None

    def all(self, kind: GroupKind, namespace: str = "") -> list[Stored]:
        """Sorted by namespace and name; `namespace` "" means all."""
        collection = self._collections.get(kind)
        return collection.sorted(namespace) if collection else []

    def snapshot(self) -> dict[GroupKind, dict[tuple[str, str], Stored]]:
        """A snapshot of all objects, by kind, and by namespace and name. Later writes do not change it.

        The objects of a kind are the same dict as in the last snapshot if none of them was written since.
        """
        return {kind: collection.copied() for kind, collection in self._collections.items()}

    def latest(self, kind: GroupKind) -> int:
        """The revision of the last change of a kind."""
        history = self._histories.get(kind)
        return history.latest if history else self._first

    def count(self, kind: GroupKind) -> int:
        collection = self._collections.get(kind)
        return len(collection.objects) if collection else 0

    def put(self, key: ObjectKey, body: JsonObject, parsed: Resource | None = None) -> Stored:
        """Stores `body` with the next revision as its resourceVersion.

        `parsed` is its typed value, if the caller has it with this resourceVersion.
        """
        kind = (key.group, key.kind)
        previous = self.get(key)
        stored = self._next(key, body, parsed)
        collection = self._collections.setdefault(kind, _Collection())
        stored.is_current = kind not in _KEPT_AS_TEXT
        collection.put(stored if stored.is_current else stored.as_text())
        self._index(previous, stored)
        self._history_of(kind).append(Event("MODIFIED" if previous else "ADDED", stored.revision, stored, previous))
        return stored

    def remove(self, key: ObjectKey) -> Stored:
        kind = (key.group, key.kind)
        previous = self._collections[kind].remove(key)
        gone = self._next(key, previous.json, previous.parsed_already)
        gone.is_current = False
        self._index(previous, None)
        self._history_of(kind).append(Event("DELETED", gone.revision, gone, previous))
        return gone

    def reading(self, kind: GroupKind, revision: int) -> AbstractContextManager[Reader]:
        """Follows the changes of a kind after `revision`. Entering raises `Expired` if that is no longer kept."""
        return self._history_of(kind).reading(revision)

    def in_namespace(self, namespace: str) -> Iterator[ObjectKey]:
        """Keys, in any order."""
        return iter(self._by_namespace.get(namespace, ()))

    def owned_by(self, uid: str) -> list[ObjectKey]:
        return sorted(self._by_owner.get(uid, ()))

    def by_uid(self, uid: str) -> ObjectKey | None:
        return self._uids.get(uid)

    def _next(self, key: ObjectKey, body: JsonObject, parsed: Resource | None = None) -> Stored:
        self.revision += 1
        version = str(self.revision)
        if body["metadata"].get("resourceVersion") != version:
            body = {**body, "metadata": {**body["metadata"], "resourceVersion": version}}
            if parsed is not None:
                metadata = parsed.metadata.model_copy(update={"resource_version": version})
                parsed = parsed.model_copy(update={"metadata": metadata})
        return Stored(key, body, self.revision, parsed)

    def _index(self, previous: Stored | None, current: Stored | None) -> None:
        stored = current or previous
        assert stored is not None
        key = stored.key
        if previous is None:
            self._uids[stored.json["metadata"]["uid"]] = key
            if key.namespace:
                self._by_namespace.setdefault(key.namespace, {})[key] = None
        if current is None:
            self._uids.pop(stored.json["metadata"]["uid"], None)
            if key.namespace:
                _discard(self._by_namespace, key.namespace, key)
        before = set(_owners(previous)) if previous else set()
        after = set(_owners(current)) if current else set()
        for uid in after - before:
            self._by_owner.setdefault(uid, {})[key] = None
        for uid in before - after:
            _discard(self._by_owner, uid, key)

    def _history_of(self, kind: GroupKind) -> History:
        history = self._histories.get(kind)
        if history is None:
            # This kind has no changes yet, so any revision of this run is valid as a start.
            history = self._histories[kind] = History(self._first, self._history)
        return history


class _Collection:
    """The objects of one kind, by namespace and name, and their sorted keys."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Stored] = {}
        self._order: list[tuple[str, str]] = []
        self._copy: dict[tuple[str, str], Stored] | None = None

    def put(self, stored: Stored) -> None:
        at = (stored.key.namespace, stored.key.name)
        if at not in self.objects:
            insort(self._order, at)
        self.objects[at] = stored
        self._copy = None

    def remove(self, key: ObjectKey) -> Stored:
        at = (key.namespace, key.name)
        del self._order[bisect_left(self._order, at)]
        self._copy = None
        return self.objects.pop(at)

    def copied(self) -> dict[tuple[str, str], Stored]:
        if self._copy is None:
            self._copy = dict(self.objects)
        return self._copy

    def sorted(self, namespace: str) -> list[Stored]:
        order = self._order
        if namespace:
            order = order[bisect_left(order, (namespace, "")) : bisect_left(order, (namespace + "\0", ""))]
        return [self.objects[at] for at in order]


def _discard(index: dict[str, dict[ObjectKey, None]], name: str, key: ObjectKey) -> None:
    keys = index[name]
    keys.pop(key, None)
    if not keys:
        del index[name]


def _owners(stored: Stored) -> Iterator[str]:
    for reference in stored.json["metadata"].get("ownerReferences") or ():
        if uid := reference.get("uid"):
            yield uid
