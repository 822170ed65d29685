"""What happens to a request, as named values that can be compared: the aspects of an outcome.

Names of things that no request shows (a target group's, a route's, a rule's priority) are no aspects. Fields that are
not named here are aspects under their own name, so a new field of a rule or a route counts from the day it exists.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from lockgate.gateway.model import HeaderChanges, SetHeader
from lockgate.resources.faults import Origin
from lockgate.trace.difference.model import Change

Aspects: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that an edge itself gives. `target` is where a redirect leads."""

    by: str
    status: int | str
    target: str = ""
    body: str = ""
    flag: str = ""

    def __str__(self) -> str:
        more = f" to {self.target}" if self.target else f" with {_short(self.body)!r}" if self.body else ""
        return f"{self.status}{f' ({self.flag})' if self.flag else ''}{more}{f' from the {self.by}' if self.by else ''}"


@dataclass(frozen=True, slots=True)
class Shares:
    """Who gets how much of the requests."""

    parts: tuple[tuple[Fraction, str], ...]

    def __str__(self) -> str:
        if len(self.parts) == 1:
            return self.parts[0][1]
        return ", ".join(f"{float(100 * share):g} % {name}" for share, name in self.parts)


def shares(weighted: Collection[tuple[int, str]]) -> Shares:
    """The order of the parts has no effect, and equal names count together."""
    total = sum(weight for weight, _ in weighted) or 1
    found: dict[str, Fraction] = {}
    for weight, name in weighted:
        found[name] = found.get(name, Fraction(0)) + Fraction(weight, total)
    return Shares(tuple(sorted(((share, name) for name, share in found.items()), reverse=True)))


@dataclass(frozen=True, slots=True)
class Hidden:
    """A secret: compared, and never shown."""

    value: object = field(repr=False)

    def __str__(self) -> str:
        return "(hidden)"


def fields_of(value: Any, skipped: Collection[str] = ()) -> Iterator[tuple[str, object]]:
    """The fields of a value that differ from their default, except those that only say where it comes from."""
    for each in fields(value):
        found = getattr(value, each.name)
        if each.name not in skipped and not isinstance(found, Origin) and found != each.default:
            yield each.name.replace("_", " "), found if each.repr else Hidden(found)


def changes(old: Aspects, new: Aspects) -> tuple[Change, ...]:
    """The aspects that differ, in their order."""
    found = []
    for name in dict.fromkeys((*old, *new)):
        before, after = old.get(name), new.get(name)
        if before == after or not (before or after):
            continue
        texts = _sides(name, before, after)
        if texts[0] == texts[1]:
            texts = texts[0], f"{texts[1]}, changed"
        found.append(Change(name, *texts))
    return tuple(found)


def _sides(name: str, old: object, new: object) -> tuple[str, str]:
    """Both values in words; of two values with fields only the fields that differ."""
    before, after = _parts(old, new), _parts(new, old)
    if before is not None and after is not None:
        for same in [name for name in before if name in after and before[name] == after[name]]:
            del before[same], after[same]
        return _listed(before), _listed(after)
    if isinstance(old, float | int | None) and isinstance(new, float | int | None) and name.endswith("timeout"):
        return _seconds(old), _seconds(new)
    return said(old), said(new)


def _parts(value: object, other: object) -> dict[str, object] | None:
    if isinstance(value, Mapping) or (value is None and isinstance(other, Mapping)):
        return dict(value or {})
    if is_dataclass(value) and type(value).__str__ is object.__str__ and not isinstance(value, HeaderChanges):
        return dict(fields_of(value))
    return None


def _seconds(value: float | None) -> str:
    return "none" if value is None else f"{value:g} s"


def _listed(fields: Mapping[str, object]) -> str:
    texts = (f"{name} {_field(name, each)}" for name, each in fields.items())
    return ", ".join(texts) or "default"


def _field(name: str, value: object) -> str:
    return _seconds(value) if isinstance(value, float) and name.endswith("timeout") else said(value)


def said(value: object) -> str:
    """A value in words."""
    match value:
        case HeaderChanges(put, remove):
            parts = [f"{'set' if isinstance(each, SetHeader) else 'add'} {each.name}: {each.value}" for each in put]
            return ", ".join([*(f"remove {name}" for name in remove), *parts]) or "none"
        case None | () | "" | frozenset():
            return "none"
        case float():
            return f"{value:g}"
        case bytes():
            return _short(value.decode(errors="replace"))
        case tuple():
            return ", ".join(said(each) for each in value)
        case Mapping():
            return _listed(value) if value else "none"
        case _ if is_dataclass(value) and type(value).__str__ is object.__str__:
            shown = dict(fields_of(value))
            return _listed(shown) if shown else type(value).__name__
        case _:
            return _short(str(value))


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:199]}…"
