"""The Kubernetes client that controllers use: small, so that a store in this process and a real cluster both fit it.

The embedded API's store satisfies `Kubernetes` by shape; a back end on kr8s does for a real cluster.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from lockgate.resources.changes import Change
from lockgate.resources.model import JsonObject, Resource, ResourceT


class Kubernetes(Protocol):
    """All methods raise `resources.status.ApiError`."""

    async def get(self, kind: type[ResourceT], name: str, namespace: str = "") -> ResourceT: ...

    async def list(
        self, kind: type[ResourceT], namespace: str = "", labels: Mapping[str, str] | None = None
    ) -> list[ResourceT]:
        """Objects of a kind, sorted by namespace and name; `namespace` "" means all, `labels` must all be equal."""
        ...

    def watch(self, kind: type[ResourceT]) -> AsyncIterator[Change[ResourceT]]:
        """Everything that exists as ADDED, then SYNCED, then changes as they come. Re-lists by itself when it lags."""
        ...

    async def create(self, manifest: JsonObject) -> JsonObject: ...

    async def apply(self, manifest: JsonObject, *, manager: str) -> JsonObject:
        """Server-side apply with force: exactly the fields in `manifest` become `manager`'s. A no-op writes nothing."""
        ...

    async def patch(self, kind: type[Resource], name: str, namespace: str, patch: JsonObject) -> JsonObject:
        """A JSON merge patch on everything but status."""
        ...

    async def patch_status(self, kind: type[Resource], name: str, namespace: str, status: JsonObject) -> JsonObject:
        """A JSON merge patch of `status`. A no-op writes nothing."""
        ...

    async def delete(self, kind: type[Resource], name: str, namespace: str = "") -> None: ...

    async def create_token(self, name: str, namespace: str, audiences: Sequence[str], seconds: int) -> str:
        """A token of a service account, as TokenRequest gives it; `seconds` is at least 600."""
        ...


__all__ = ["Change", "Kubernetes"]
