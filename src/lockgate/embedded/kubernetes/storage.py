"""Objects by name, one revision for all of them, and what changed since when. No rules: those are `writes`.

Stored JSON is never changed in place; a write stores another object, so readers may keep what they have got.
"""

from __future__ import annotations

import asyncio
import json
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal, TypeAlias

from lockgate.embedded.kubernetes.refusals import too_old
from lockgate.resources.model import JsonObject, ObjectKey, Resource, ResourceT

GroupKind: TypeAlias = tuple[str, str]
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Stored:
    """One revision of an object, with its parsed value and its bytes made once and kept beside it."""

    __slots__ = ("_encoded", "_parsed", "json", "key", "revision")

    def __init__(self, key: ObjectKey, json: JsonObject, revision: int, parsed: Resource | None = None) -> None:
        self.key = key
        self.json = json
        self.revision = revision
        self._parsed = parsed
        self._encoded: tuple[str, bytes] | None = None

    def parsed(self, model: type[ResourceT]) -> ResourceT:
        if not isinstance(self._parsed, model):
            self._parsed = model.model_validate(self.json)
        return self._parsed

    def encoded(self, api_version: str) -> bytes:
        """The object as JSON text, in the version of its group that a client asked for."""
        if self._encoded is None or self._encoded[0] != api_version:
            body = self.json
            if body.get("apiVersion") != api_version:
                body = {**body, "apiVersion": api_version}
            self._encoded = (api_version, _encode(body).encode())
        return self._encoded[1]


