"""CUSTOM policies with a real Envoy, and real servers over HTTP and gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
import yaml
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from gateway_cases import GATEWAY_POD, GATEWAY_SERVICE, POLICED, Case, backend
from gateway_envoy import Answer, Lab, key_pair, lab

from lockgate.gateway.mesh import mesh
from lockgate.gateway.policies.model import Rbac
from lockgate.gateway.request import Request
from lockgate.gateway.routing import Closed, decide

PAIR = key_pair("a.example")
TO_BACKEND = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: b, namespace: istio-system}
spec: {hosts: [b.example], gateways: [edge], http: [{route: [{destination: {host: a.default.svc.cluster.local}}]}]}
"""
HTTP = {
    "service": "auth/auth.auth.svc.cluster.local",
    "port": 80,
    "pathPrefix": "/check",
    "includeRequestHeadersInCheck": ["x-k*"],
    "includeAdditionalHeadersInCheck": {"x-from": "gateway"},
    "headersToUpstreamOnAllow": ["x-user"],
    "headersToDownstreamOnDeny": ["x-why"],
    "headersToDownstreamOnAllow": ["x-greeting"],
}
GRPC = {"service": "auth.auth.svc.cluster.local", "port": 9001, "timeout": "5s"}


@pytest.fixture(scope="module")
def envoy() -> Iterator[Lab]:
    with lab(ports=(8080, 8443, 9000, 15021), backends=1) as running:
        yield running


