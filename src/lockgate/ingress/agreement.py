"""Settings on which a group's members must agree, and the controller's messages for conflicts, with Go's formatting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from lockgate.ingress.annotations.spec import Annotation, AnyAnnotation
from lockgate.ingress.group import Group, Member
from lockgate.ingress.refusal import Refused
from lockgate.resources.faults import Origin

T = TypeVar("T")


def said(group: Group, annotation: Annotation[T]) -> list[tuple[Member, T]]:
    """The members that set the annotation, each with its value."""
    return [(member, value) for member in group.members if (value := annotation.read(member.ingress)) is not None]


def one(group: Group, annotation: Annotation[bool], conflict: str) -> bool | None:
    """The common value of all members that set it. Raises `Refused` with `conflict` if they differ."""
    found = said(group, annotation)
    if len({value for _, value in found}) > 1:
        raise refused(conflict, found[-1][0], annotation)
    return found[0][1] if found else None


def refused(message: str, member: Member, annotation: AnyAnnotation) -> Refused:
    return Refused(message, Origin(member.ingress.key, annotation.path()))


def listed(items: Iterable[str]) -> str:
    return f"[{' '.join(items)}]"


def with_commas(items: Iterable[str]) -> str:
    return f"[{', '.join(items)}]"


def as_set(items: Iterable[str]) -> str:
    return f"map[{' '.join(f'{item}:{{}}' for item in items)}]"


def as_map(items: Mapping[str, str]) -> str:
    return f"map[{' '.join(f'{key}:{value}' for key, value in sorted(items.items()))}]"
