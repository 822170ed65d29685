"""A cause: why a request ended as it did, who owns the fault, and what to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from lockgate.probe.evidence import Evidence

Owner: TypeAlias = Literal[
    "DNS", "network", "certificate", "load balancer", "web ACL", "gateway", "cluster", "backend", "client"
]


@dataclass(frozen=True, slots=True)
class Cause:
    """`name` is stable, for programs. It is `confirmed` when an API or a log says so, and likely otherwise.

    `because` are the observations and the evidence that lead to it; `at` is ``file:line:column`` if a manifest decides.
    """

    name: str
    owner: Owner
    says: str
    fix: str = ""
    confirmed: bool = False
    because: tuple[str, ...] = ()
    at: str = ""
    warning: bool = False
    """The request was answered well; this will end otherwise before long."""


def with_prediction(cause: Cause, known: Evidence, status: int | None) -> Cause:
    """Adds what `trace` says, where it expects the same end."""
    ending = known.ending
    if ending is None or ending["status"] != status or not ending["cause"]:
        return cause
    return replace(
        cause,
        fix=ending["fix"] or cause.fix,
        because=(*cause.because, f"trace predicts it: {ending['cause']}"),
        at=ending["at"] or cause.at,
        confirmed=True,
    )
