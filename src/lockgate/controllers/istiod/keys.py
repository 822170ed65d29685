"""Fetches the keys by which gateways verify JWTs, as istiod does: it gives them to Envoy inside its configuration.

Keys are fetched when a policy names their place, again every 20 minutes, and sooner after a failure. Names of this edge
are reached as its clients and its Pods reach them: through the proxy, or at a Service's endpoints.

Source: istio/istio `pilot/pkg/model/jwks_resolver.go`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from lockgate.edge.objects import Objects
from lockgate.gateway.policies.keys import Fetched, KeyPlace
from lockgate.resources import core

log = logging.getLogger("lockgate.istiod")

REFRESH = 20 * 60.0  # s
FIRST_RETRY, LONGEST_RETRY = 1.0, 60.0  # s
MOST_BYTES = 1 << 20

Address = tuple[str, int]
ProxyTo = Callable[[str], Awaitable[str | None]]


class _Failed(Exception):
    """The message says why."""


class Keys:
    """`found` has the last answer of each place; it is another object after each change, of which `changed` is called.

    `trust` verifies certificates; `proxy_to` returns the proxy for a host, if any.
    """

    def __init__(
        self,
        changed: Callable[[], None],
        *,
        objects: Callable[[], Objects],
        trust: ssl.SSLContext | None = None,
        proxy_to: ProxyTo | None = None,
    ) -> None:
        self._changed = changed
        self._objects = objects
        self._trust = trust
        self._proxy_to = proxy_to
        self._tasks: dict[KeyPlace, asyncio.Task[None]] = {}
        self.found: Mapping[KeyPlace, Fetched] = {}

    def want(self, places: Iterable[KeyPlace], tasks: asyncio.TaskGroup) -> None:
        """Fetches the keys of these places from now on, and of no others."""
        desired = set(places)
        for place in self._tasks.keys() - desired:
            self._tasks.pop(place).cancel()
        if self.found.keys() - desired:
            self.found = {place: found for place, found in self.found.items() if place in desired}
        for place in desired - self._tasks.keys():
            self._tasks[place] = tasks.create_task(self._follow(place), name=f"keys at {place.uri}")

    async def _follow(self, place: KeyPlace) -> None:
        pause = FIRST_RETRY
        while True:
            try:
                found, rest = Fetched(await self._fetch(place)), REFRESH
                pause = FIRST_RETRY
            except _Failed as failed:
                earlier = self.found.get(place, Fetched())
                found, rest = Fetched(earlier.jwks, str(failed)), pause
                pause = min(pause * 2, LONGEST_RETRY)
            if self.found.get(place) != found:
                self.found = {**self.found, place: found}
                self._changed()
            await asyncio.sleep(rest)

    async def _fetch(self, place: KeyPlace) -> str:
        """Raises `_Failed`."""
        text = await self._get(place.uri, place.timeout)
        if not place.discovery:
            return text
        try:
            uri = json.loads(text)["jwks_uri"]
        except (ValueError, TypeError, KeyError):
            uri = None
        if not isinstance(uri, str):
            raise _Failed("the OpenID configuration has no jwks_uri")
        return await self._get(uri, place.timeout)

    async def _get(self, uri: str, timeout: float) -> str:
        import httpx

        parts = urlsplit(uri)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        inside = endpoint_of(self._objects(), host, port)
        proxy = await self._proxy_to(host) if self._proxy_to and inside is None else None
        headers = {"accept": "application/json"}
        extensions: dict[str, Any] = {}
        if inside is not None:
            headers["host"] = parts.netloc
            extensions["sni_hostname"] = host
            uri = urlunsplit(parts._replace(netloc=f"{inside[0]}:{inside[1]}"))
        try:
            async with (
                asyncio.timeout(timeout),  # for the whole exchange, so that a slow trickle of bytes also times out
                httpx.AsyncClient(timeout=timeout, verify=self._trust or True, proxy=proxy) as client,
                client.stream("GET", uri, headers=headers, extensions=extensions) as answer,
            ):
                body = b""
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > MOST_BYTES:
                        raise _Failed(f"the answer has more than {MOST_BYTES} bytes")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise _Failed(str(error) or type(error).__name__) from error
        if not 200 <= answer.status_code < 300:
            raise _Failed(f"status {answer.status_code}")
        return body.decode(errors="replace")


def endpoint_of(objects: Objects, host: str, port: int) -> Address | None:
    """An endpoint of a Service by its name in the cluster: ``keys.shop``, ``keys.shop.svc.cluster.local``."""
    name, _, rest = host.rstrip(".").partition(".")
    namespace, _, domain = rest.partition(".")
    if domain not in ("", "svc", "svc.cluster.local"):
        return None
    service = objects.get(core.Service, namespace, name)
    target = next((each for each in service.spec.ports if each.port == port), None) if service else None
    if target is None:
        return None
    for each in objects.all(core.EndpointSlice):
        if each.namespace == namespace and each.metadata.labels.get("kubernetes.io/service-name") == name:
            local = next((one.port for one in each.ports if (one.name or "") == (target.name or "")), None)
            address = next((one.addresses[0] for one in each.endpoints if one.addresses), None)
            if local is not None and address is not None:
                return address, local
    return None
