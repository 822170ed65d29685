"""kube-proxy's answer on a Service's `healthCheckNodePort`: whether the node has an endpoint that is ready."""

from __future__ import annotations

import asyncio

from lockgate.edge.port_table import LOCAL_IPV4

_LONGEST = 8192  # bytes of a request
_PATIENCE = 10.0  # seconds


async def proxy_health_server(*, healthy: bool) -> asyncio.Server:
    status = "200 OK" if healthy else "503 Service Unavailable"
    head = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nX-Load-Balancing-Endpoint-Weight: {int(healthy)}\r\n"
    answer = f"{head}Connection: close\r\n\r\n".encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _PATIENCE)
            writer.write(answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ConnectionError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(serve, LOCAL_IPV4, 0, limit=_LONGEST)
