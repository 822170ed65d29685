"""The Kubernetes client interface of controllers: small, so that an in-process store and a real cluster can provide it.

The embedded API's store implements `Kubernetes` structurally; a back end with kr8s does so for a real cluster.
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
        """Objects of a kind, sorted by namespace and name; `namespace` "" means all; all `labels` must match."""
        ...

    def watch(self, kind: type[ResourceT]) -> AsyncIterator[Change[ResourceT]]:
        """All existing objects as ADDED, then SYNCED, then changes. Lists again if it falls behind."""
        ...

    async def create(self, manifest: JsonObject) -> JsonObject: ...

    async def apply(self, manifest: JsonObject, *, manager: str) -> JsonObject:
        """Server-side apply with force: `manager` owns exactly the fields in `manifest`. A no-op writes nothing."""
        ...

    async def patch(self, kind: type[Resource], name: str, namespace: str, patch: JsonObject) -> JsonObject:
        """A JSON merge patch of everything except status."""
        ...

    async def patch_status(self, kind: type[Resource], name: str, namespace: str, status: JsonObject) -> JsonObject:
        """A JSON merge patch of `status`. A no-op writes nothing."""
        ...

    async def delete(self, kind: type[Resource], name: str, namespace: str = "") -> None: ...

    async def create_token(self, name: str, namespace: str, audiences: Sequence[str], seconds: int) -> str:
        """A service account's token, as from TokenRequest; `seconds` is at least 600."""
        ...


__all__ = ["Change", "Kubernetes"]
