"""Settings without effect, in words: ``CronJob shop/a has no effect: no container runs here``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from lockgate.resources.codes import objects as codes
from lockgate.resources.effects.row import Row
from lockgate.resources.effects.table import Notice, notices
from lockgate.resources.faults import Fault, Origin
from lockgate.resources.field_errors import Path, field_name, value_at
from lockgate.resources.model import JsonObject, Resource

FEW = 3  # objects that a combined report names


@dataclass(frozen=True, slots=True)
class Use:
    """A row that an object matches, with every place that does; none for the object itself."""

    row: Row
    manifest: JsonObject
    paths: tuple[Path, ...]

    @property
    def field(self) -> str:
        """The fields; siblings as ``spec.tunnel.{protocol,targetHost}``; "" for the object itself.

        The value is included if another value would have an effect.
        """
        if not self.paths:
            return ""
        first = self.paths[0]
        if "annotations" in first[:-1]:
            return f"annotation {first[-1]}"
        fields = dict.fromkeys(field_name(tuple(p for p in path if isinstance(p, str))) for path in self.paths)
        parents = {field.rpartition(".")[0] for field in fields}
        if len(fields) > 1 and len(parents) == 1:
            return f"{parents.pop()}.{{{','.join(field.rpartition('.')[2] for field in fields)}}}"
        value = value_at(self.manifest, first)
        named = any(pattern.value and pattern.value == value for pattern in self.row.patterns)
        more = f" and {len(fields) - 1} more" if len(fields) > 1 else ""
        return f"{next(iter(fields))}{f' {value}' if named else ''}{more}"

    @property
    def kind(self) -> str:
        return str(self.manifest["kind"])

    @property
    def name(self) -> str:
        metadata = self.manifest["metadata"]
        return f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else str(metadata["name"])


def uses_of(manifest: JsonObject, noticed: Iterable[Notice]) -> Iterator[Use]:
    """The notices of one object, grouped by row."""
    places: dict[Row, tuple[Path, ...]] = {}
    for notice in noticed:
        places[notice.row] = places.get(notice.row, ()) + ((notice.path,) if notice.path else ())
    for row, paths in places.items():
        yield Use(row, manifest, paths)


def messages_of(resource: Resource) -> Iterator[str]:
    """A sentence for each setting of an object whose missing effect a user would notice."""
    group, kind = resource.KIND.group_kind
    manifest = {"kind": kind, **resource.manifest()}
    for use in uses_of(manifest, notices(group, kind, manifest)):
        if use.row.noticed:
            yield fault([use], None).message


def fault(uses: Sequence[Use], origin: Origin | None) -> Fault:
    """One fault for all objects that match a row with the same field."""
    first = uses[0]
    what = f"{first.field} of {_listed(uses)}" if first.paths else _listed(uses)
    code = _PLURAL[first.row.code] if len(uses) > 1 and not first.paths else first.row.code
    return code.at(origin, what=what, reason=first.row.reason, hint=first.row.fix)


_PLURAL = {
    codes.OBJECT_WITHOUT_EFFECT: codes.OBJECTS_WITHOUT_EFFECT,
    codes.CONTAINERS_NOT_RUN: codes.CONTAINERS_OF_SEVERAL_NOT_RUN,
    codes.UNKNOWN_KIND: codes.UNKNOWN_KINDS,
    codes.NOT_ENFORCED: codes.POLICIES_NOT_ENFORCED,
}


def _listed(uses: Sequence[Use]) -> str:
    """``Deployment shop/web``, or ``40 Deployments and 2 CronJobs (shop/web, shop/api, shop/cart, …)``."""
    if len(uses) == 1:
        return f"{uses[0].kind} {uses[0].name}"
    kinds = [(kind, len(list(group))) for kind, group in groupby(sorted(use.kind for use in uses))]
    *before, last = [f"{count} {_plural(kind) if count > 1 else kind}" for kind, count in kinds]
    counted = f"{', '.join(before)} and {last}" if before else last
    return f"{counted} ({', '.join(use.name for use in uses[:FEW])}, …)"


def _plural(kind: str) -> str:
    if kind.endswith("y") and kind[-2] not in "aeiou":
        return f"{kind[:-1]}ies"
    if kind == "Endpoints":
        return kind
    return f"{kind}es" if kind.endswith("s") else f"{kind}s"
