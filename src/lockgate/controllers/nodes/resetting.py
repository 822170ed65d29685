"""The sidecars' part for load balancers: a port that resets every connection, as one that demands the mesh's mutual TLS
does with plain text."""

from __future__ import annotations

import asyncio
import socket
import struct

from lockgate.edge.port_table import LOCAL_IPV4

_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: a reset instead of an orderly end


async def resetting_server() -> asyncio.Server:
    async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        writer.transport.abort()

    return await asyncio.start_server(reset, LOCAL_IPV4, 0)
