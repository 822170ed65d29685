"""One health check probe: a new connection and, except for TCP, one request and the status of its answer.

Source: "Health checks for Application Load Balancer target groups": the Host header is the target's address and port,
the certificate is not verified, no server name is sent, and redirects are not followed.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from functools import lru_cache

from lockgate.loadbalancer.health import USER_AGENT, Answered, Connected, Failed, Outcome, TimedOut
from lockgate.loadbalancer.model import HealthCheck, ProtocolVersion

LONGEST_LINE = 8192


async def probe(address: str, port: int, check: HealthCheck, version: ProtocolVersion, host: str) -> Outcome:
    """Probes `address` and `port`. `host` is the Host header, with a port."""
    try:
        async with asyncio.timeout(check.timeout_seconds):
            if check.protocol == "TCP":
                _, writer = await _connect(address, port, check)
                _close(writer)
                return Connected()
            if version != "HTTP1":
                return await _http2(address, port, check, host, grpc=version == "GRPC")
            return await _http(address, port, check, host)
    except TimeoutError:
        return TimedOut()
    except (OSError, ssl.SSLError, ValueError, EOFError, asyncio.LimitOverrunError):
        return Failed()


async def _http(address: str, port: int, check: HealthCheck, host: str) -> Outcome:
    reader, writer = await _connect(address, port, check)
    try:
        writer.write(
            f"GET {check.path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
            f"User-Agent: {USER_AGENT}\r\nAccept-Encoding: gzip, compressed\r\n\r\n".encode()
        )
        line = await reader.readuntil(b"\n")
        version, _, rest = line.decode("latin-1").partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
            return Failed()
        return Answered(int(rest[:3]))
    finally:
        _close(writer)


async def _connect(address: str, port: int, check: HealthCheck) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if check.protocol == "HTTPS":
        return await asyncio.open_connection(address, port, ssl=_unverified(), server_hostname="", limit=LONGEST_LINE)
    return await asyncio.open_connection(address, port, limit=LONGEST_LINE)


def _close(writer: asyncio.StreamWriter) -> None:
    with suppress(Exception):
        writer.transport.abort()


@lru_cache(maxsize=1)
def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _http2(address: str, port: int, check: HealthCheck, host: str, *, grpc: bool) -> Outcome:
    from lockgate.controllers.elastic_load_balancing.http2_probe import call

    reader, writer = await _connect_h2(address, port, check)
    try:
        return await call(reader, writer, host, check.path, check.protocol.lower(), USER_AGENT, grpc=grpc)
    finally:
        _close(writer)


async def _connect_h2(address: str, port: int, check: HealthCheck) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if check.protocol != "HTTPS":
        return await asyncio.open_connection(address, port)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return await asyncio.open_connection(address, port, ssl=context, server_hostname="")
