"""The objects of a cluster, kept by watches: the one cache that all controllers share.

A `Mirror` holds one kind and reports each change with the object before and after it. A `Cache` holds several kinds and
returns `Objects`: an immutable snapshot, which a thread may read while watches continue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Generic, cast

from lockgate.controllers.kubernetes import Kubernetes
from lockgate.resources.model import Resource, ResourceT

Name = tuple[str, str]  # namespace, name


class Mirror(Generic[ResourceT]):
    """All objects of a kind by namespace and name.

    `changed` is called with the object before and after each change; the first is None for a new object, the second
    for a deleted one. `synced` is set once all objects that existed at the start are there.
    """

    def __init__(
        self, kind: type[ResourceT], changed: Callable[[ResourceT | None, ResourceT | None], None] = lambda *_: None
    ) -> None:
        self.objects: dict[Name, ResourceT] = {}
        self.synced = asyncio.Event()
        self._kind = kind
        self._changed = changed

    async def run(self, kubernetes: Kubernetes) -> None:
        """Runs until cancelled."""
        async for change in kubernetes.watch(self._kind):
            if change.type == "SYNCED":
                self.synced.set()
            if (now := change.object) is None:
                continue
            key = (now.namespace, now.name)
            before = self.objects.pop(key, None) if change.type == "DELETED" else self.objects.get(key)
            if change.type == "DELETED":
                self._changed(before or now, None)
            else:
                self.objects[key] = now
                self._changed(before, now)


class Objects:
    """The objects of a cluster at one time."""

    def __init__(self, kinds: Mapping[type[Resource], _OfKind]) -> None:
        self._kinds = kinds

    def all(self, kind: type[ResourceT]) -> list[ResourceT]:
        """The same list object as long as no object of the kind changes."""
        return cast("list[ResourceT]", self._kinds[kind].listed)

    def get(self, kind: type[ResourceT], namespace: str, name: str) -> ResourceT | None:
        return cast("ResourceT | None", self._kinds[kind].named.get((namespace, name)))


class _OfKind:
    def __init__(self, named: Mapping[Name, Resource]) -> None:
        self.named = dict(named)
        self.listed = list(named.values())


class Cache:
    """Objects by kind. `changed` is called for every kind after the initial listing, and then for each change."""

    def __init__(self, kinds: Collection[type[Resource]], changed: Callable[[type[Resource]], None]) -> None:
        self._mirrors: dict[type[Resource], Mirror[Any]] = {
            kind: Mirror(kind, partial(self._note, kind)) for kind in kinds
        }
        self._views: dict[type[Resource], _OfKind] = {}  # of kinds without changes since
        self._changed = changed
        self.synced = False

    def now(self) -> Objects:
        for kind in self._mirrors.keys() - self._views.keys():
            self._views[kind] = _OfKind(self._mirrors[kind].objects)
        return Objects(dict(self._views))

    def all(self, kind: type[ResourceT]) -> list[ResourceT]:
        return self.now().all(kind)

    async def run(self, kubernetes: Kubernetes) -> None:
        """Runs until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for mirror in self._mirrors.values():
                tasks.create_task(mirror.run(kubernetes))
            for mirror in self._mirrors.values():
                await mirror.synced.wait()
            self.synced = True
            for kind in self._mirrors:
                self._changed(kind)

    def _note(self, kind: type[Resource], _before: Resource | None, _after: Resource | None) -> None:
        self._views.pop(kind, None)
        if self.synced:
            self._changed(kind)
