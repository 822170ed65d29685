"""A predicted request, as a test reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, repr=False)
class Trace:
    """`value` is what `lockgate trace --output json` prints; `str()` is what `lockgate trace` prints."""

    value: Mapping[str, Any]

    @property
    def status(self) -> int | None:
        """The status of an answer that the edge gives; None where the backend answers, or nobody does."""
        status: int | None = self.value["ending"]["status"]
        return status

    @property
    def by(self) -> str:
        """Who answers: `dns`, `load balancer`, `gateway` or `backend`."""
        by: str = self.value["ending"]["by"]
        return by

    @property
    def backend(self) -> str | None:
        """The backend that answers, as ``namespace/service:port``."""
        backend: str | None = self.value["ending"]["backend"]
        return backend

    @property
    def location(self) -> str | None:
        """Where a redirect leads."""
        location: str | None = self.value["ending"]["location"]
        return location

    @property
    def cause(self) -> str | None:
        """Why the request ends in an error, in one sentence."""
        cause: str | None = self.value["ending"]["cause"]
        return cause

    @property
    def fix(self) -> str | None:
        """What to change, where there is a cause."""
        fix: str | None = self.value["ending"]["fix"]
        return fix

    @property
    def at(self) -> str | None:
        """The line of the manifest to which `cause` belongs, as ``file:line:column``."""
        at: str | None = self.value["ending"]["at"]
        return at

    @property
    def hops(self) -> Sequence[Mapping[str, Any]]:
        hops: Sequence[Mapping[str, Any]] = self.value["hops"]
        return hops

    def hop(self, name: str) -> Mapping[str, Any]:
        """The first hop of this name, such as `rule` or `route`. Raises KeyError."""
        for each in self.hops:
            if each["hop"] == name:
                return each
        raise KeyError(f"no hop {name!r}; there are {', '.join(each['hop'] for each in self.hops)}")

    @property
    def followed(self) -> Trace | None:
        """The request after a redirect, with `follow`."""
        followed = self.value["followed"]
        return Trace(followed) if followed is not None else None

    def __str__(self) -> str:
        from lockgate.trace import text

        return "\n".join(text.lines(dict(self.value)))

    def __repr__(self) -> str:
        asked = self.value["request"]
        return (
            f"<Trace {asked['method']} {asked['url']} → {self.cause or self.location or self.backend or self.status}>"
        )
