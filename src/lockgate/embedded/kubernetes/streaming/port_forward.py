"""Forwards connections to the ports of a Pod, over the two SPDY streams of each.

The client opens an ``error`` and a ``data`` stream with one ``requestID``. Whatever is written to the error stream
counts as a failure. Source: kubernetes/kubernetes `pkg/kubelet/.../portforward/httpstream.go`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeAlias

from lockgate.embedded.kubernetes.streaming import spdy

PROTOCOL: Final = "portforward.k8s.io"
TUNNEL: Final = "SPDY/3.1+portforward.k8s.io"
_CONNECT_SECONDS: Final = 10.0
_CHUNK: Final = 64 * 1024
_WAITING: Final = 16  # parts of a stream's data that wait for the port to take them

Pair: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect: TypeAlias = Callable[[int], Awaitable[Pair]]


class PortForward:
    """One client. `read` returns b"" at the end; `connect` opens a port, or raises OSError with the reason."""

    def __init__(
        self, read: Callable[[], Awaitable[bytes]], write: Callable[[bytes], Awaitable[None]], connect: Connect
    ) -> None:
        self._read = read
        self._write = write
        self._connect = connect
        self._spdy = spdy.Connection()
        self._sending = asyncio.Lock()
        self._errors: dict[str, int] = {}  # error streams by request ID
        self._incoming: dict[int, asyncio.Queue[bytes]] = {}  # of data streams; b"" is the end
        self._serving: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Serves until the client ends the connection."""
        try:
            while data := await self._read():
                for event in self._spdy.receive(data):
                    await self._handle(event)
                await self._flush()
        except spdy.ProtocolError:
            self._spdy.go_away(spdy.PROTOCOL_ERROR)
            with suppress(OSError):
                await self._flush()
        except OSError:
            pass  # the client is gone
        finally:
            tasks = list(self._serving.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _handle(self, event: spdy.Event) -> None:
        match event:
            case spdy.Opened(stream, headers):
                kind, port, request = (headers.get(name, "") for name in ("streamtype", "port", "requestid"))
                self._opened(stream, kind, port, request)
            case spdy.Data(stream, data, ended) if (queue := self._incoming.get(stream)) is not None:
                if data:
                    await queue.put(data)
                    self._spdy.took(stream, len(data))
                if ended:
                    await queue.put(b"")
            case spdy.Reset(stream):
                if task := self._serving.get(stream):
                    task.cancel()
            case _:
                pass  # error streams carry nothing from the client

    def _opened(self, stream: int, kind: str, port: str, request: str) -> None:
        number = int(port) if port.isascii() and port.isdigit() else 0
        if not 0 < number < 65536 or kind not in ("error", "data"):
            self._spdy.reset(stream, spdy.PROTOCOL_ERROR)
            return
        self._spdy.reply(stream)
        if kind == "error":
            self._errors[request] = stream
        else:
            self._incoming[stream] = asyncio.Queue(_WAITING)
            error = self._errors.pop(request, None)
            self._serving[stream] = asyncio.create_task(self._serve(stream, error, number))

    async def _serve(self, stream: int, error: int | None, port: int) -> None:
        failure = ""
        try:
            reader, writer = await asyncio.wait_for(self._connect(port), _CONNECT_SECONDS)
            try:
                await self._copy(stream, reader, writer)
            finally:
                writer.close()
        except TimeoutError:
            failure = f"port {port} did not accept the connection within {_CONNECT_SECONDS:.0f} s"
        except OSError as raised:
            failure = str(raised)
        finally:
            queue = self._incoming.pop(stream)
            while not queue.empty():  # whoever waits to put more may go on
                queue.get_nowait()
            self._serving.pop(stream, None)
        if error is not None:
            self._spdy.send(error, failure.encode(), end=True)
        if failure:
            self._spdy.reset(stream, spdy.PROTOCOL_ERROR)
        with suppress(OSError):
            await self._flush()

    async def _copy(self, stream: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until the port ends its half. What the client sends after that has no reader."""
        upward = asyncio.create_task(self._upward(self._incoming[stream], writer))
        try:
            while part := await reader.read(_CHUNK):
                self._spdy.send(stream, part)
                await self._flush()
            self._spdy.send(stream, b"", end=True)
            await self._flush()
        finally:
            upward.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await upward

    async def _upward(self, queue: asyncio.Queue[bytes], writer: asyncio.StreamWriter) -> None:
        while part := await queue.get():
            writer.write(part)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    async def _flush(self) -> None:
        async with self._sending:  # frames leave in the order in which they were made
            if out := self._spdy.outgoing():
                await self._write(out)
