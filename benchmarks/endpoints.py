"""How long until a changed endpoint is served: 1,000 Services with ten endpoints each, of which one moves.

From the write of an EndpointSlice in the Kubernetes API to the first response of the new endpoint, through istiod, the
configuration stream and Envoy. A manifest cannot name an endpoint on this machine, so no whole edge runs here. As
Envoy chooses among ten endpoints, about ten requests are part of each figure.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.memory import pss
from benchmarks.running import Figures, percentile, spread
from benchmarks.scale import cpu_of
from lockgate.controllers.istiod import Istiod
from lockgate.dataplane.ads import AdsServer
from lockgate.dataplane.envoy import Envoy, find_envoy
from lockgate.edge.workloads import NODE_ID, PROXY_LABEL
from lockgate.embedded.http import listen
from lockgate.embedded.kubernetes.store import Store
from lockgate.resources.model import JsonObject

SERVICES, ENDPOINTS, CHANGES = 1_000, 10, 30
_TRIES = 2_000  # until the gateway serves
_REST = 0.3  # s between changes
_LABELS = {"istio": "ingressgateway"}
_MOVED = SERVICES // 2  # the Service whose endpoints answer


def run() -> Figures:
    return asyncio.run(_measured())


async def _measured() -> Figures:
    async with _backends() as port, _gateway(port) as (store, envoy, at):
        for _ in range(_TRIES):
            if await _answer(at):
                break
            await asyncio.sleep(0.05)
        samples: list[float] = []
        began, before = time.process_time(), cpu_of(envoy.pid or 0)
        for change in range(CHANGES):
            address = _moved_to(change)
            started = time.monotonic()
            await store.apply(_slice(_MOVED, [*_addresses()[1:], address], port), manager="endpoints")
            while await _answer(at) != address:
                pass
            samples.append((time.monotonic() - started) * 1000)
            await asyncio.sleep(_REST)
        used = (time.process_time() - began) / CHANGES * 1000
        of_envoy = (cpu_of(envoy.pid or 0) - before) / CHANGES * 1000
        return {
            "changed endpoint to served": spread(samples, "ms", 0),
            "  95th percentile": f"{percentile(samples, 0.95):.0f} ms",
            "CPU time of istiod, the API and the client": f"{used:.0f} ms",
            "CPU time of Envoy": f"{of_envoy:.0f} ms",
            "memory of Envoy": f"{pss(envoy.pid or 0):.0f} MiB",
        }


@asynccontextmanager
async def _backends() -> AsyncIterator[int]:
    """Servers at all addresses of the endpoints that move, on one port. Each responds with its address."""
    with listen("127.0.0.1", 0) as free:
        port: int = free.getsockname()[1]
        hosts = [*_addresses(), *map(_moved_to, range(CHANGES))]
        server = await asyncio.start_server(_respond, hosts, port)
    try:
        yield port
    finally:
        server.close()


async def _respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            text = writer.get_extra_info("sockname")[0].encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(text), text))
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


@asynccontextmanager
async def _gateway(port: int) -> AsyncIterator[tuple[Store, Envoy, int]]:
    """The API with everything in it, the gateway's Envoy, and the port on which it listens."""
    store = Store()
    with listen("127.0.0.1", 0) as free:
        own: int = free.getsockname()[1]
    for manifest in _manifests(port, own):
        await store.apply(manifest, manager="benchmark")
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "ads.sock"
        ads = AdsServer(lambda rejection: print(rejection))
        await ads.start(socket)
        envoy = Envoy("gateway", runtime=Path(folder), ads_socket=socket, binary=find_envoy())
        istiod = Istiod(store, publish=ads.publish, modules_folder=Path(folder))
        tasks = [asyncio.create_task(envoy.run()), asyncio.create_task(istiod.run())]
        try:
            yield store, envoy, own
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await ads.stop()


async def _answer(port: int) -> str:
    """The body of the response; "" if there is none yet."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return ""
    writer.write(b"GET / HTTP/1.1\r\nhost: app-%d.towpath.example\r\nconnection: close\r\n\r\n" % _MOVED)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return body.decode() if b" 200 " in head.split(b"\r\n")[0] else ""


def _addresses() -> list[str]:
    return [f"127.0.1.{number + 1}" for number in range(ENDPOINTS)]


def _moved_to(change: int) -> str:
    return f"127.0.2.{change + 1}"


def _manifests(port: int, own: int) -> list[JsonObject]:
    made: list[JsonObject] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}}]
    pod = _object("v1", "Pod", "gateway", {"containers": [{"name": "istio-proxy", "image": "proxyv2"}]})
    pod["metadata"] |= {"labels": {**_LABELS, PROXY_LABEL: "istio"}, "annotations": {NODE_ID: "gateway"}}
    made.append(pod)
    made.append(_object("v1", "Service", "gateway", {"selector": _LABELS, "ports": [{"name": "http", "port": 80}]}))
    made.append(_endpoints("gateway", ["127.0.0.1"], own))
    server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
    made.append(_object("networking.istio.io/v1", "Gateway", "edge", {"selector": _LABELS, "servers": [server]}))
    for number in range(SERVICES):
        name = f"app-{number}"
        made.append(_object("v1", "Service", name, {"ports": [{"name": "http", "port": 80}]}))
        made.append(_slice(number, _addresses(), port))
        spec = {
            "hosts": [f"{name}.towpath.example"],
            "gateways": ["edge"],
            "http": [{"route": [{"destination": {"host": name}}]}],
        }
        made.append(_object("networking.istio.io/v1", "VirtualService", name, spec))
    return made


def _object(api_version: str, kind: str, name: str, spec: dict[str, Any]) -> JsonObject:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _slice(number: int, addresses: list[str], port: int) -> JsonObject:
    return _endpoints(f"app-{number}", addresses, port)


def _endpoints(service: str, addresses: list[str], port: int) -> JsonObject:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{service}-1", "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address]} for address in addresses],
        "ports": [{"name": "http", "port": port}],
    }
