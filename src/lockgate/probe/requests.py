"""Sends the request to one address, over HTTP/1.1 or HTTP/2 or as a WebSocket's handshake, and reads the answer."""

from __future__ import annotations

import base64
import os
import time

import httpcore

from lockgate.probe.connections import said
from lockgate.probe.observed import Asked, Exchange
from lockgate.probe.reach import CONNECT_SECONDS, READ_SECONDS, Backend, Reach, context

_MOST_BODY = 64 * 1024


async def send(reach: Reach, asked: Asked, address: str, *, protocol: str) -> Exchange:
    """`protocol` is ``auto``, ``1.1`` or ``2``; with ``auto`` the server chooses, as for a browser."""
    http2 = protocol != "1.1" and asked.kind != "websocket"
    http1 = protocol != "2"
    alpn = (*(("h2",) if http2 else ()), *(("http/1.1",) if http1 else ()))
    settings = context(reach, verify=False, alpn=alpn, newest=asked.newest_tls)
    url = httpcore.URL(
        scheme=asked.scheme.encode(), host=asked.host.encode(), port=asked.port, target=asked.target.encode()
    )
    method, headers = _message(asked)
    times = {"connect": CONNECT_SECONDS, "read": READ_SECONDS, "write": READ_SECONDS, "pool": None}
    began = time.monotonic()
    named = protocol
    try:
        async with httpcore.AsyncConnectionPool(
            ssl_context=settings,
            http1=http1,
            http2=http2 and (asked.scheme == "https" or not http1),
            network_backend=Backend(reach, address),
        ) as pool:
            request = httpcore.Request(method, url, headers=headers, extensions={"timeout": times})
            answer = await pool.handle_async_request(request)
            first_byte = time.monotonic() - began
            named = answer.extensions.get("http_version", b"").decode().removeprefix("HTTP/")
            incomplete = ""
            body = b""
            if asked.kind != "websocket" or answer.status != 101:
                body, incomplete = await _body(answer)
            await answer.aclose()
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
        return Exchange(address, named, None, seconds=time.monotonic() - began, error=_reason(error))
    read = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in answer.headers)
    return Exchange(
        address,
        named,
        answer.status,
        read,
        body,
        first_byte,
        time.monotonic() - began,
        incomplete=incomplete,
    )


async def _body(answer: httpcore.Response) -> tuple[bytes, str]:
    body = b""
    try:
        async for chunk in answer.aiter_stream():
            if len(body) < _MOST_BODY:
                body += chunk
            else:
                break
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
        return body[:_MOST_BODY], _reason(error)
    return body[:_MOST_BODY], ""


def _message(asked: Asked) -> tuple[str, list[tuple[str, str]]]:
    headers = list(asked.headers)
    names = {name.lower() for name, _ in headers}
    if "host" not in names:
        default = asked.port == (443 if asked.scheme == "https" else 80)
        headers.insert(0, ("Host", asked.host if default else f"{asked.host}:{asked.port}"))
    for name, value in (
        ("User-Agent", asked.agent),
        ("X-Amzn-Trace-Id", f"Root={asked.trace_id}"),
        ("Accept", "*/*"),
    ):
        if name.lower() not in names:
            headers.append((name, value))
    if asked.kind == "websocket":
        key = base64.b64encode(os.urandom(16)).decode()
        headers += [("Connection", "Upgrade"), ("Upgrade", "websocket")]
        headers += [("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", key)]
        return "GET", headers
    return asked.method, headers


def _reason(error: BaseException) -> str:
    if isinstance(error, httpcore.ReadTimeout):
        return f"no answer in {READ_SECONDS:.0f} s"
    return said(error)
