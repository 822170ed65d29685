"""One event of a watch, as both back ends of the Kubernetes client deliver it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal

from lockgate.resources.model import ResourceT


@dataclass(frozen=True, slots=True)
class Change(Generic[ResourceT]):
    """`SYNCED` has no object: all objects that existed at the start have been sent."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "SYNCED"]
    object: ResourceT | None
