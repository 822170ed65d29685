"""A connection of hypercorn's that ends when its client closes it, and that sends a response in one piece.

hypercorn's own waits for another request of a client that has left until its idle time is over, and sends the head of
a response in a packet of its own, which costs a third of a small request.
"""

from __future__ import annotations

from asyncio.sslproto import SSLProtocol
from contextlib import suppress
from typing import Any

from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.events import Event, RawData, Updated

SSLProtocol.max_size = 64 * 1024  # bytes of a buffer for each connection with TLS; asyncio takes 256 KB


class Connection(TCPServer):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._parts: list[bytes] = []  # what is sent once the tasks that are ready now have run
        self._closed = False

    async def protocol_send(self, event: Event) -> None:
        if isinstance(event, RawData):
            self._parts.append(event.data)
            if len(self._parts) == 1:
                self.loop.call_soon(self._flush)
            with suppress(ConnectionError, RuntimeError):  # the end of what is read from it follows
                await self.writer.drain()
        elif not (self._closed and isinstance(event, Updated)):  # which would start the idle time
            await super().protocol_send(event)

    def _flush(self) -> None:
        parts, self._parts = self._parts, []
        if parts and not self.writer.is_closing():
            self.writer.write(parts[0] if len(parts) == 1 else b"".join(parts))

    async def _read_data(self) -> None:
        await super()._read_data()
        self._closed = True
        await self.idle_task.stop()

    async def _close(self) -> None:
        self._flush()
        await super()._close()
