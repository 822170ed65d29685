"""The forward proxy, as bytes on its socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from lockgate.embedded.proxy import ForwardProxy, Patience, most_connections

Origin = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Story = Callable[[ForwardProxy], Awaitable[bytes]]


async def origin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says back what it heard first."""
    heard = await reader.read(65536)
    writer.write(b"heard " + heard)
    await writer.drain()
    writer.close()


def through(request: bytes, *, open_to_all: bool = False, listener: int = 443) -> str:
    """What a client gets that sends `request` to the proxy of an edge whose one host is shop.example."""

    async def story() -> bytes:
        server = await asyncio.start_server(origin, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        async def resolve(host: str) -> list[str]:
            return ["127.9.0.1"] if host == "shop.example" else []

        def ports() -> Mapping[tuple[str, int], tuple[str, int]]:
            return {("127.9.0.1", listener): ("127.0.0.1", port)}

        proxy = ForwardProxy(resolve, ports, open_to_all=open_to_all)
        await proxy.start()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(request.replace(b"ORIGIN", str(port).encode()))
            await writer.drain()
            return await asyncio.wait_for(reader.read(), 10)
        finally:
            await proxy.stop()
            server.close()

    return asyncio.run(story()).decode()


def test_connect_reaches_the_listener_of_the_hosts_load_balancer() -> None:
    answer = through(b"CONNECT shop.example:443 HTTP/1.1\r\nHost: shop.example:443\r\n\r\nfirst bytes\n")
    assert answer == "HTTP/1.1 200 Connection established\r\n\r\nheard first bytes\n"


def test_an_address_of_the_edges_own_is_reached_by_itself() -> None:
    answer = through(b"CONNECT 127.9.0.1:443 HTTP/1.1\r\nHost: 127.9.0.1:443\r\n\r\nfirst bytes\n")
    assert answer == "HTTP/1.1 200 Connection established\r\n\r\nheard first bytes\n"


def test_a_plain_request_goes_on_in_origin_form_without_hop_by_hop_headers() -> None:
    answer = through(
        b"GET http://shop.example/a?b=1 HTTP/1.1\r\nHost: shop.example\r\nProxy-Connection: keep-alive\r\n"
        b"Proxy-Authorization: Basic xyz\r\nAccept: */*\r\n\r\n",
        listener=80,
    )
    assert answer == ("heard GET /a?b=1 HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\nConnection: close\r\n\r\n")


def test_an_upgrade_keeps_its_connection_header() -> None:
    answer = through(
        b"GET http://shop.example/ws HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\n\r\n",
        listener=80,
    )
    assert "Connection: Upgrade\r\nUpgrade: websocket" in answer


@pytest.mark.parametrize(
    ("request_", "status", "why"),
    [
        (b"CONNECT other.example:443 HTTP/1.1\r\n\r\n", "403 Forbidden", "other.example is not a host of this edge"),
        (
            b"CONNECT shop.example:8443 HTTP/1.1\r\n\r\n",
            "502 Bad Gateway",
            "no listener on port 8443; it listens on 443",
        ),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "400 Bad Request", "this is a forward proxy"),
        (b"CONNECT nonsense HTTP/1.1\r\n\r\n", "400 Bad Request", "'nonsense' is not host:port"),
        (b"CONNECT shop.example:99999 HTTP/1.1\r\n\r\n", "400 Bad Request", "is not host:port"),
        (b"GARBAGE\r\n\r\n", "400 Bad Request", "request line is malformed"),
        (b"GET http://x/ HTTP/1.1\r\nA: " + b"a" * 70_000 + b"\r\n\r\n", "431 ", "too large"),
    ],
)
def test_a_refusal_is_reported_in_one_line(request_: bytes, status: str, why: str) -> None:
    answer = through(request_)
    assert answer.startswith(f"HTTP/1.1 {status}")
    assert why in answer.rpartition("\r\n\r\n")[2]


def test_an_open_proxy_lets_other_hosts_through() -> None:
    answer = through(b"CONNECT 127.0.0.1:ORIGIN HTTP/1.1\r\n\r\nhello\n", open_to_all=True)
    assert answer.endswith("heard hello\n")


