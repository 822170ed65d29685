"""Clients that watch a kind while it is written: how fast, whether each sees all changes in order, what memory stays.

200 clients watch ConfigMaps, and others change them 10,000 times. The watchers and the writers run in this process, the
API in that of an edge.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from benchmarks.running import EXAMPLE, Figures, Running, edge

WATCHERS, WRITERS, WRITES, OBJECTS = 200, 8, 10_000, 100
LISTED = 10_000
_PATH = "/api/v1/namespaces/default/configmaps"
_REVISION = re.compile(rb'"resourceVersion":"(\d+)"')
_PATIENCE = 300.0


def run(watchers: int = WATCHERS, writes: int = WRITES, listed: int = LISTED) -> Figures:
    with edge(path=EXAMPLE) as running:
        running.wait_until_ready()
        figures = asyncio.run(_watched(running, watchers, writes))
        figures |= _listed(running, listed)
    return figures


async def _watched(running: Running, watchers: int, writes: int) -> Figures:
    connections = _Connections(running)
    for number in range(OBJECTS):
        await connections.ask("POST", _PATH, {"metadata": {"name": f"watched-{number}"}, "data": {"n": "0"}})
    before = _resident(running)
    seen: list[list[int]] = [[] for _ in range(watchers)]
    tasks = [asyncio.create_task(_watch(connections, each)) for each in seen]
    await _until(lambda: all(len(each) == OBJECTS for each in seen))
    spent, began = _cpu(running), time.monotonic()
    await asyncio.gather(*(_write(connections, writer, writes // WRITERS) for writer in range(WRITERS)))
    took = time.monotonic() - began
    total = OBJECTS + writes // WRITERS * WRITERS
    await _until(lambda: all(len(each) == total for each in seen))
    caught_up, peak = time.monotonic() - began, _resident(running)
    used = _cpu(running) - spent
    complete = sum(len(each) == total and each[OBJECTS:] == sorted(set(each[OBJECTS:])) for each in seen)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(3)
    return {
        f"{writes} writes beside {watchers} watchers": f"{took:.1f} s, {writes / took:.0f}/s; CPU {used:.1f} s",
        "events that reached watchers": f"{sum(map(len, seen))}, the last {caught_up - took:.1f} s after its write",
        "watchers that saw every change in order": f"{complete} of {watchers}",
        "memory before, at the end, 3 s after the last left": f"{before:.0f}, {peak:.0f}, {_resident(running):.0f} MB",
    }


def _listed(running: Running, objects: int) -> Figures:
    connections = _Connections(running)

    async def fill() -> None:
        async def some(start: int) -> None:
            reader, writer = await connections.open()
            for number in range(start, objects, WRITERS):
                body = {"metadata": {"name": f"listed-{number:05}"}, "data": {"key": "value" * 10}}
                await _exchange(reader, writer, connections.request("POST", _PATH, body))
            writer.close()

        await asyncio.gather(*(some(start) for start in range(WRITERS)))

    asyncio.run(fill())
    figures: Figures = {}
    for what, more in (("a table", []), ("a table in one page", ["--chunk-size=0"]), ("JSON", ["-o", "json"])):
        spent, began = _cpu(running), time.monotonic()
        command = ["kubectl", "get", "configmaps", *more]
        environment = {"KUBECONFIG": connections.kubeconfig, "PATH": "/usr/bin:/bin", "HOME": str(running.home)}
        own = _children()
        shown = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
        took, kubectl, api = time.monotonic() - began, _children() - own, _cpu(running) - spent
        figures[f"kubectl lists {objects} ConfigMaps as {what}"] = (
            f"{took:.1f} s; CPU of kubectl {kubectl:.1f} s, of the API {api:.1f} s ({len(shown) >> 10} KB shown)"
        )
    return figures


class _Connections:
    def __init__(self, running: Running) -> None:
        about = running.about()
        self.kubeconfig = about["files"]["kubeconfig"]
        self._token = yaml.safe_load(Path(self.kubeconfig).read_text())["users"][0]["user"]["token"]
        self._at = urlsplit(about["addresses"]["kubernetes"])
        self._trust = ssl.create_default_context(cafile=about["files"]["ca_bundle"])

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self._at.hostname, self._at.port, ssl=self._trust, limit=1 << 22)

    def request(self, method: str, path: str, body: object = None) -> bytes:
        text = b"" if body is None else json.dumps(body).encode()
        media = "application/merge-patch+json" if method == "PATCH" else "application/json"
        return (
            f"{method} {path} HTTP/1.1\r\nHost: {self._at.netloc}\r\nAuthorization: Bearer {self._token}\r\n"
            f"Content-Type: {media}\r\nContent-Length: {len(text)}\r\n\r\n"
        ).encode() + text

    async def ask(self, method: str, path: str, body: object) -> None:
        reader, writer = await self.open()
        await _exchange(reader, writer, self.request(method, path, body))
        writer.close()


async def _until(met: Callable[[], bool]) -> None:
    """Gives up after a while. The figures then show what is missing."""
    deadline = time.monotonic() + _PATIENCE
    while not met() and time.monotonic() < deadline:  # noqa: ASYNC110  it polls what other tasks count
        await asyncio.sleep(0.05)


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    if head.split(b" ")[1] not in (b"200", b"201"):
        raise SystemExit(head.decode())
    size = re.search(rb"(?i)content-length: (\d+)", head)
    await reader.readexactly(int(size[1]) if size else 0)


async def _write(connections: _Connections, writer: int, writes: int) -> None:
    reader, sink = await connections.open()
    for number in range(writes):
        path = f"{_PATH}/watched-{(number * WRITERS + writer) % OBJECTS}"
        await _exchange(reader, sink, connections.request("PATCH", path, {"data": {"n": f"{writer}-{number}"}}))
    sink.close()


async def _watch(connections: _Connections, seen: list[int]) -> None:
    reader, writer = await connections.open()
    try:
        writer.write(connections.request("GET", f"{_PATH}?watch=1&fieldSelector=metadata.name!=kube-root-ca.crt"))
        left = b""
        while chunk := await reader.read(1 << 18):
            *lines, left = (left + chunk).split(b"\n")
            seen.extend(
                int(found[1]) for line in lines if b'"name":"watched-' in line and (found := _REVISION.search(line))
            )
    finally:
        writer.close()


def _resident(running: Running) -> float:
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu(running: Running) -> float:
    ticks = Path(f"/proc/{running.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(ticks[11]) + int(ticks[12])) / 100
