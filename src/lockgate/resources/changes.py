"""One step of a watch, as both back ends of the Kubernetes client deliver it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal

from lockgate.resources.model import ResourceT


@dataclass(frozen=True, slots=True)
class Change(Generic[ResourceT]):
    """`SYNCED` carries no object: everything that existed at the start has been sent."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "SYNCED"]
    object: ResourceT | None
