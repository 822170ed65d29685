"""Whatever bytes a client of the proxy sends, it gets one answer, or nothing, and the next client is served."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.embedded.proxy import ForwardProxy, Patience
from tests.fuzz.fuzzing import fuzz, odd_texts
from tests.fuzz.test_fuzz_dns import SERVER, Kept

Value = TypeVar("Value")

PARTS = st.sampled_from(
    [b"CONNECT ", b"GET ", b"POST ", b"\t", b" ", b"http://", b"HTTP://", b"https://", b"www.z.example", b":80",
     b":443", b":0", b":99999", b"[::1]", b"[", b"]", b"@", b"/", b"?", b"#", b" HTTP/1.1", b" HTTP/2.0", b"\r\n",
     b"\n", b"\r",
     b"Host: a\r\n", b"Connection: Upgrade\r\nUpgrade: websocket\r\n", b"Transfer-Encoding: chunked\r\n",
     b"Content-Length: 5\r\n", b": ", b"\0", b"\xff", b"\r\n\r\n", b"x" * 3000]
)  # fmt: skip
REQUESTS = st.one_of(
    st.lists(PARTS, max_size=12).map(b"".join),
    st.lists(PARTS | odd_texts.map(lambda text: text.encode("utf-8", "replace")), max_size=12).map(b"".join),
    st.binary(max_size=60),
    st.builds(
        lambda target, rest: b"CONNECT " + target + b" HTTP/1.1\r\n\r\n" + rest,
        odd_texts.map(lambda text: text.encode("utf-8", "replace")),
        st.binary(max_size=20),
    ),
)


class Running:
    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.failures: list[logging.LogRecord] = []
        self.run(self._start())

    def run(self, story: Coroutine[Any, Any, Value]) -> Value:
        return asyncio.run_coroutine_threadsafe(story, self._loop).result(60)

    async def _start(self) -> None:
        async def origin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            writer.write_eof()
            await reader.read()
            writer.close()

        self._origin = await asyncio.start_server(origin, "127.0.0.1", 0)
        at = ("127.0.0.1", self._origin.sockets[0].getsockname()[1])
        patience = Patience(head=5.0, connect=5.0, idle=5.0, ending=0.1)
        self.proxy = ForwardProxy(
            SERVER.addresses_of, lambda: {("127.0.0.1", 80): at, ("127.0.0.1", 443): at}, patience=patience
        )
        await self.proxy.start()

    async def ask(self, *parts: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.proxy.port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            writer.write_eof()
            return await reader.read()
        except OSError:  # it had enough before all was said
            return b""
        finally:
            writer.close()

    async def stop(self) -> None:
        await self.proxy.stop()
        self._origin.close()


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    made = Running()
    yield made
    made.run(made.stop())


@fuzz(100)
@given(request=REQUESTS, cut=st.integers(0, 40))
def test_every_client_gets_one_answer(running: Running, request: bytes, cut: int) -> None:
    failures: list[logging.LogRecord] = []
    handler = Kept(failures)
    loggers = [logging.getLogger(name) for name in ("lockgate", "asyncio")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        answer = running.run(running.ask(request[:cut], request[cut:]))
        again = running.run(running.ask(b"CONNECT www.z.example:443 HTTP/1.1\r\n\r\n"))
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
    assert not failures, (request, failures[0].getMessage(), failures[0].exc_info)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 "), request
    assert again.startswith(b"HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK"), again
