"""What stands behind the Pods of a running edge: their ports, and what they log."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lockgate.dataplane.envoy import Envoy
from lockgate.edge.istio_install import CONTROL_PLANE
from lockgate.edge.port_table import LOCAL_IPV4, SERVICE_NAME, Address
from lockgate.edge.workloads import NODE_ID
from lockgate.embedded.asgi import Application, Receive, Scope, Send, lifespan
from lockgate.embedded.http import serve
from lockgate.embedded.kubernetes.streaming.logs import Line
from lockgate.embedded.refusals import refuse
from lockgate.resources import core
from lockgate.runtime.control_plane import PAGES, XDS, ControlPlane

if TYPE_CHECKING:
    from lockgate.runtime.running import RunningEdge

ADMIN: Final = 15000  # Envoy's admin interface in Istio's Pods
METRICS: Final = (15020, 15090)  # for Prometheus: those of istio-proxy and of Envoy
_POLL_SECONDS: Final = 0.5
_PATIENCE: Final = 10.0  # s for Envoy to have its routes
_CHUNK: Final = 1 << 20
_TIME: Final = re.compile(r"\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?)")

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Pods:
    def __init__(self, edge: RunningEdge) -> None:
        self._edge = edge
        self._control_plane = ControlPlane(edge)
        self._metrics: dict[str, int] = {}  # local ports by node

    async def connect(self, pod: core.Pod, port: int) -> Pair:
        """Raises OSError, with the reason in words."""
        envoy = self._envoy(pod)
        if envoy is not None and port == ADMIN:
            if self._edge.external_istiod is None:
                await self._name_routes(envoy)
            return await asyncio.open_unix_connection(str(envoy.admin_socket))
        if envoy is not None and port in METRICS:
            return await asyncio.open_connection(LOCAL_IPV4, await self._metrics_port(envoy))
        if CONTROL_PLANE in pod.metadata.labels and (istiod := self._edge.external_istiod) and port in istiod.ports:
            return await asyncio.open_connection(LOCAL_IPV4, istiod.ports[port])
        if CONTROL_PLANE in pod.metadata.labels and (own := await self._control_plane.port(port, pod.name)):
            return await asyncio.open_connection(LOCAL_IPV4, own)
        ports = dict(await self._ports(pod))
        if port not in ports:
            own_ports = (*PAGES, XDS) if CONTROL_PLANE in pod.metadata.labels else ()
            there = sorted({*ports, *own_ports, *((ADMIN, *METRICS) if envoy else ())})
            listed = f"it has {', '.join(map(str, there))}" if there else "no Service leads to any port of it"
            raise OSError(f"nothing listens on port {port} of Pod {pod.namespace}/{pod.name}: {listed}")
        host, number = ports[port]
        try:
            return await asyncio.open_connection(host, number)
        except OSError as error:
            raise OSError(f"{host}:{number}, which answers for port {port}, refuses the connection: {error}") from error

    async def log(self, pod: core.Pod) -> AsyncIterator[Line | None]:
        if envoy := self._envoy(pod):
            async for line in _of_file(envoy.log_file):
                yield line
            return
        journals = [
            found for _, (_, number) in await self._ports(pod) if (found := self._edge.places.echo.journal(number))
        ]
        if not journals:
            said = next((each.message for each in pod.status.conditions if each.type == "lockgate.dev/StandIn"), "")
            yield Line(datetime.now(UTC), said or "Lockgate runs no containers.")
        arriving: asyncio.Queue[Line | None] = asyncio.Queue(1000)

        async def follow(index: int) -> None:
            async for found in journals[index].follow():
                await arriving.put(Line(*found) if found else None)

        tasks = [asyncio.create_task(follow(index)) for index in range(len(journals))]
        try:
            existing: list[Line] = []
            waiting = len(tasks)
            while waiting:
                line = await arriving.get()
                if line is None:
                    waiting -= 1
                else:
                    existing.append(line)
            for each in sorted(existing, key=lambda one: one.time):
                yield each
            yield None
            while True:
                if (line := await arriving.get()) is not None:
                    yield line
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _name_routes(self, envoy: Envoy) -> None:
        """Envoy's routes name their VirtualServices once somebody reads them, such as istioctl and Kiali."""
        with suppress(TimeoutError):  # what Envoy has is worth reading, too
            async with asyncio.timeout(_PATIENCE):
                await self._edge.istiod.name_routes()
                await self._edge.places.ads.settled(envoy.node)

    async def _metrics_port(self, envoy: Envoy) -> int:
        if envoy.node not in self._metrics:
            server = await serve(_pages(envoy))
            self._edge.closing(server.stop)
            self._metrics[envoy.node] = server.port
        return self._metrics[envoy.node]

    def _envoy(self, pod: core.Pod) -> Envoy | None:
        return self._edge.envoys.get(pod.metadata.annotations.get(NODE_ID, ""))

    async def _ports(self, pod: core.Pod) -> list[tuple[int, Address]]:
        """The Pod's ports, as its Services name them, and the addresses on this machine that answer for them."""
        store = self._edge.places.store
        services = {each.name: each for each in await store.list(core.Service, pod.namespace)}
        found: list[tuple[int, Address]] = []
        for each in await store.list(core.EndpointSlice, pod.namespace):
            service = services.get(each.metadata.labels.get(SERVICE_NAME, ""))
            if service is None or not any(_is_of(endpoint, pod) for endpoint in each.endpoints):
                continue
            numbers = {port.name or "": port.port for port in each.ports}
            for port in service.spec.ports:
                address = next((one.addresses[0] for one in each.endpoints if _is_of(one, pod)), LOCAL_IPV4)
                if (local := numbers.get(port.name or "")) is not None:
                    found.append((_number(port, pod), (address, local)))
        return found