class OverHttp:
    """Allows requests with the key; tells in headers what it saw."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        text = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        self.seen.append(text)
        if "x-key: good" in text:
            writer.write(b"HTTP/1.1 200 OK\r\nx-user: ann\r\nx-greeting: hi\r\nx-other: 1\r\ncontent-length: 0\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 418 No\r\nx-why: no key\r\nx-other: 1\r\ncontent-length: 4\r\n\r\nnope")
        await writer.drain()
        writer.close()


@contextmanager
def over_http(envoy: Lab) -> Iterator[tuple[OverHttp, int]]:
    server = OverHttp()
    listening = envoy.run(asyncio.start_server(server.answer, "127.0.0.1", 0))
    yield server, listening.sockets[0].getsockname()[1]
    listening.close()


@contextmanager
def over_grpc() -> Iterator[tuple[list[Any], int]]:
    seen: list[Any] = []

    def check(request: Any, _context: Any) -> Any:
        seen.append(request)
        http = request.attributes.request.http
        answer = CheckResponse()
        if http.headers.get("x-key") == "good" or (not http.method and request.attributes.destination.address):
            answer.ok_response.headers.add().header.key = "x-user"
            answer.ok_response.headers[0].header.value = "ann"
        else:
            answer.status.code = 7
            answer.denied_response.status.code = 401
            answer.denied_response.body = "who?"
        return answer

    server = grpc.server(ThreadPoolExecutor(2))
    method = grpc.unary_unary_rpc_method_handler(check, CheckRequest.FromString, CheckResponse.SerializeToString)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("envoy.service.auth.v3.Authorization", {"Check": method}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield seen, port
    server.stop(None)


def custom(**spec: Any) -> dict[str, Any]:
    rules = [{"to": [{"operation": {"paths": ["/admin*"]}}]}]
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": "ask", "namespace": "istio-system"},
        "spec": {"action": "CUSTOM", "provider": {"name": "auth"}, "rules": rules, **spec},
    }


def serve(envoy: Lab, port: int, provider: dict[str, Any], policy: dict[str, Any]) -> Case:
    service, endpoints = backend("default/a", {"tcp": 80})
    own, servers = backend("auth/auth", {"http": 80, "grpc": 9001})
    for slice_, number in ((endpoints, envoy.backends[0]), (servers, port)):
        slice_["endpoints"] = [{"addresses": ["127.0.0.1"]}]
        slice_["ports"] = [{**each, "port": number} for each in slice_["ports"]]
    manifests = [
        *(yaml.safe_load(text) for text in (GATEWAY_POD, GATEWAY_SERVICE, TO_BACKEND)),
        *yaml.safe_load_all(POLICED),
        policy,
        *(service, endpoints, own, servers),
    ]
    case = Case("", manifests, mesh({"extensionProviders": [{"name": "auth", **provider}]}), {})
    envoy.run(envoy.serve(case.build().gateway, {"kubernetes://pair": PAIR}))
    assert envoy.rejections == []
    return case


def asked(envoy: Lab, path: str, *headers: tuple[str, str], port: int = 8080) -> Answer | None:
    return envoy.run(envoy.send(Request(port, "b.example", path, headers=headers, tls=port == 8443)))


def test_a_server_over_http(envoy: Lab) -> None:
    with over_http(envoy) as (server, port):
        serve(envoy, port, {"envoyExtAuthzHttp": HTTP}, custom())
        allowed = asked(envoy, "/admin/x?y=1", ("x-key", "good"), ("x-other", "2"), ("x-user", "forged"))
        assert allowed is not None and allowed.seen["headers"]["x-user"] == "ann"
        assert allowed.headers["x-greeting"] == "hi" and "x-other" not in allowed.headers
        assert server.seen[0].startswith("get /check/admin/x?y=1 http/1.1\r\n")
        assert "x-from: gateway" in server.seen[0] and "x-other" not in server.seen[0]
        refused = asked(envoy, "/admin/x", ("x-key", "bad"))
        assert refused is not None and (refused.status, refused.body) == (418, b"nope")
        assert refused.headers["x-why"] == "no key" and "x-other" not in refused.headers
        other = asked(envoy, "/open")
        assert other is not None and other.status == 200 and len(server.seen) == 2


def test_a_server_that_does_not_answer(envoy: Lab) -> None:
    refusing = {"envoyExtAuthzHttp": HTTP}
    serve(envoy, 1, refusing, custom())
    status = [found.status for found in (asked(envoy, "/admin"), asked(envoy, "/open")) if found]
    assert status == [403, 200]
    serve(envoy, 1, {"envoyExtAuthzHttp": {**HTTP, "statusOnError": "503"}}, custom())
    _eventually(envoy, "/admin", 503)
    serve(envoy, 1, {"envoyExtAuthzHttp": {**HTTP, "failOpen": True}}, custom())
    _eventually(envoy, "/admin", 200)


def test_a_server_over_grpc_with_the_body(envoy: Lab) -> None:
    with over_grpc() as (seen, port):
        body = {"maxRequestBytes": 10, "allowPartialMessage": True}
        serve(envoy, port, {"envoyExtAuthzGrpc": {**GRPC, "includeRequestBodyInCheck": body}}, custom())
        _eventually(envoy, "/admin", 401)
        refused = asked(envoy, "/admin")
        assert refused is not None and refused.body == b"who?"
        allowed = asked(envoy, "/admin", ("x-key", "good"))
        assert allowed is not None and allowed.seen["headers"]["x-user"] == "ann"
        assert seen[-1].attributes.request.http.path == "/admin"


def test_connections_that_carry_bytes_ask_over_grpc_alone(envoy: Lab) -> None:
    by_port = custom(rules=[{"to": [{"operation": {"ports": ["9000"]}}]}])
    with over_grpc() as (seen, port):
        case = serve(envoy, port, {"envoyExtAuthzGrpc": GRPC}, by_port)
        assert [each.action for each in _network(case)] == ["CUSTOM"]
        before = len(seen)
        answer = asked(envoy, "/", port=9000)
        assert answer is not None and len(seen) > before
    with over_http(envoy) as (_, port):
        case = serve(envoy, port, {"envoyExtAuthzHttp": HTTP}, by_port)
        assert _network(case) == ()


@pytest.mark.parametrize(
    ("provider", "reason"),
    [
        ({"envoyExtAuthzGrpc": {**GRPC, "service": "other.auth.svc.cluster.local"}}, "there is no service other.auth"),
        ({"envoyExtAuthzGrpc": {**GRPC, "service": "shop/auth.auth.svc.cluster.local"}}, "there is no service shop/"),
        ({"envoyExtAuthzGrpc": {**GRPC, "port": 81}}, "has no port 81"),
        ({"envoyExtAuthzGrpc": {**GRPC, "port": 0}}, "port 0 is not between"),
        ({"envoyExtAuthzGrpc": {**GRPC, "statusOnError": "999"}}, "statusOnError 999"),
        ({"envoyExtAuthzHttp": {**HTTP, "pathPrefix": "check"}}, "has to begin with /"),
        ({"envoyExtAuthzHttp": {**HTTP, "headersToUpstreamOnAllow": ["*"]}}, "may not be * alone"),
        ({"envoyExtAuthzHttp": {**HTTP, "port": "80"}}, "port: Input should be"),
        ({"zipkin": {}}, "neither envoyExtAuthzHttp nor"),
        ({"name": "other"}, "has only other"),
    ],
)
def test_a_provider_that_cannot_be_asked_refuses_what_its_policies_match(
    envoy: Lab, provider: dict[str, Any], reason: str
) -> None:
    case = serve(envoy, 1, provider, custom())
    (fault,) = [each for each in case.build().faults if each.code.id == "LG2043"]
    assert reason in fault.message
    _eventually(envoy, "/admin", 403)
    found = asked(envoy, "/admin")
    assert found is not None and found.body == b"RBAC: access denied"
    decision = decide(case.build().gateway, Request(8080, "b.example", "/admin"))
    assert not isinstance(decision.outcome, Closed) and not decision.rulings[-1].allowed


def _network(case: Case) -> tuple[Rbac, ...]:
    filters = case.build().gateway.filters
    return tuple(each for each in filters.network if isinstance(each, Rbac)) if filters else ()


def _eventually(envoy: Lab, path: str, status: int) -> None:
    """A worker may take a configuration a moment after it was acknowledged."""
    for attempt in range(20):
        found = asked(envoy, path)
        if found is not None and found.status == status:
            return
        envoy.run(asyncio.sleep(0.01 * attempt))
    raise AssertionError(f"{found} instead of {status}")
