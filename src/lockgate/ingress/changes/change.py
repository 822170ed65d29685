"""One change to an account: a value that knows the API call it stands for.

Ids that AWS gives later are references until then, by the resource ids of the `Stack`: a change refers to a target
group either by its ARN or, where an earlier change of the sequence creates it, by its resource id. Whoever performs
the sequence keeps the ids that creations answer with, and resolves references with them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from lockgate.ingress.existing import Existing
from lockgate.ingress.stack import Stack
from lockgate.ingress.world import Settings

Json: TypeAlias = dict[str, Any]
Resolve: TypeAlias = Callable[[str], Any]
"""A reference to what stands for it in a call's parameters: an id as it is, a pending one by what it has become."""

_SECRETS = frozenset({"ClientSecret"})


@dataclass(frozen=True, slots=True)
class Change(ABC):
    """`str` gives one line for people; `as_json` gives the whole call."""

    service: ClassVar[str] = "elbv2"  # as boto3 names it
    operation: ClassVar[str]  # boto3's method

    @abstractmethod
    def parameters(self, resolved: Resolve) -> Json:
        """The parameters of the call."""

    @abstractmethod
    def __str__(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Creation(Change):
    """A change that makes something: later changes refer to it as `makes`."""

    makes: str

    @abstractmethod
    def made(self, answer: Mapping[str, Any]) -> str:
        """The new id or ARN, from the call's answer."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides of a comparison. `ids` are the ids of what the stack wants and the account has already."""

    stack: Stack
    existing: Existing
    settings: Settings
    ids: Mapping[str, str] = field(default_factory=dict)

    def id(self, reference: str) -> str:
        """The id if there is one, or the reference."""
        return self.ids.get(reference, reference)


def is_pending(reference: str) -> bool:
    """Whether something is referred to that a change has yet to make."""
    return not reference.startswith(("arn:", "sg-"))


def named(reference: str) -> str:
    """A short name for people: of an ARN, its last part."""
    return reference.rpartition(":")[2] if reference.startswith("arn:") else reference


def as_json(change: Change) -> Json:
    """The change as data. Pending ids are ``{"Ref": resource id}``; secrets are masked."""
    found: Json = {
        "change": type(change).__name__,
        "summary": str(change),
        "service": change.service,
        "operation": change.operation,
        "parameters": _masked(change.parameters(_printed)),
    }
    return found | ({"makes": change.makes} if isinstance(change, Creation) else {})


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


Changes: TypeAlias = Iterator[Change]
