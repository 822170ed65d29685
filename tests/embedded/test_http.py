"""What every embedded HTTP server does before its application: hosts, WebSockets, and clients that never end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from lockgate.embedded import http
from lockgate.embedded.asgi import Receive, Scope, Send
from lockgate.embedded.hosts import is_own
from lockgate.embedded.http import Server, serve
from lockgate.embedded.upgrades import Upgrading

NAMES = ("keys.example",)


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:4566", True),
        ("127.1.2.3:1", True),
        ("[::1]:4566", True),
        ("localhost", True),
        ("LocalHost:80", True),
        ("localhost.", True),
        ("bucket.s3.localhost:4566", True),
        ("keys.example", True),
        ("host.docker.internal:4566", True),
        ("host.containers.internal", True),
        ("evil.internal", False),
        ("evil.host.docker.internal", False),
        ("KEYS.example:443", True),
        ("", False),
        ("evil.example", False),
        ("evil.example:4566", False),
        ("localhost.evil.example", False),
        ("notlocalhost", False),
        ("127.0.0.1.evil.example", False),
        ("127.0.0.1@evil.example", False),
        ("evil.example/127.0.0.1", False),
        ("evil.example#localhost", False),
        ("sub.keys.example", False),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("169.254.169.254", False),
        ("2130706433", False),
        ("0x7f000001", False),
        ("127.1", False),
        ("[::ffff:10.0.0.1]", False),
        ("127.0.0.1 evil.example", False),
        ("127.0.0.1:port", False),
        ("[::1", False),
        ("a\x00.localhost", True),  # nobody can make such a name resolve
    ],
)
def test_own_and_foreign_hosts(host: str, own: bool) -> None:
    assert is_own(host, NAMES) is own


async def _application(scope: Scope, receive: Receive, send: Send) -> None:
    """Counts the bytes of a body, and says whether it was complete."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    size, complete = 0, False
    while not complete:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        size += len(message["body"])
        complete = not message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps([size, complete]).encode()})


@asynccontextmanager
async def _serving(**how: Any) -> AsyncIterator[Server]:
    server = await serve(_application, **how)
    try:
        yield server
    finally:
        await server.stop()


async def _say(server: Server, *parts: bytes) -> bytes:
    """Everything that comes back until the server closes the connection."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer


def _get(*headers: str, version: str = "1.1") -> bytes:
    return "\r\n".join((f"GET / HTTP/{version}", *headers, "Connection: close", "", "")).encode()


def _run(story: Any) -> None:
    asyncio.run(asyncio.wait_for(story, 30))


def test_requests_for_other_hosts_are_refused_with_the_reason() -> None:
    async def story() -> None:
        async with _serving(hosts=NAMES) as server:
            assert b"200" in (await _say(server, _get(f"Host: 127.0.0.1:{server.port}")))[:15]
            assert b"200" in (await _say(server, _get("Host: keys.example")))[:15]
            for headers in (["Host: evil.example"], ["Host: evil.example\x7f<script>"]):
                answer = await _say(server, _get(*headers))
                assert answer.split(b"\r\n")[0].startswith(b"HTTP/1.1 4")
                assert b"<script>\n" not in answer
            answer = await _say(server, _get("Host: evil.example"))
            assert b"421" in answer[:15]
            assert answer.split(b"\r\n\r\n")[1] == (
                b"lockgate: this server is not for 'evil.example'. It answers only to 127.0.0.1, localhost, "
                b"keys.example, so that no web page reaches it by DNS rebinding\n"
            )
            assert b"421" in (await _say(server, _get(version="1.0")))[:15]
            for twice in (_get("Host: 127.0.0.1", "Host: evil.example"), _get()):
                assert b" 4" in (await _say(server, twice))[:12]
        async with _serving(hosts=None) as server:
            assert b"200" in (await _say(server, _get("Host: evil.example")))[:15]

    _run(story())


def test_websockets_are_refused_if_the_application_does_not_support_them() -> None:
    upgrade = ("Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")

    def asked(host: str) -> bytes:
        head = ("GET / HTTP/1.1", f"Host: {host}", "Connection: Upgrade", *upgrade, "", "")
        return "\r\n".join(head).encode()

    async def story() -> None:
        async with _serving() as server:
            answer = await _say(server, asked("127.0.0.1"))
            assert answer.startswith(b"HTTP/1.1 501")
            assert answer.endswith(b"lockgate: WebSockets are not served here\n")
            answer = await _say(server, asked("evil.example"))
            assert answer.startswith(b"HTTP/1.1 421")

    _run(story())


def test_a_body_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_IDLE", 0.1)

    async def story() -> None:
        async with _serving() as server:
            head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"
            answer = await _say(server, head, b"abc")
            assert b"[3, false]" in answer
            closing = head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
            assert b"[10, true]" in await _say(server, closing, b"0123456789")

    _run(story())


def test_a_head_that_never_ends_and_a_silent_client_are_cut_off() -> None:
    async def story() -> None:
        async with _serving(idle=0.2) as server:
            assert await _say(server) == b""
            assert await _say(server, b"GET / HTTP/1.1\r\nHost: lo", b"calhost\r\n") == b""

    _run(story())


async def _refused(upgrading: Upgrading) -> None:
    upgrading.writer.close()


@pytest.mark.parametrize("how", [{}, {"hosts": None}, {"upgrade": ("spdy/3.1", _refused)}])
def test_a_connection_that_its_client_closed_is_not_kept(how: dict[str, Any]) -> None:
    async def story() -> None:
        async with _serving(**how) as server:
            await _say(server, _get(version="1.0"))  # its own tasks run from now on
            existing = asyncio.all_tasks()
            reader, writer = await asyncio.open_connection(server.host, server.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 10)  # until the server closes it
            writer.close()
            await asyncio.wait_for(asyncio.gather(*(asyncio.all_tasks() - existing), return_exceptions=True), 10)

    _run(story())


def test_a_head_that_is_too_large_is_refused() -> None:
    async def story() -> None:
        async with _serving() as server:
            answer = await _say(server, _get("Host: localhost", "X: " + "x" * 100_000))
            assert answer.startswith(b"HTTP/1.1 431")

    _run(story())


def test_clients_that_do_not_end_tls_leave_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with _serving():
            loop = asyncio.get_running_loop()
            report = {"message": "Unhandled exception in client_connected_cb"}
            loop.call_exception_handler({**report, "exception": TimeoutError("SSL shutdown timed out")})
            assert not caplog.records
            loop.call_exception_handler({**report, "exception": TimeoutError("something else")})
            assert len(caplog.records) == 1

    _run(story())
