"""The forward proxy, as bytes on its socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import pytest

from lockgate.embedded.proxy import ForwardProxy

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
            return ["127.0.0.1"] if host == "shop.example" else []

        def ports() -> Mapping[tuple[str, int], int]:
            return {("127.0.0.1", listener): port}

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


def test_a_plain_request_goes_on_in_origin_form_without_hop_by_hop_headers() -> None:
    answer = through(
        b"GET http://shop.example/a?b=1 HTTP/1.1\r\nHost: shop.example\r\nProxy-Connection: keep-alive\r\n"
        b"Proxy-Authorization: Basic xyz\r\nAccept: */*\r\n\r\n",
        listener=80,
    )
    assert answer == ("heard GET /a?b=1 HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\nConnection: close\r\n\r\n")


def test_an_upgrade_keeps_what_makes_it_one() -> None:
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
def test_what_is_refused_is_told_in_one_line(request_: bytes, status: str, why: str) -> None:
    answer = through(request_)
    assert answer.startswith(f"HTTP/1.1 {status}")
    assert why in answer.rpartition("\r\n\r\n")[2]


def test_an_open_proxy_lets_other_hosts_through() -> None:
    answer = through(b"CONNECT 127.0.0.1:ORIGIN HTTP/1.1\r\n\r\nhello\n", open_to_all=True)
    assert answer.endswith("heard hello\n")


def test_a_name_that_nothing_answers_for_is_a_bad_gateway() -> None:
    assert through(b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n", open_to_all=True).startswith("HTTP/1.1 502")
