"""The index of objects by kind and name that all builders share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from lockgate.resources.model import Resource, ResourceT

Name = tuple[str, str]  # namespace, name
_NOTHING: Mapping[Name, Resource] = {}


class Objects:
    """All objects of an edge. Immutable: do not modify the views that `among` and `all` return.

    Of two objects with the same kind and name the later one counts, as when manifests are applied in order.
    """

    __slots__ = ("_kinds",)

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        kinds: dict[type[Resource], dict[Name, Resource]] = {}
        for resource in resources:
            kinds.setdefault(type(resource), {})[resource.namespace, resource.name] = resource
        self._kinds = kinds

    def all(self, kind: type[ResourceT]) -> Iterable[ResourceT]:
        return self.among(kind).values()

    def among(self, kind: type[ResourceT]) -> Mapping[Name, ResourceT]:
        """The objects of a kind by namespace and name; cluster-scoped objects have the namespace ""."""
        return cast("Mapping[Name, ResourceT]", self._kinds.get(kind, _NOTHING))

    def get(self, kind: type[ResourceT], namespace: str, name: str) -> ResourceT | None:
        return self.among(kind).get((namespace, name))

    def __iter__(self) -> Iterator[Resource]:
        for objects in self._kinds.values():
            yield from objects.values()

    def __len__(self) -> int:
        return sum(map(len, self._kinds.values()))
