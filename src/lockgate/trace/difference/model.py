"""What differs between two edges, as values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from lockgate.trace.model import Request, Where

Covered: TypeAlias = Callable[[Request], bool]


@dataclass(frozen=True, slots=True)
class Change:
    """One part of an outcome, such as ``backend`` or ``timeout``, in both edges, in words."""

    aspect: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Side:
    """How one edge answers the witness, and the part of a manifest that decides."""

    answer: str
    where: Where = None


@dataclass(frozen=True, slots=True)
class RequestClass:
    """Requests that the edges treat differently, all in the same way.

    `hosts` are names, or "other names below …"; `ports` are ``https 443``. `conditions` are alternatives, each a
    sentence; empty means every request. `witness` is one of the requests.
    """

    hosts: tuple[str, ...]
    ports: tuple[str, ...]
    conditions: tuple[str, ...]
    changes: tuple[Change, ...]
    witness: Request
    old: Side
    new: Side
    every_host: bool = False
    breadth: float = 1.0
    """How much of one host's requests it covers: 1 is all of them. For the order only."""
    covered: tuple[Covered, ...] = field(default=(), repr=False, compare=False)

    def covers(self, request: Request) -> bool:
        """Whether a request is one of the class; also if only an assumption would tell."""
        return any(each(request) for each in self.covered)

    @property
    def requests(self) -> str:
        """The class in words."""
        hosts = "every host" if self.every_host else _listed(self.hosts)
        asked = "" if not self.conditions else ", " + "; or ".join(self.conditions)
        return f"{hosts}{asked}"


@dataclass(frozen=True, slots=True)
class Difference:
    """`classes` cover the most first. Without `undecided`, all other requests are proven to be treated equally."""

    classes: tuple[RequestClass, ...] = ()
    undecided: tuple[str, ...] = ()
    hosts: int = 0
    """How many names were compared."""

    @property
    def is_equal(self) -> bool:
        """Whether every request is treated equally, proven."""
        return not self.classes and not self.undecided


_SHOWN = 3


def _listed(names: tuple[str, ...]) -> str:
    if len(names) <= _SHOWN + 1:
        return ", ".join(names)
    return f"{', '.join(names[:_SHOWN])} and {len(names) - _SHOWN:,} more hosts"
