"""What istiod knows of the cluster: the objects of the kinds it watches, as they are now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import cast

from lockgate.controllers.kubernetes import Kubernetes
from lockgate.resources.model import Resource, ResourceT


class Cache:
    """Objects by kind. `changed` is called for every kind once all has been listed, then at each change."""

    def __init__(self, kinds: Collection[type[Resource]], changed: Callable[[type[Resource]], None]) -> None:
        self._objects: dict[type[Resource], dict[tuple[str, str], Resource]] = {kind: {} for kind in kinds}
        self._lists: dict[type[Resource], list[Resource]] = {}
        self._unlisted = set(kinds)
        self._changed = changed

    @property
    def synced(self) -> bool:
        return not self._unlisted

    def all(self, kind: type[ResourceT]) -> list[ResourceT]:
        """The very same list for as long as no object of the kind changes."""
        listed = self._lists.get(kind)
        if listed is None:
            listed = self._lists[kind] = list(self._objects[kind].values())
        return cast("list[ResourceT]", listed)

    def get(self, kind: type[ResourceT], namespace: str, name: str) -> ResourceT | None:
        return cast("ResourceT | None", self._objects[kind].get((namespace, name)))

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
                self._lists.pop(kind, None)
                if self.synced:
                    self._changed(kind)
