"""Lets a server take over a connection whose first request upgrades to another protocol than HTTP/2 or WebSocket.

hypercorn has no such hook, so the connection is looked at before hypercorn gets it: the head of its first request is
read, and given back unless it upgrades. Clients that upgrade open a connection for it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from lockgate.embedded.memory import give_back

_LONGEST_HEAD = 64 * 1024
_MANY = 50  # closed connections whose memory is worth returning: each had some 300 KB
_SOON = 1.0  # s


@dataclass(frozen=True, slots=True)
class Upgrading:
    """A request that upgrades. Header names are in lower case. `rest` was read after its head."""

    method: str
    target: str
    headers: dict[str, str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    rest: bytes


TakeOver: TypeAlias = Callable[[Upgrading], Awaitable[None]]


async def serve_with_upgrades(
    application: Any,
    config: Any,
    sock: Any,
    tls: ssl.SSLContext | None,
    protocol: str,
    take_over: TakeOver,
    stopping: asyncio.Event,
) -> None:
    """As hypercorn's `serve`, on a listening socket until `stopping`. `take_over` gets the connections that upgrade to
    `protocol` (in lower case)."""
    from hypercorn.asyncio.worker_context import WorkerContext
    from hypercorn.utils import wrap_app

    from lockgate.embedded.connections import Connection

    loop, context = asyncio.get_running_loop(), WorkerContext(None)
    wrapped = wrap_app(application, config.wsgi_max_body_size, "asgi")
    connections: set[asyncio.Task[None]] = set()
    closed = 0

    def ended(task: asyncio.Task[None]) -> None:
        nonlocal closed
        connections.discard(task)
        closed += 1
        if closed % _MANY == 0:
            loop.call_later(_SOON, give_back)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        task.add_done_callback(ended)
        try:
            head = await asyncio.wait_for(_head(reader), config.keep_alive_timeout)
            upgrading = _upgrading(head, reader, writer, protocol)
            if upgrading is not None:
                await take_over(upgrading)
        except (OSError, TimeoutError, ssl.SSLError):
            upgrading, head = None, b""
        if upgrading is None and head:
            again = cast(asyncio.StreamReader, _Again(head, reader))
            await Connection(wrapped, loop, config, context, {}, again, writer)
            return
        with suppress(OSError, ssl.SSLError):
            writer.close()

    server = await asyncio.start_server(connected, sock=sock, ssl=tls, backlog=config.backlog)
    try:
        await stopping.wait()
    finally:
        await context.terminated.set()
        server.close()
        if connections:
            await asyncio.wait(connections, timeout=config.graceful_timeout)
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


class _Again:
    """A reader that first returns what was read before: the two methods that hypercorn calls."""

    def __init__(self, head: bytes, reader: asyncio.StreamReader) -> None:
        self._head = head
        self._reader = reader

    def at_eof(self) -> bool:
        return not self._head and self._reader.at_eof()

    async def read(self, size: int) -> bytes:
        if self._head:
            head, self._head = self._head[:size], self._head[size:]
            return head
        return await self._reader.read(size)


async def _head(reader: asyncio.StreamReader) -> bytes:
    """The first bytes up to the end of an HTTP/1.1 head, or what there is of anything else."""
    found = b""
    while b"\r\n\r\n" not in found and len(found) < _LONGEST_HEAD:
        part = await reader.read(_LONGEST_HEAD)
        if not part:
            break
        found += part
    return found


def _upgrading(
    head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, protocol: str
) -> Upgrading | None:
    if protocol.encode() not in head.lower():
        return None
    import h11  # hypercorn's

    connection = h11.Connection(h11.SERVER)
    try:
        connection.receive_data(head)
        request = connection.next_event()
    except h11.RemoteProtocolError:
        return None
    if not isinstance(request, h11.Request):
        return None
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
    if headers.get("upgrade", "").strip().lower() != protocol:
        return None
    rest = head.partition(b"\r\n\r\n")[2]
    return Upgrading(request.method.decode(), request.target.decode("latin-1"), headers, reader, writer, rest)
