"""The objects of a cluster, kept by watches: the one cache that all controllers share.

A `Mirror` holds one kind and reports each change with the object before and after it. A `Cache` holds several kinds and
returns `Objects`, the index that all builders share: an immutable snapshot, which a thread may read while watches
continue. A kind without changes keeps its view from one snapshot to the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, Generic

from lockgate.controllers.kubernetes import Kubernetes
from lockgate.edge.objects import Name, Objects, View
from lockgate.resources.model import Resource, ResourceT


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


class Cache:
    """Objects by kind. `changed` is called for every kind after the initial listing, and then for each change."""

    def __init__(self, kinds: Collection[type[Resource]], changed: Callable[[type[Resource]], None]) -> None:
        self._mirrors: dict[type[Resource], Mirror[Any]] = {
            kind: Mirror(kind, partial(self._note, kind)) for kind in kinds
        }
        self._views: dict[type[Resource], View[Any]] = {}  # of kinds without changes since
        self._changed = changed
        self.synced = False

    def now(self) -> Objects:
        for kind in self._mirrors.keys() - self._views.keys():
            self._views[kind] = View(dict(self._mirrors[kind].objects))
        return Objects.of_views(dict(self._views))

    def all(self, kind: type[ResourceT]) -> Sequence[ResourceT]:
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
