"""A client of Envoy's admin interface, over its Unix socket."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

_PATIENCE: Final = 5.0  # seconds for a response
_PART: Final = 65_536  # bytes


async def admin(socket: Path, path: str, method: str = "GET") -> str:
    """A response. Raises OSError if there is none, or if it is an error."""
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                return await _response(reader, writer, method, path)
            finally:
                writer.close()
    except TimeoutError as error:
        raise OSError(f"Envoy does not answer on {socket}") from error


async def _response(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, method: str, path: str) -> str:
    import h11  # hypercorn, which the edge's servers run on, needs it too

    connection = h11.Connection(h11.CLIENT)
    request = h11.Request(method=method, target=path, headers=[("host", "envoy"), ("connection", "close")])
    writer.write((connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b""))
    body: list[bytes] = []
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            raise OSError(f"Envoy's response to {path} is incomplete") from error
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_PART))
        elif isinstance(event, h11.Response) and event.status_code != 200:
            raise OSError(f"Envoy answers {path} with {event.status_code}")
        elif isinstance(event, h11.Data):
            body.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            return b"".join(body).decode(errors="replace")
