"""Fetches what the configuration of gateways takes from elsewhere, and follows it: keys of JWTs, WebAssembly modules.

Names of this edge are reached as its clients and its Pods reach them: through the proxy, or at a Service's endpoints.
A failure is tried again, after longer and longer pauses.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit, urlunsplit

from lockgate.edge.objects import Objects
from lockgate.resources import core

FIRST_RETRY, LONGEST_RETRY = 1.0, 60.0  # s

Address = tuple[str, int]
ProxyTo = Callable[[str], Awaitable[str | None]]
Place = TypeVar("Place")
Found = TypeVar("Found")


class Failed(Exception):
    """The message says why."""


@dataclass(frozen=True, slots=True)
class Network:
    """How servers are reached. `trust` verifies certificates; `proxy_to` returns the proxy for a host, if any."""

    objects: Callable[[], Objects]
    trust: ssl.SSLContext | None = None
    proxy_to: ProxyTo | None = None

    async def get(self, uri: str, *, timeout: float, most: int, accept: str = "*/*") -> bytes:
        """The body of an answer. Raises `Failed`."""
        import httpx

        parts = urlsplit(uri)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        inside = endpoint_of(self.objects(), host, port)
        proxy = await self.proxy_to(host) if self.proxy_to and inside is None else None
        headers = {"accept": accept}
        extensions: dict[str, Any] = {}
        if inside is not None:
            headers["host"] = parts.netloc
            extensions["sni_hostname"] = host
            uri = urlunsplit(parts._replace(netloc=f"{inside[0]}:{inside[1]}"))
        try:
            async with (
                asyncio.timeout(timeout),  # for the whole exchange, so that a slow trickle of bytes also times out
                httpx.AsyncClient(timeout=timeout, verify=self.trust or True, proxy=proxy) as client,
                client.stream("GET", uri, headers=headers, extensions=extensions) as answer,
            ):
                body = bytearray()
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > most:
                        raise Failed(f"the answer has more than {most} bytes")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise Failed(str(error) or type(error).__name__) from error
        if not 200 <= answer.status_code < 300:
            raise Failed(f"status {answer.status_code}")
        return bytes(body)


class Followed(Generic[Place, Found]):
    """`found` has the last answer of each place; it is another object after each change, of which `changed` is called.

    `fetch` gets the answer, or raises `Failed`; `failed` makes one of a reason and of the answer before. An answer is
    fetched again after `refresh` seconds, or never.
    """

    def __init__(
        self,
        changed: Callable[[], None],
        fetch: Callable[[Place], Awaitable[Found]],
        failed: Callable[[str, Found | None], Found],
        refresh: float | None = None,
    ) -> None:
        self._changed = changed
        self._fetch = fetch
        self._failed = failed
        self._refresh = refresh
        self._tasks: dict[Place, asyncio.Task[None]] = {}
        self.found: Mapping[Place, Found] = {}

    def want(self, places: Iterable[Place], tasks: asyncio.TaskGroup) -> None:
        """Follows these places from now on, and no others."""
        desired = set(places)
        for place in self._tasks.keys() - desired:
            self._tasks.pop(place).cancel()
        if self.found.keys() - desired:
            self.found = {place: found for place, found in self.found.items() if place in desired}
        for place in desired - self._tasks.keys():
            self._tasks[place] = tasks.create_task(self._follow(place), name=f"{place}")

    async def _follow(self, place: Place) -> None:
        pause = FIRST_RETRY
        while True:
            rest: float | None
            try:
                found, rest = await self._fetch(place), self._refresh
                pause = FIRST_RETRY
            except Failed as failed:
                found, rest = self._failed(str(failed), self.found.get(place)), pause
                pause = min(pause * 2, LONGEST_RETRY)
            if self.found.get(place) != found:
                self.found = {**self.found, place: found}
                self._changed()
            if rest is None:
                return
            await asyncio.sleep(rest)


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
