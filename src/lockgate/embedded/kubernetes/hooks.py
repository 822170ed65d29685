"""Calls of webhooks over HTTPS, by URL or by Service, with the CA bundle of each.

Source: apiserver `pkg/util/webhook`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import ssl
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from lockgate.embedded.kubernetes.storage import Storage
from lockgate.resources import core
from lockgate.resources.model import JsonObject, ObjectKey

_LARGEST_ANSWER: Final = 16 * 1024 * 1024


class Unreachable(Exception):
    """Why a webhook could not be asked."""


class Hooks:
    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def post(self, client: JsonObject, body: JsonObject, seconds: int) -> object:
        """The JSON of the answer. `client` is a clientConfig. Raises `Unreachable`."""
        place = self._place(client)
        try:
            async with asyncio.timeout(seconds):
                return await _posted(client, place, json.dumps(body).encode(), seconds)
        except TimeoutError:
            raise Unreachable(f'Post "{place.url}?timeout={seconds}s": context deadline exceeded') from None

    def _place(self, client: JsonObject) -> _Place:
        if url := client.get("url"):
            parts = urlsplit(url)
            if parts.scheme != "https" or not parts.hostname:
                raise Unreachable(f'"{url}" is not an https URL')
            path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
            return _Place(parts.hostname, parts.port or 443, path, url, parts.hostname)
        service = client.get("service") or {}
        namespace, name, port = service.get("namespace", ""), service.get("name", ""), int(service.get("port") or 443)
        path = f"/{str(service.get('path') or '').lstrip('/')}"
        host, number = self._endpoint(namespace, name, port)
        server_name = f"{name}.{namespace}.svc"
        return _Place(host, number, path, f"https://{server_name}:{port}{path}", server_name)

    def _endpoint(self, namespace: str, name: str, port: int) -> tuple[str, int]:
        """A ready endpoint of a Service, as kube-apiserver finds one without kube-proxy."""
        stored = self._storage.get(ObjectKey("", "Service", namespace, name))
        if stored is None:
            raise Unreachable(f'service "{name}" not found')
        ports = stored.parsed(core.Service).spec.ports
        named = next((each.name for each in ports if each.port == port), None)
        if named is None:
            raise Unreachable(f'no service port {port} found for service "{name}"')
        for each in self._storage.all(core.EndpointSlice.KIND.group_kind, namespace):
            slice_ = each.parsed(core.EndpointSlice)
            if slice_.metadata.labels.get("kubernetes.io/service-name") != name:
                continue
            for endpoint in slice_.endpoints:
                number = next((one.port for one in slice_.ports if one.name == named and one.port), None)
                if number and endpoint.addresses and endpoint.conditions.ready is not False:
                    return endpoint.addresses[0], number
        raise Unreachable(f'no endpoints available for service "{name}"')


class _Place(NamedTuple):
    """Where to connect, the URL as messages have it, and the name in the certificate."""

    host: str
    port: int
    path: str
    url: str
    server_name: str


async def _posted(client: JsonObject, place: _Place, body: bytes, seconds: int) -> object:
    import httpx

    host = f"[{place.host}]" if ":" in place.host else place.host
    try:
        async with (
            httpx.AsyncClient(verify=_trust(client), trust_env=False, timeout=seconds) as session,
            session.stream(
                "POST",
                f"https://{host}:{place.port}{place.path}",
                params={"timeout": f"{seconds}s"} if "?" not in place.path else None,
                content=body,
                headers={"Content-Type": "application/json", "Accept": "application/json", "Host": place.server_name},
                extensions={"sni_hostname": place.server_name},
            ) as answer,
        ):
            text = b""
            async for chunk in answer.aiter_bytes():
                text += chunk
                if len(text) > _LARGEST_ANSWER:
                    raise Unreachable("the webhook's answer is too large")
    except (httpx.HTTPError, ssl.SSLError, OSError) as error:
        raise Unreachable(f'Post "{place.url}": {error or type(error).__name__}') from error
    if answer.status_code != 200:
        shown = text[:200].decode("utf-8", "replace").strip()
        raise Unreachable(f"the server answers {answer.status_code}: {shown}")
    try:
        found: object = json.loads(text)
    except ValueError as error:
        raise Unreachable(f"the webhook's answer is not JSON: {error}") from None
    return found


def _trust(client: JsonObject) -> ssl.SSLContext:
    bundle = client.get("caBundle")
    if not bundle:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cadata=base64.b64decode(bundle, validate=True).decode())
    except (binascii.Error, ValueError, ssl.SSLError) as error:
        raise Unreachable(f"its caBundle is not certificates in PEM: {error}") from None
