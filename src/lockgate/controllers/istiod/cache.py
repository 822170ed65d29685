"""What istiod knows of the cluster: the objects of the kinds it watches, as they are now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import cast

from lockgate.controllers.kubernetes import Kubernetes
from lockgate.resources.model import Resource, ResourceT


class Objects:
    """The objects of a cluster at one moment. It never changes, so a thread may read it."""

    def __init__(self, kinds: Mapping[type[Resource], _OfKind]) -> None:
        self._kinds = kinds

    def all(self, kind: type[ResourceT]) -> list[ResourceT]:
        """The very same list for as long as no object of the kind changes."""
        return cast("list[ResourceT]", self._kinds[kind].listed)

    def get(self, kind: type[ResourceT], namespace: str, name: str) -> ResourceT | None:
        return cast("ResourceT | None", self._kinds[kind].named.get((namespace, name)))


class _OfKind:
    def __init__(self, named: Mapping[tuple[str, str], Resource]) -> None:
        self.named = dict(named)
        self.listed = list(named.values())


class Cache:
    """Objects by kind. `changed` is called for every kind once all has been listed, then at each change."""

    def __init__(self, kinds: Collection[type[Resource]], changed: Callable[[type[Resource]], None]) -> None:
        self._objects: dict[type[Resource], dict[tuple[str, str], Resource]] = {kind: {} for kind in kinds}
        self._kinds: dict[type[Resource], _OfKind] = {}  # of what has not changed since
        self._unlisted = set(kinds)
        self._changed = changed

    @property
    def synced(self) -> bool:
        return not self._unlisted

    def now(self) -> Objects:
        for kind in self._objects.keys() - self._kinds.keys():
            self._kinds[kind] = _OfKind(self._objects[kind])
        return Objects(dict(self._kinds))

    def all(self, kind: type[ResourceT]) -> list[ResourceT]:
        return self.now().all(kind)

    async def follow(self, kubernetes: Kubernetes) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as tasks:
            for kind in self._objects:
                tasks.create_task(self._watch(kubernetes, kind))

    async def _watch(self, kubernetes: Kubernetes, kind: type[Resource]) -> None:
        known = self._objects[kind]
        async for change in kubernetes.watch(kind):
            if change.type == "SYNCED" and self._unlisted:
                self._unlisted.discard(kind)
                for listed in self._objects if self.synced else ():
                    self._changed(listed)
            elif change.object is not None:
                key = (change.object.namespace, change.object.name)
                if change.type == "DELETED":
                    known.pop(key, None)
                else:
                    known[key] = change.object
                self._kinds.pop(kind, None)
                if self.synced:
                    self._changed(kind)