def test_a_name_that_nothing_answers_for_is_a_bad_gateway() -> None:
    assert through(b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n", open_to_all=True).startswith("HTTP/1.1 502")


# --- clients that say nothing, and too many of them

QUICK = Patience(head=0.2, connect=1.0, idle=0.2, ending=0.2)
CONNECT = b"CONNECT shop.example:443 HTTP/1.1\r\n\r\n"


@asynccontextmanager
async def _proxy(answer: Origin, **how: Any) -> AsyncIterator[ForwardProxy]:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def resolve(host: str) -> list[str]:
        return ["127.0.0.1"]

    proxy = ForwardProxy(resolve, lambda: {("127.0.0.1", 443): ("127.0.0.1", port)}, **how)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
        server.close()


async def _client(proxy: ForwardProxy, *parts: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    return reader, writer


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An origin that never says a word, and stays for as long as its client."""
    await reader.read()
    writer.close()


async def _brief(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An origin that says one thing and ends."""
    writer.write(b"bye")
    writer.write_eof()
    await reader.read()
    writer.close()


def _run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 20))


@pytest.mark.parametrize("begin", [b"", b"CONNECT shop.exa", b"GET http://shop.example/ HTTP/1.1\r\nHost: a\r\n"])
def test_a_head_that_never_ends_is_answered_in_the_end(begin: bytes) -> None:
    async def story() -> None:
        async with _proxy(_silent, patience=QUICK) as proxy:
            reader, _ = await _client(proxy, begin)
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
            assert answer.endswith(b"lockgate: no complete request within 0.2 s of connecting\n")

    _run(story())


def test_an_idle_tunnel_ends() -> None:
    async def story() -> None:
        async with _proxy(_silent, patience=QUICK) as proxy:
            reader, _ = await _client(proxy, CONNECT)
            assert await reader.read() == b"HTTP/1.1 200 Connection established\r\n\r\n"

    _run(story())


def test_a_client_that_stays_after_its_origin_has_ended_is_cut_off() -> None:
    async def story() -> None:
        patience = replace(QUICK, idle=600.0)
        async with _proxy(_brief, patience=patience, connections=1) as proxy:
            reader, writer = await _client(proxy, CONNECT)
            assert (await reader.read()).endswith(b"\r\n\r\nbye")
            while True:  # until there is room for another, which there is not while the first one is held
                other, _ = await _client(proxy, CONNECT)
                if (await other.read()).endswith(b"bye"):
                    break
            writer.close()

    _run(story())


def test_a_busy_tunnel_lives_as_long_as_it_is_busy() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while said := await reader.read(100):
            writer.write(said)
        writer.close()

    async def story() -> None:
        async with _proxy(echo, patience=replace(QUICK, idle=1.0)) as proxy:
            reader, writer = await _client(proxy, CONNECT)
            await reader.readuntil(b"\r\n\r\n")
            loop = asyncio.get_running_loop()
            begin = loop.time()
            while loop.time() < begin + 1.5:
                await asyncio.sleep(0.01)
                writer.write(b"x")
                assert await reader.readexactly(1) == b"x"
            writer.close()

    _run(story())


def test_a_full_proxy_answers_503(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with _proxy(_silent, connections=3) as proxy:
            held = [await _client(proxy, CONNECT) for _ in range(3)]
            for reader, _ in held:
                await reader.readuntil(b"\r\n\r\n")
            for request in (CONNECT, b"GET http://shop.example/ HTTP/1.1\r\nHost: a\r\n\r\n", b""):
                reader, _ = await _client(proxy, request)
                answer = await reader.read()
                assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
                assert b"the proxy has 3 connections, the most that it takes" in answer
            for _, writer in held:
                writer.close()
            while True:
                reader, _ = await _client(proxy, CONNECT)
                if (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200"):
                    return

    _run(story())
    assert [record.message for record in caplog.records if record.name == "lockgate.proxy"] == [
        "the proxy has 3 connections, the most that it takes; it answers further ones 503"
    ]


def test_the_connection_limit_follows_from_the_limit_of_open_files() -> None:
    assert 64 <= most_connections() <= 4096