def _pages(envoy: Envoy) -> Application:
    """The pages of a gateway's Pod for Prometheus and for probes."""

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await lifespan(receive, send)
            return
        inside = {"/stats/prometheus": "/stats/prometheus", "/healthz/ready": "/ready"}.get(scope["path"])
        if inside is None:
            await refuse(scope, send, 404, "this port has /stats/prometheus and /healthz/ready")
            return
        try:
            body = (await envoy.admin(inside)).encode()
        except OSError as error:
            await refuse(scope, send, 503, str(error))
            return
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answered


def _is_of(endpoint: core.Endpoint, pod: core.Pod) -> bool:
    reference = endpoint.target_ref
    return reference is not None and (reference.kind, reference.name) == ("Pod", pod.name)


def _number(port: core.ServicePort, pod: core.Pod) -> int:
    """The number of the Pod's port behind a Service port."""
    if isinstance(port.target_port, int) and port.target_port:
        return port.target_port
    named = (each for container in pod.spec.containers for each in container.ports if each.name == port.target_port)
    return next((each.container_port for each in named), port.port)


async def _of_file(path: Path) -> AsyncIterator[Line | None]:
    """The lines of a file, None, and then those that are appended. A file that became shorter is read again."""
    at, rest, told = 0, b"", False
    last = datetime.fromtimestamp(0, UTC)
    while True:
        size = path.stat().st_size if path.exists() else 0
        if size < at:
            at, rest = 0, b""
        while at < size:
            with path.open("rb") as file:
                file.seek(at)
                found = file.read(min(_CHUNK, size - at))
            at += len(found)
            *lines, rest = (rest + found).split(b"\n")
            for line in lines:
                text = line.decode("utf-8", "replace")
                last = _time_of(text) or last
                yield Line(last, text)
            await asyncio.sleep(0)
        if not told:
            told = True
            yield None
        await asyncio.sleep(_POLL_SECONDS)


def _time_of(text: str) -> datetime | None:
    if (match := _TIME.match(text)) is None:
        return None
    return datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
