"""The one index of objects by kind and name, of manifests as well as of a cluster. All builders share it.

A kind whose objects have not changed keeps its view: `of` returns the very same list, and `among` the same mapping, as
in the earlier index. So a build that hangs on some kinds is found again in a `Memo` while others change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Generic, cast

from lockgate.resources.differences import Difference, difference
from lockgate.resources.model import Resource, ResourceT

Name = tuple[str, str]  # namespace, name


class Objects:
    """All objects of an edge. Immutable: do not modify the views that its methods return.

    Of two objects with the same kind and name the later one counts, as when manifests are applied in order.
    """

    __slots__ = ("_kinds", "_resources")

    def __init__(self, resources: Iterable[Resource] = (), earlier: Objects | None = None) -> None:
        """`earlier` is an index of mostly the same objects: the kinds of others are indexed again."""
        self._resources: Sequence[Resource] = resources if isinstance(resources, tuple) else tuple(resources)
        self._kinds: Mapping[type[Resource], View[Resource]]
        if earlier is None:
            self._kinds = _indexed(self._resources)
        elif (changed := difference(earlier._resources, self._resources)) is None:
            self._kinds = earlier._kinds
        else:
            self._kinds = _changed(earlier._kinds, changed, self._resources)

    @staticmethod
    def of_views(views: Mapping[type[Resource], View[Resource]]) -> Objects:
        """From the objects of each kind, of which the caller keeps the views."""
        made = Objects()
        made._kinds = views
        return made

    def adding(self, more: Iterable[Resource]) -> Objects:
        """An index with further objects."""
        kinds = dict(self._kinds)
        for kind, view in _indexed(more).items():
            kinds[kind] = View({**self.view(kind).named, **view.named})
        return Objects.of_views(kinds)

    def replacing(self, kind: type[ResourceT], view: View[ResourceT]) -> Objects:
        """An index with other objects of one kind."""
        if not view.listed and kind not in self._kinds:
            return self
        return Objects.of_views({**self._kinds, kind: cast("View[Resource]", view)})

    def without(self, *kinds: type[Resource]) -> Objects:
        """An index without the objects of some kinds."""
        return Objects.of_views({kind: view for kind, view in self._kinds.items() if kind not in kinds})

    def all(self, kind: type[ResourceT]) -> Sequence[ResourceT]:
        """The objects of a kind in their order: the same list while none of them changes."""
        return self.view(kind).listed

    def among(self, kind: type[ResourceT]) -> Mapping[Name, ResourceT]:
        """The objects of a kind by namespace and name; cluster-scoped objects have the namespace ""."""
        return self.view(kind).named

    def get(self, kind: type[ResourceT], namespace: str, name: str) -> ResourceT | None:
        return self.view(kind).named.get((namespace, name))

    def view(self, kind: type[ResourceT]) -> View[ResourceT]:
        return cast("View[ResourceT]", self._kinds.get(kind, _NOTHING))

    def views(self) -> Mapping[type[Resource], View[Resource]]:
        return self._kinds

    def __iter__(self) -> Iterator[Resource]:
        for view in self._kinds.values():
            yield from view.listed

    def __len__(self) -> int:
        return sum(len(view.listed) for view in self._kinds.values())


class View(Generic[ResourceT]):
    """The objects of one kind. It is the same object as long as they are."""

    __slots__ = ("listed", "named")

    def __init__(self, named: Mapping[Name, ResourceT]) -> None:
        self.named = named
        self.listed: Sequence[ResourceT] = list(named.values())


_NOTHING: View[Resource] = View({})


def _indexed(resources: Iterable[Resource]) -> dict[type[Resource], View[Resource]]:
    kinds: dict[type[Resource], dict[Name, Resource]] = {}
    for resource in resources:
        meta = resource.metadata
        kinds.setdefault(type(resource), {})[meta.namespace, meta.name] = resource
    return {kind: View(named) for kind, named in kinds.items()}


def _changed(
    before: Mapping[type[Resource], View[Resource]], changed: Difference[Resource], resources: Sequence[Resource]
) -> Mapping[type[Resource], View[Resource]]:
    """The views, with those of the changed objects' kinds made again: by replacing them, if no name came or went."""
    removed = set(map(id, changed.removed))
    added = set(map(id, changed.added))
    pairs = [(old, new) for old, new in zip(changed.removed, changed.added, strict=False) if old is not new]
    if len(changed.removed) == len(changed.added) and all(_replaces(old, new, before) for old, new in pairs):
        copies: dict[type[Resource], dict[Name, Resource]] = {}
        for _, new in pairs:
            kind = type(new)
            named = copies.get(kind) or copies.setdefault(kind, dict(before[kind].named))
            named[new.namespace, new.name] = new
        return {kind: View(copies[kind]) if kind in copies else view for kind, view in before.items()}
    touched = {type(each) for each in changed.removed if id(each) not in added}
    touched |= {type(each) for each in changed.added if id(each) not in removed}
    if any(type(old) is type(new) for old, new in pairs):
        touched |= {type(each) for pair in pairs for each in pair}  # the order of some kind may be another one
    again = _indexed(each for each in resources if type(each) in touched)
    return {kind: again[kind] if kind in touched else before[kind] for kind in dict.fromkeys(map(type, resources))}


def _replaces(old: Resource, new: Resource, before: Mapping[type[Resource], View[Resource]]) -> bool:
    """Whether one took the other's place: a newer version of the object that counted."""
    name = (old.namespace, old.name)
    return type(old) is type(new) and name == (new.namespace, new.name) and before[type(old)].named[name] is old
