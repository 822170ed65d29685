"""A real cluster's API: plain JSON in and out, so that no field is lost in a diff.

lightkube brings the connection: TLS, client certificates, tokens, and exec plugins, which run again after a 401. Calls
that a busy API server refuses are repeated with growing pauses and jitter.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lockgate.deploy.kubeconfig import Context
from lockgate.deploy.planning.seen import MANAGER, Served
from lockgate.errors import CommandError
from lockgate.resources.model import JsonObject
from lockgate.resources.status import ApiError

if TYPE_CHECKING:
    import httpx2

_PAGE: Final = 500
_SECONDS: Final = 30.0
_TRIES: Final = 6
_BUSY: Final = frozenset({429, 502, 503, 504})
_METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_DISCOVERY: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


class Unreachable(CommandError):
    """The API server does not answer."""

    hint = "check the context, the network, and whether the cluster's endpoint is public"


class NotAccepted(CommandError):
    """The API server does not know who asks."""

    hint = "sign in again, or let an access entry of EKS map your IAM identity"


class Refused(ApiError):
    """An error of the API server. `causes` are the fields at fault."""

    def __init__(self, code: int, reason: str, message: str, causes: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(message)
        self.code, self.reason, self.causes = code, reason, tuple(causes)

    @property
    def conflicts(self) -> tuple[tuple[str, str], ...]:
        """The fields that other field managers own, each with its manager."""
        found = (each for each in self.causes if each.get("reason") == "FieldManagerConflict")
        return tuple((each.get("field", ""), _manager(each.get("message", ""))) for each in found)


def _manager(message: str) -> str:
    match = re.search(r'conflict with "([^"]*)"', message)
    return match[1] if match else "another manager"


@dataclass(slots=True)
class Cluster:
    """An open connection. `calls` counts requests by verb and resource."""

    context: Context
    calls: dict[str, int] = field(default_factory=dict)
    _client: httpx2.AsyncClient | None = None
    _limit: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(16))

    async def __aenter__(self) -> Cluster:
        from httpx2 import Timeout
        from lightkube.config.client_adapter import AsyncClient, ConnectionParams

        # A proxy or a CA of the environment is for other hosts: the kubeconfig says all about the cluster.
        self._client = AsyncClient(self.context.config, ConnectionParams(timeout=Timeout(_SECONDS), trust_env=False))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def version(self) -> str:
        """Such as ``v1.32.4``."""
        return str((await self._call("get/version", "GET", "/version"))["gitVersion"])

    async def served(self) -> dict[tuple[str, str], Served]:
        """All kinds outside the core group, by group and kind."""
        answer = await self._call("get/apis", "GET", "/apis", headers={"Accept": _DISCOVERY})
        found: dict[tuple[str, str], Served] = {}
        for group in answer.get("items") or ():
            name = group["metadata"]["name"]
            for version in group.get("versions") or ():
                for each in version.get("resources") or ():
                    kind = (each.get("responseKind") or {}).get("kind", "")
                    before = found.get((name, kind))
                    versions = (*(before.versions if before else ()), version["version"])
                    found[name, kind] = Served(
                        name, kind, each["resource"], each.get("scope") == "Namespaced", versions
                    )
        return found

    async def objects(
        self, api_version: str, plural: str, *, namespace: str = "", labels: str = "", metadata_only: bool = False
    ) -> list[JsonObject]:
        """All objects of a kind, in one or all namespaces; `labels` is a selector. Raises `Refused`."""
        found: list[JsonObject] = []
        query: dict[str, str] = {"limit": str(_PAGE), **({"labelSelector": labels} if labels else {})}
        headers = {"Accept": _METADATA} if metadata_only else {}
        while True:
            path = f"{_root(api_version)}{_within(namespace)}/{plural}"
            answer = await self._call(f"list/{plural}", "GET", path, query=query, headers=headers)
            found += answer.get("items") or ()
            if not (more := (answer.get("metadata") or {}).get("continue")):
                return found
            query = {**query, "continue": more}

    async def get(self, api_version: str, plural: str, name: str, namespace: str = "") -> JsonObject | None:
        """None if it does not exist. Raises `Refused`."""
        try:
            return await self._call(f"get/{plural}", "GET", _path(api_version, plural, name, namespace))
        except Refused as error:
            if error.code == 404:
                return None
            raise

    async def log(self, namespace: str, pod: str, container: str, *, since_seconds: int, lines: int) -> str:
        """The last lines of a container's log. Raises `Refused`."""
        query = {"container": container, "sinceSeconds": str(since_seconds), "tailLines": str(lines)}
        path = f"{_path('v1', 'pods', pod, namespace)}/log"
        return (await self._send("get/pods/log", "GET", path, query=query)).text

    async def apply(
        self, manifest: JsonObject, plural: str, *, dry_run: bool = False, force: bool = False, manager: str = MANAGER
    ) -> JsonObject:
        """Server-side apply: the field manager owns exactly the fields in `manifest`. Raises `Refused`."""
        metadata = manifest["metadata"]
        query = {"fieldManager": manager, "fieldValidation": "Strict", "force": str(force).lower()}
        if dry_run:
            query["dryRun"] = "All"
        path = _path(manifest["apiVersion"], plural, metadata["name"], metadata.get("namespace", ""))
        headers = {"Content-Type": "application/apply-patch+yaml"}
        return await self._call(f"patch/{plural}", "PATCH", path, query=query, headers=headers, body=manifest)

    async def patch(
        self, api_version: str, plural: str, name: str, namespace: str, patch: JsonObject | list[JsonObject]
    ) -> JsonObject:
        """A JSON merge patch, or with a list a JSON patch. Raises `Refused`."""
        kind = "json-patch" if isinstance(patch, list) else "merge-patch"
        headers = {"Content-Type": f"application/{kind}+json"}
        path, query = _path(api_version, plural, name, namespace), {"fieldManager": MANAGER}
        return await self._call(f"patch/{plural}", "PATCH", path, query=query, headers=headers, body=patch)

    async def delete(self, api_version: str, plural: str, name: str, namespace: str = "") -> bool:
        """False if it does not exist. Raises `Refused`."""
        try:
            await self._call(f"delete/{plural}", "DELETE", _path(api_version, plural, name, namespace))
        except Refused as error:
            if error.code == 404:
                return False
            raise
        return True

    async def _call(
        self,
        what: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> JsonObject:
        read: JsonObject = (await self._send(what, method, path, query=query, headers=headers, body=body)).json()
        return read

    async def _send(
        self,
        what: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> httpx2.Response:
        import httpx2
        from lightkube.core.exceptions import ConfigError

        assert self._client is not None, "not open"
        user = self.context.config.user
        has_plugin = user is not None and user.exec is not None
        self.calls[what] = self.calls.get(what, 0) + 1
        for attempt in range(_TRIES):
            try:
                async with self._limit:
                    answer = await self._client.request(method, path, params=query, headers=headers, json=body)
            except ConfigError as error:
                raise Unreachable(f"the credentials of {self.context.name}: {error}") from None
            except httpx2.TransportError as error:
                if attempt == _TRIES - 1 or isinstance(error, httpx2.ConnectError):
                    raise Unreachable(f"{self.context.server}: {error or type(error).__name__}") from None
            else:
                # A plugin may have had an old token: lightkube asks it for another one after a 401.
                again = answer.status_code in _BUSY or (answer.status_code == 401 and attempt == 0 and has_plugin)
                if not again or attempt == _TRIES - 1:
                    break
            await asyncio.sleep(random.uniform(0, min(0.2 * 2**attempt, 5.0)))  # noqa: S311  jitter is no secret
        if answer.status_code == 401:
            raise NotAccepted(f"{self.context.server} does not accept the credentials of {self.context.name}")
        if answer.status_code >= 400:
            raise _refused(answer)
        return answer


def _refused(answer: httpx2.Response) -> Refused:
    try:
        status = answer.json()
        details = status.get("details") or {}
        return Refused(
            answer.status_code, str(status.get("reason", "")), str(status["message"]), details.get("causes") or ()
        )
    except (ValueError, KeyError, AttributeError):
        return Refused(answer.status_code, "", f"HTTP {answer.status_code} {answer.reason_phrase}")


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _path(api_version: str, plural: str, name: str, namespace: str) -> str:
    return f"{_root(api_version)}{_within(namespace)}/{plural}/{name}"


def _within(namespace: str) -> str:
    return f"/namespaces/{namespace}" if namespace else ""
