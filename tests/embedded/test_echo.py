"""The built-in backend, met by real clients."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys

import httpx
import pytest

from lockgate.edge.network import ServicePort
from lockgate.embedded.echo import Echo
from lockgate.runtime.trust import Trust

WEB = ServicePort("shop", "web", 8080)
TRUST = Trust.make("test")


async def asked(method: str, path: str, *, http2: bool = False, **parameters: object) -> httpx.Response:
    echo = Echo(TRUST.key_pair)
    host, port = await echo.listen(WEB)
    try:
        async with httpx.AsyncClient(http1=not http2, http2=http2, trust_env=False) as client:
            return await client.request(method, f"http://{host}:{port}{path}", **parameters)  # type: ignore[arg-type]
    finally:
        await echo.stop()


def test_the_echo_returns_the_request_and_its_service() -> None:
    answer = asyncio.run(asked("POST", "/a%20b/c?x=1&y=2", content=b"hello", headers={"X-Team": "edge"}))
    received = json.loads(answer.text)
    assert received["service"] == "shop/web:8080"
    assert (received["method"], received["path"], received["query"]) == ("POST", "/a%20b/c", "x=1&y=2")
    assert ["x-team", "edge"] in received["headers"]
    assert received["body"] == {"bytes": 5, "text": "hello"}
    assert received["connection"]["http_version"] == "1.1"


def test_it_speaks_http2_without_tls() -> None:
    answer = asyncio.run(asked("GET", "/", http2=True))
    assert answer.http_version == "HTTP/2"
    assert json.loads(answer.text)["connection"]["http_version"] == "2"


def test_a_browser_gets_a_page_and_cannot_be_injected_into() -> None:
    answer = asyncio.run(asked("GET", "/?<script>", headers={"Accept": "text/html", "X-Evil": "<b>"}))
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "shop/web:8080 would answer here" in answer.text
    assert "<script>" not in answer.text
    assert "&lt;b&gt;" in answer.text


def test_head_has_headers_and_no_body() -> None:
    answer = asyncio.run(asked("HEAD", "/"))
    assert int(answer.headers["content-length"]) > 0
    assert answer.content == b""


def test_its_server_starts_with_the_first_connection() -> None:
    async def story() -> None:
        echo = Echo(TRUST.key_pair)
        tasks = asyncio.all_tasks()
        host, port = await echo.listen(WEB)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == tasks
        async with httpx.AsyncClient(trust_env=False) as client:
            both = await asyncio.gather(*(client.get(f"http://{host}:{port}/") for _ in range(2)))
        assert [answer.status_code for answer in both] == [200, 200]
        await echo.stop()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host, port)

    asyncio.run(story())


def test_a_listener_that_nobody_used_ends() -> None:
    async def story() -> None:
        echo = Echo(TRUST.key_pair)
        host, port = await echo.listen(WEB)
        await echo.stop()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host, port)

    asyncio.run(story())


def test_a_service_port_keeps_its_listener() -> None:
    async def story() -> None:
        echo = Echo(TRUST.key_pair)
        try:
            first = await echo.listen(WEB)
            assert await echo.listen(WEB) == first
            assert await echo.listen(ServicePort("shop", "web", 8081)) != first
        finally:
            await echo.stop()

    asyncio.run(story())


@pytest.mark.parametrize("sni", ["web.shop.svc", "www.shop.example", ""])
@pytest.mark.parametrize("protocol", ["h2", "http/1.1"])
def test_it_speaks_tls_with_a_certificate_for_the_name_that_is_asked_for(sni: str, protocol: str) -> None:
    async def names() -> set[str]:
        echo = Echo(TRUST.key_pair)
        host, port = await echo.listen(WEB, ("web.shop.svc", "orders.example"))
        client = ssl.create_default_context(cadata=TRUST.root.root_pem)
        client.check_hostname = bool(sni)
        client.set_alpn_protocols([protocol])
        try:
            _, writer = await asyncio.open_connection(host, port, ssl=client, server_hostname=sni)
            connection = writer.get_extra_info("ssl_object")
            assert connection.selected_alpn_protocol() == protocol
            found = {name for _, name in connection.getpeercert()["subjectAltName"]}
            writer.close()
            return found
        finally:
            await echo.stop()

    assert asyncio.run(names()) == {"web.shop.svc", "orders.example", sni} - {""}


def test_a_service_port_that_is_reached_with_tls_from_now_on_gets_another_listener() -> None:
    async def story() -> None:
        echo = Echo(TRUST.key_pair)
        try:
            plain = await echo.listen(WEB)
            tls = await echo.listen(WEB, ("web",))
            assert tls != plain
            assert await echo.listen(WEB, ("web",)) == tls
            async with httpx.AsyncClient(trust_env=False, verify=False) as client:
                assert (await client.get(f"https://{tls[0]}:{tls[1]}/")).json()["service"] == "shop/web:8080"
        finally:
            await echo.stop()

    asyncio.run(story())


def test_it_is_a_grpc_server_without_methods() -> None:
    import grpc.aio

    async def call() -> grpc.aio.AioRpcError:
        echo = Echo(TRUST.key_pair)
        host, port = await echo.listen(WEB)
        try:
            async with grpc.aio.insecure_channel(f"{host}:{port}") as channel:
                with pytest.raises(grpc.aio.AioRpcError) as raised:
                    await channel.unary_unary("/quay.Orders/Get")(b"", timeout=10)
                return raised.value
        finally:
            await echo.stop()

    error = asyncio.run(call())
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "shop/web:8080" in (error.details() or "")


def test_a_deleted_service_is_no_longer_answered_for() -> None:
    async def story() -> None:
        echo = Echo(TRUST.key_pair)
        host, port = await echo.listen(WEB)
        _, other = await echo.listen(ServicePort("shop", "other", 8080))
        echo.close("shop", "web")
        async with asyncio.timeout(10):
            while True:
                try:
                    _, writer = await asyncio.open_connection(host, port)
                except ConnectionError:
                    break
                writer.close()
                await asyncio.sleep(0.02)
            async with httpx.AsyncClient(trust_env=False) as client:
                assert (await client.get(f"http://{host}:{other}/")).status_code == 200
        await echo.stop()

    asyncio.run(story())


def test_workloads_apart_have_addresses_of_their_own() -> None:
    async def story() -> None:
        echo = Echo(TRUST.key_pair, apart=True)
        try:
            first, second = await echo.listen(WEB, workload="v1"), await echo.listen(WEB, workload="v2")
            assert await echo.listen(WEB, workload="v2") == second
            own = sys.platform == "linux"
            assert (first[0], second[0]) == ("127.0.0.1", "127.1.0.1" if own else "127.0.0.1")
            async with httpx.AsyncClient(trust_env=False) as client:
                answer = await client.get(f"http://{second[0]}:{second[1]}/")
            assert answer.json()["workload"] == "v2"
        finally:
            await echo.stop()

    asyncio.run(story())
