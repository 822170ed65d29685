"""The table of effects: what each kind and field does on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache

from lockgate.resources.codes import objects as codes
from lockgate.resources.effects import cert_manager, elbv2, istio, kubernetes, others
from lockgate.resources.effects.row import Effect, Row, accepted, declare, served
from lockgate.resources.field_errors import Path
from lockgate.resources.model import JsonObject

# Fields of every object.
COMMON = declare(
    "*",
    "*",
    served("apiVersion", "kind", "metadata.{name,namespace,labels,annotations,finalizers}"),
    served("metadata.ownerReferences.{apiVersion,kind,name,uid,controller,blockOwnerDeletion}"),
    accepted(
        "metadata.generateName", because="only `kubectl create` makes a name of it; files and `apply` need a name"
    ),
    accepted(
        "metadata.{uid,resourceVersion,generation,creationTimestamp,deletionTimestamp,deletionGracePeriodSeconds}",
        "metadata.{selfLink,managedFields.**}",
        because="the API server writes it and drops it from what is applied",
    ),
    accepted("status.**", because="controllers write it; the API server drops it from what is applied"),
)

# Undeclared kinds, from users' CustomResourceDefinitions.
UNKNOWN = declare(
    "*",
    "*",
    accepted(
        "",
        because="no controller for it runs here, so the Kubernetes API stores and lists it",
        code=codes.UNKNOWN_KIND,
    ),
    accepted("**", because="no controller for its kind runs here"),
)

TABLE: tuple[Row, ...] = (*kubernetes.ROWS, *istio.ROWS, *cert_manager.ROWS, *elbv2.ROWS, *others.ROWS)


@dataclass(frozen=True, slots=True)
class Notice:
    """A row with a warning, and the places where a manifest matches it: () for the object itself."""

    row: Row
    path: Path


@cache
def rows_of(group: str, kind: str) -> tuple[Row, ...]:
    """The kind's rows; those of `UNKNOWN` for an undeclared kind."""
    found = tuple(row for row in TABLE if _is_of(row, group, kind))
    return found if any(row.whole for row in found) else UNKNOWN


def object_rows(group: str, kind: str) -> tuple[Row, ...]:
    """The rows about the object itself. There are several if the effect depends on the object."""
    return tuple(row for row in rows_of(group, kind) if row.whole)


def acted_on(group: str, kind: str) -> bool:
    """Whether objects of the kind have an effect here."""
    return any(row.effect is Effect.SERVED for row in object_rows(group, kind))


def field_row(group: str, kind: str, path: tuple[str, ...]) -> Row | None:
    """The row of a field for any value, by a path without list indexes; None for an undeclared field."""
    return next(_covering(group, kind, path, any_value=True), None)


def value_rows(group: str, kind: str, path: tuple[str, ...]) -> Iterator[tuple[str, Row]]:
    """The rows for single values of a field, each with its value."""
    for row in _covering(group, kind, path, any_value=False):
        for pattern in row.patterns:
            if pattern.value and pattern.covers(path):
                yield pattern.value, row


def notices(group: str, kind: str, manifest: JsonObject) -> Iterator[Notice]:
    """The warnings for an object: its rows that are `noticed`."""
    for row in _noticed(group, kind):
        if row.when is None or row.when(manifest):
            for pattern in row.patterns:
                if pattern.parts:
                    yield from (Notice(row, path) for path in pattern.find(manifest))
                else:
                    yield Notice(row, ())


@cache
def _noticed(group: str, kind: str) -> tuple[Row, ...]:
    return tuple(row for row in rows_of(group, kind) if row.noticed or row in UNKNOWN[:1])


def _covering(group: str, kind: str, path: tuple[str, ...], *, any_value: bool) -> Iterator[Row]:
    for row in (*rows_of(group, kind), *COMMON):
        if any(bool(pattern.value) is not any_value and pattern.covers(path) for pattern in row.patterns):
            yield row


def _is_of(row: Row, group: str, kind: str) -> bool:
    return _any(row.groups, group) and _any(row.kinds, kind)


def _any(globs: tuple[str, ...], name: str) -> bool:
    # A comparison first, because `fnmatchcase` compiles a regular expression for each glob.
    return name in globs or any("*" in glob and fnmatchcase(name, glob) for glob in globs)
