"""One change to an account: a value that represents an API call.

A resource that does not exist yet has no AWS ID. So a change references, for example, a target group either by its ARN
or, if an earlier change of the sequence creates it, by its resource ID in the `Stack`. The performer of the sequence
records the IDs in the answers, and resolves references with them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, TypeAlias

from lockgate.ingress.existing import Existing
from lockgate.ingress.stack import Stack
from lockgate.ingress.world import Settings
from lockgate.resources.faults import Locate, Origin

Json: TypeAlias = dict[str, Any]
Resolve: TypeAlias = Callable[[str], Any]
"""Resolves a reference for a call's parameters: an ID is unchanged, a pending one becomes the created resource's ID."""

_SECRETS = frozenset({"ClientSecret"})


@dataclass(frozen=True, slots=True)
class Change(ABC):
    """`str` returns one readable line, `as_json` the whole call. `origin` is the part of the manifests that asks for
    it: None for a deletion that no Ingress is left to ask for."""

    service: ClassVar[str] = "elbv2"  # boto3's name
    operation: ClassVar[str]  # boto3's method

    origin: Origin | None = field(default=None, kw_only=True, compare=False, repr=False)

    @abstractmethod
    def parameters(self, resolved: Resolve) -> Json:
        """The parameters of the call."""

    @abstractmethod
    def __str__(self) -> str: ...


Changes: TypeAlias = Iterator[Change]


@dataclass(frozen=True, slots=True)
class Creation(Change):
    """A change that creates a resource. Later changes reference it as `makes`."""

    makes: str

    @abstractmethod
    def made(self, answer: Mapping[str, Any]) -> str:
        """The new ID or ARN, from the call's answer."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The two sides of a comparison. `ids` are the IDs of existing resources that the stack references."""

    stack: Stack
    existing: Existing
    settings: Settings
    ids: Mapping[str, str] = field(default_factory=dict)

    def id(self, reference: str) -> str:
        """The ID if it exists, else the reference."""
        return self.ids.get(reference, reference)


def is_pending(reference: str) -> bool:
    """Whether a reference is to a resource that a change has yet to create."""
    return not reference.startswith(("arn:", "sg-"))


def named(reference: str) -> str:
    """A short readable name: the last part of an ARN."""
    return reference.rpartition(":")[2] if reference.startswith("arn:") else reference


def as_json(change: Change, locate: Locate = lambda origin: None) -> Json:
    """The change as data. Pending ids are ``{"Ref": resource id}``; secrets are masked."""
    position = locate(change.origin) if change.origin else None
    found: Json = {
        "change": type(change).__name__,
        "summary": str(change),
        "object": str(change.origin.key) if change.origin else None,
        "path": list(change.origin.path) if change.origin else [],
        "position": asdict(position) if position else None,
        "service": change.service,
        "operation": change.operation,
        "parameters": _masked(change.parameters(_printed)),
    }
    return found | ({"makes": change.makes} if isinstance(change, Creation) else {})


def at(origin: Origin | None, found: Changes) -> Changes:
    """The changes that a part of the manifests asks for. Those of one of its own parts keep their origin."""
    for change in found:
        yield change if change.origin is not None or origin is None else replace(change, origin=origin)


def _printed(reference: str) -> Any:
    return {"Ref": reference} if is_pending(reference) else reference


def _masked(value: Any) -> Any:
    match value:
        case dict():
            return {key: "***" if key in _SECRETS else _masked(item) for key, item in value.items()}
        case list():
            return [_masked(item) for item in value]
        case _:
            return value