@dataclass(frozen=True, slots=True)
class Event:
    """A change of one object. A deletion's `object` is the last state under the deletion's own revision."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    revision: int
    object: Stored
    previous: Stored | None


class Storage:
    """`first_revision` should exceed any that an earlier run gave out, so that its clients' watches expire."""

    def __init__(self, *, first_revision: int = 1, history: int = 4096) -> None:
        self.revision = first_revision
        self._first = first_revision
        self._history = history
        self._objects: dict[GroupKind, dict[tuple[str, str], Stored]] = {}
        self._logs: dict[GroupKind, _Log] = {}
        self._by_namespace: dict[str, set[ObjectKey]] = {}
        self._by_owner: dict[str, set[ObjectKey]] = {}
        self._uids: dict[str, ObjectKey] = {}

    def get(self, key: ObjectKey) -> Stored | None:
        return self._objects.get((key.group, key.kind), {}).get((key.namespace, key.name))

    def all(self, kind: GroupKind, namespace: str = "") -> list[Stored]:
        """Sorted by namespace and name; `namespace` "" means all."""
        objects = self._objects.get(kind, {})
        if namespace:
            return [objects[at] for at in sorted(at for at in objects if at[0] == namespace)]
        return [objects[at] for at in sorted(objects)]

    def snapshot(self) -> dict[GroupKind, dict[tuple[str, str], Stored]]:
        """All objects as they are now, by kind, and by namespace and name. Later writes do not change it."""
        return {kind: dict(objects) for kind, objects in self._objects.items()}

    def count(self, kind: GroupKind) -> int:
        return len(self._objects.get(kind, ()))

    def oldest(self, kind: GroupKind) -> Stored:
        """Of a kind with objects, the one created first."""
        return next(iter(self._objects[kind].values()))

    def put(self, key: ObjectKey, body: JsonObject, parsed: Resource | None = None) -> Stored:
        """Store `body` under the next revision, which becomes its resourceVersion.

        `parsed` is its typed value, where the caller has it with that very resourceVersion.
        """
        previous = self.get(key)
        stored = self._next(key, body, parsed)
        self._objects.setdefault((key.group, key.kind), {})[key.namespace, key.name] = stored
        self._index(previous, stored)
        self._tell(Event("MODIFIED" if previous else "ADDED", stored.revision, stored, previous))
        return stored

    def remove(self, key: ObjectKey) -> Stored:
        previous = self._objects[key.group, key.kind].pop((key.namespace, key.name))
        gone = self._next(key, previous.json)
        self._index(previous, None)
        self._tell(Event("DELETED", gone.revision, gone, previous))
        return gone

    def events_since(self, kind: GroupKind, revision: int) -> list[Event]:
        """What happened to a kind after `revision`, oldest first. Raises `Expired` when that is forgotten."""
        return self._log(kind).since(revision)

    async def changed(self, kind: GroupKind, revision: int, timeout: float | None = None) -> None:
        """Return once a kind has changed after `revision`, at once if it has, or after `timeout` seconds."""
        log = self._log(kind)
        if log.latest <= revision:
            # `wait` does not cancel what it waits for: the future is shared by all who wait for this kind.
            await asyncio.wait([log.next_change()], timeout=timeout)

    def in_namespace(self, namespace: str) -> list[ObjectKey]:
        return sorted(self._by_namespace.get(namespace, ()))

    def owned_by(self, uid: str) -> list[ObjectKey]:
        return sorted(self._by_owner.get(uid, ()))

    def by_uid(self, uid: str) -> ObjectKey | None:
        return self._uids.get(uid)

    def _next(self, key: ObjectKey, body: JsonObject, parsed: Resource | None = None) -> Stored:
        self.revision += 1
        version = str(self.revision)
        if body["metadata"].get("resourceVersion") != version:
            body, parsed = {**body, "metadata": {**body["metadata"], "resourceVersion": version}}, None
        return Stored(key, body, self.revision, parsed)

    def _index(self, previous: Stored | None, current: Stored | None) -> None:
        stored = current or previous
        assert stored is not None
        key = stored.key
        if previous is None:
            self._uids[stored.json["metadata"]["uid"]] = key
            if key.namespace:
                self._by_namespace.setdefault(key.namespace, set()).add(key)
        if current is None:
            self._uids.pop(stored.json["metadata"]["uid"], None)
            if key.namespace:
                self._by_namespace[key.namespace].discard(key)
        before = set(_owners(previous)) if previous else set()
        after = set(_owners(current)) if current else set()
        for uid in after - before:
            self._by_owner.setdefault(uid, set()).add(key)
        for uid in before - after:
            dependents = self._by_owner[uid]
            dependents.discard(key)
            if not dependents:
                del self._by_owner[uid]

    def _tell(self, event: Event) -> None:
        key = event.object.key
        self._log((key.group, key.kind)).append(event)

    def _log(self, kind: GroupKind) -> _Log:
        log = self._logs.get(kind)
        if log is None:
            # Nothing has happened to this kind yet, so any revision of this run is a fine place to start from.
            log = self._logs[kind] = _Log(self._first, self._history)
        return log


class _Log:
    """The last changes of one kind, and those who wait for the next."""

    def __init__(self, forgotten: int, limit: int) -> None:
        self._events: list[Event] = []
        self._forgotten = forgotten
        self._limit = limit
        self._next: asyncio.Future[None] | None = None

    @property
    def latest(self) -> int:
        return self._events[-1].revision if self._events else self._forgotten

    def append(self, event: Event) -> None:
        self._events.append(event)
        if len(self._events) > 2 * self._limit:  # half at a time: forgetting one by one would move the rest each time
            self._forgotten = self._events[self._limit - 1].revision
            del self._events[: self._limit]
        if self._next is not None:
            future, self._next = self._next, None
            if not future.done():
                future.set_result(None)

    def since(self, revision: int) -> list[Event]:
        if revision < self._forgotten:
            raise too_old(revision, self._forgotten)
        return self._events[bisect_right(self._events, revision, key=attrgetter("revision")) :]

    def next_change(self) -> asyncio.Future[None]:
        if self._next is None or self._next.done():
            self._next = asyncio.get_running_loop().create_future()
        return self._next


def _owners(stored: Stored) -> Iterator[str]:
    for reference in stored.json["metadata"].get("ownerReferences") or ():
        if uid := reference.get("uid"):
            yield uid
