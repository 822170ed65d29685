"""What clients and targets see of a load balancer that a real Envoy serves."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from alb_lab import Answer, Lab, certificate, client_context, laboratory, read_answer, read_request

from lockgate.loadbalancer.model import (
    Action,
    FixedResponse,
    Forward,
    HostHeader,
    Listener,
    LoadBalancer,
    MutualAuthentication,
    PathPattern,
    Redirect,
    Rewrite,
    Rule,
    TargetGroup,
    WeightedTargetGroup,
)
from lockgate.xds.loadbalancer import Endpoint, TrustStore, clusters, listeners, unserved
from lockgate.xds.loadbalancer.metrics import cloudwatch

ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:"
NOT_FOUND = FixedResponse("404", "text/plain", "nothing here")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with laboratory() as lab:
        yield lab


def group(name: str, **more: object) -> TargetGroup:
    return replace(TargetGroup(f"{ARN}targetgroup/{name}/0123456789abcdef", name, 80), **more)  # type: ignore[arg-type]


def forward(*groups: TargetGroup, weights: tuple[int, ...] = (), sticky: int | None = None) -> Forward:
    shares = weights or (1,) * len(groups)
    return Forward(
        tuple(WeightedTargetGroup(each.reference, weight) for each, weight in zip(groups, shares, strict=True)), sticky
    )


def balancer(*groups: TargetGroup, listeners: tuple[Listener, ...], **attributes: str) -> LoadBalancer:
    return LoadBalancer(
        name="lab",
        arn=f"{ARN}loadbalancer/app/lab/0123456789abcdef",
        dns_name="lab-1.us-east-1.elb.amazonaws.com",
        listeners=listeners,
        target_groups={each.reference: each for each in groups},
        attributes={key.replace("__", "."): value for key, value in attributes.items()},
    )


def http(*rules: Rule, default: Action = NOT_FOUND, port: int = 80, **attributes: str) -> Listener:
    named = {f"routing.http.response.{key}": value for key, value in attributes.items()}
    return Listener(port, "HTTP", (default,), rules=rules, attributes=named)


def get(path: str = "/", host: str = "a.example.com", *headers: str, method: str = "GET") -> str:
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n" + "".join(f"{each}\r\n" for each in headers) + "\r\n"


def page(status: str) -> bytes:
    return (
        f"<html>\r\n<head><title>{status}</title></head>\r\n<body>\r\n"
        f"<center><h1>{status}</h1></center>\r\n</body>\r\n</html>\r\n"
    ).encode()


WEB = group("web")
API = group("api")


# --- headers towards the target ----------------------------------------------------------------------------------


def test_a_target_sees_the_load_balancers_headers_and_none_of_envoys(lab: Lab) -> None:
    one = balancer(WEB, listeners=(http(default=forward(WEB)),))
    lab.serve(one)
    answer = lab.ask(
        one, get("/a//b/../%2e?q=%20", "A.example.com:8080", "X-Custom: Kept", "X-Forwarded-Proto: gopher")
    )
    assert answer.status == 200
    assert answer.seen["path"] == "/a//b/../%2e?q=%20"
    assert answer.seen_header("host") == ["A.example.com"]
    assert answer.seen_header("x-forwarded-for") == ["127.0.0.1"]
    assert answer.seen_header("x-forwarded-proto") == ["http"]
    assert answer.seen_header("x-forwarded-port") == ["80"]
    assert {name for name, _ in answer.seen["headers"]} == {
        "Host",
        "X-Custom",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X-Amzn-Trace-Id",
    }
    assert {name for name, _ in answer.headers} == {"Content-Length", "Server", "Date"}
    assert answer.header("server") == "target"


TRACES = {
    "none": ((), r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}"),
    "a root is kept behind a fresh Self": (
        ("Root=1-67891233-abcdef012345678912345678;CalledFrom=app",),
        r"Self=1-[0-9a-f]{8}-[0-9a-f]{24};Root=1-67891233-abcdef012345678912345678;CalledFrom=app",
    ),
    "a Self is replaced": (
        ("Self=1-67891234-12456789abcdef012345678;Root=1-67891233-abcdef012345678912345678",),
        r"Self=1-[0-9a-f]{8}-[0-9a-f]{24};Root=1-67891233-abcdef012345678912345678",
    ),
    "custom fields alone get a root": (("CalledFrom=app",), r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};CalledFrom=app"),
}


@pytest.mark.parametrize("name", TRACES)
def test_the_trace_header(lab: Lab, name: str) -> None:
    sent, wanted = TRACES[name]
    one = balancer(WEB, listeners=(http(default=forward(WEB)),))
    lab.serve(one)
    answer = lab.ask(one, get("/", "a", *(f"X-Amzn-Trace-Id: {each}" for each in sent)))
    assert re_match(wanted, answer.seen_header("x-amzn-trace-id"))


def test_large_headers_replace_the_trace_header(lab: Lab) -> None:
    one = balancer(WEB, listeners=(http(default=forward(WEB)),))
    lab.serve(one)
    sent = "X-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678;CalledFrom=app"
    few, many = (lab.ask(one, get("/", "a", sent, "X: " + "x" * size)) for size in (6800, 7200))
    assert re_match(r"Self=.*;CalledFrom=app", few.seen_header("x-amzn-trace-id"))
    assert re_match(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", many.seen_header("x-amzn-trace-id"))


def re_match(pattern: str, values: list[str]) -> bool:
    import re

    return len(values) == 1 and re.fullmatch(pattern, values[0]) is not None


FORWARDED = {
    "append is the default": ({}, ["1.2.3.4"], ["1.2.3.4, 127.0.0.1"]),
    "append to none": ({}, [], ["127.0.0.1"]),
    "preserve": ({"routing__http__xff_header_processing__mode": "preserve"}, ["1.2.3.4"], ["1.2.3.4"]),
    "preserve keeps it absent": ({"routing__http__xff_header_processing__mode": "preserve"}, [], []),
    "remove": ({"routing__http__xff_header_processing__mode": "remove"}, ["1.2.3.4"], []),
}


@pytest.mark.parametrize("name", FORWARDED)
def test_x_forwarded_for(lab: Lab, name: str) -> None:
    attributes, sent, wanted = FORWARDED[name]
    one = balancer(WEB, listeners=(http(default=forward(WEB)),), **attributes)
    lab.serve(one)
    answer = lab.ask(one, get("/", "a", *(f"X-Forwarded-For: {each}" for each in sent)))
    assert answer.seen_header("x-forwarded-for") == wanted


def test_x_forwarded_for_with_the_clients_port(lab: Lab) -> None:
    one = balancer(WEB, listeners=(http(default=forward(WEB)),), routing__http__xff_client_port__enabled="true")
    lab.serve(one)
    assert re_match(r"127\.0\.0\.1:\d+", lab.ask(one, get()).seen_header("x-forwarded-for"))
    both = lab.ask(one, get("/", "a", "X-Forwarded-For: 1.2.3.4")).seen_header("x-forwarded-for")
    assert re_match(r"1\.2\.3\.4, 127\.0\.0\.1:\d+", both)


@pytest.mark.parametrize(
    ("port", "preserved", "sent", "seen"),
    [
        (80, "false", "a.example.com:80", "a.example.com"),
        (80, "true", "a.example.com:80", "a.example.com:80"),
        (8080, "false", "a.example.com", "a.example.com:8080"),
        (8080, "false", "a.example.com:99", "a.example.com:99"),
        (8080, "true", "a.example.com", "a.example.com"),
    ],
)
def test_the_host_header(lab: Lab, port: int, preserved: str, sent: str, seen: str) -> None:
    attributes = {"routing__http__preserve_host_header__enabled": preserved}
    one = balancer(WEB, listeners=(http(default=forward(WEB), port=port),), **attributes)
    lab.serve(one)
    assert lab.ask(one, get("/", sent), port=port).seen_header("host") == [seen]


def test_invalid_header_names_are_dropped_when_asked_for(lab: Lab) -> None:
    for drops, wanted in (("false", {"a_b", "c.d", "E-f"}), ("true", {"E-f"})):
        attributes = {"routing__http__drop_invalid_header_fields__enabled": drops}
        one = balancer(WEB, listeners=(http(default=forward(WEB)),), **attributes)
        lab.serve(one)
        seen = lab.ask(one, get("/", "a", "a_b: 1", "c.d: 2", "E-f: 3")).seen["headers"]
        assert {name for name, _ in seen} & {"a_b", "c.d", "E-f"} == wanted


# --- what the load balancer answers itself -----------------------------------------------------------------------


def test_a_fixed_response_is_sent_as_it_is(lab: Lab) -> None:
    one = balancer(listeners=(http(default=FixedResponse("503", "application/json", '{"at": "100%"}')),))
    lab.serve(one)
    answer = lab.ask(one, get())
    assert (answer.status, answer.body) == (503, b'{"at": "100%"}')
    assert answer.header("content-type") == "application/json"
    assert answer.header("server") == "awselb/2.0"


REDIRECTS = {
    "to https": (Redirect("HTTP_301", protocol="HTTPS", port="443"), 301, "https://a.example.com:443/x?y=1"),
    "a port kept is the listener's": (Redirect("HTTP_302", path="/z"), 302, "http://a.example.com:80/z?y=1"),
    "path moved": (Redirect("HTTP_302", path="/new/#{path}"), 302, "http://a.example.com:80/new/x?y=1"),
    "query dropped": (Redirect("HTTP_301", host="b.example.com", query=""), 301, "http://b.example.com:80/x"),
    "all placeholders": (
        Redirect("HTTP_301", "HTTPS", "www.#{host}", "8443", "/#{host}/#{port}/#{path}", "p=#{protocol}&#{query}"),
        301,
        "https://www.a.example.com:8443/a.example.com/80/x?p=http&y=1",
    ),
}


@pytest.mark.parametrize("name", REDIRECTS)
def test_redirects(lab: Lab, name: str) -> None:
    redirect, status, location = REDIRECTS[name]
    one = balancer(listeners=(http(default=redirect),))
    lab.serve(one)
    answer = lab.ask(one, get("/x?y=1", "a.example.com:1234"))
    assert (answer.status, answer.header("location")) == (status, location)
    assert answer.body == page({301: "301 Moved Permanently", 302: "302 Found"}[status])
    assert (answer.header("server"), answer.header("content-type")) == ("awselb/2.0", "text/html")


async def _reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.transport.abort()


async def _nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"SMTP 220 hello\r\n\r\n")


async def _close_at_once(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def test_errors_of_targets_have_the_load_balancers_status_and_page(lab: Lab) -> None:
    dead, resetting, silly, closing, empty, plain = (
        group(name) for name in ("dead", "resetting", "silly", "closing", "empty", "plain")
    )
    tls = replace(group("tls"), protocol="HTTPS")
    groups = (dead, resetting, silly, closing, empty, tls)
    rules = tuple(
        Rule(at, (PathPattern((f"/{each.name}",)),), (forward(each),)) for at, each in enumerate(groups, start=1)
    )
    one = balancer(*groups, plain, listeners=(http(*rules),))
    port = {each.name: lab.run(lab.listen(how)) for each, how in ((resetting, _reset), (silly, _nonsense))}
    port["closing"] = lab.run(lab.listen(_close_at_once))
    endpoints = {each.reference: [Endpoint("127.0.0.1", port[each.name])] for each in (resetting, silly, closing)}
    endpoints |= {dead.reference: [Endpoint("127.0.0.1", 1)], empty.reference: []}
    endpoints[tls.reference] = [Endpoint("127.0.0.1", port["closing"])]  # speaks no TLS
    lab.serve(one, endpoints)
    wanted = {"dead": 502, "resetting": 502, "silly": 502, "closing": 502, "tls": 502, "empty": 503}
    for name, status in wanted.items():
        answer = lab.ask(one, get(f"/{name}"))
        title = {502: "502 Bad Gateway", 503: "503 Service Temporarily Unavailable"}[status]
        assert (answer.status, answer.body) == (status, page(title)), name
        assert (answer.header("server"), answer.header("content-type")) == ("awselb/2.0", "text/html")


async def _silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


def test_a_silent_target_is_504_and_a_silent_client_408(lab: Lab) -> None:
    one = balancer(WEB, listeners=(http(default=forward(WEB)),), idle_timeout__timeout_seconds="1")
    lab.serve(one, {WEB.reference: [Endpoint("127.0.0.1", lab.run(lab.listen(_silent)))]})
    answer = lab.ask(one, get())
    assert (answer.status, answer.body) == (504, page("504 Gateway Time-out"))
    answer = lab.ask(one, get("/", "a", "Content-Length: 5", method="PUT"))
    assert (answer.status, answer.header("server")) == (408, "awselb/2.0")


def test_connections_that_are_idle_are_closed(lab: Lab) -> None:
    async def upgraded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        await reader.read()

    rule = Rule(1, (PathPattern(("/ws",)),), (forward(API),))
    one = balancer(WEB, API, listeners=(http(rule, default=forward(WEB)),), idle_timeout__timeout_seconds="1")
    lab.serve(one, {API.reference: [Endpoint("127.0.0.1", lab.run(lab.listen(upgraded)))]})

    async def until_closed(request: str, statuses: list[int]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", lab.port(one, 80))
        writer.write(request.encode())
        if request:
            statuses.append((await read_answer(reader)).status)
        assert await reader.read() == b""

    async def all_closed() -> list[int]:
        statuses: list[int] = []
        websocket = get("/ws", "a", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA==")
        async with asyncio.timeout(4), asyncio.TaskGroup() as tasks:
            for request in ("", get(), "GET / HTTP/1.1\r\n", websocket):
                tasks.create_task(until_closed(request, statuses))
        return statuses

    assert sorted(lab.run(all_closed())) == [101, 200, 408]


def test_a_connection_that_moves_stays_until_it_is_old(lab: Lab) -> None:
    attributes = {"idle_timeout__timeout_seconds": "1", "client_keep_alive__seconds": "2"}
    one = balancer(WEB, listeners=(http(default=forward(WEB)),), **attributes)
    lab.serve(one)

    async def slowly() -> tuple[Answer, list[str | None]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", lab.port(one, 80))
        writer.write(get("/", "a", "Content-Length: 5", method="PUT").encode())
        for byte in b"hello":
            await asyncio.sleep(0.3)
            writer.write(bytes([byte]))
        answer = await read_answer(reader)
        seen = []
        while "close" not in seen:
            writer.write(get().encode())
            seen.append((await read_answer(reader)).header("connection"))
        assert await reader.read() == b""
        return answer, seen

    answer, seen = lab.run(slowly())
    assert (answer.status, answer.seen["body"]) == (200, "hello")
    assert seen[0] is None


def test_a_body_is_asked_for_with_100(lab: Lab) -> None:
    one = balancer(WEB, listeners=(http(default=forward(WEB)),))
    lab.serve(one)

    async def asked() -> tuple[bytes, Answer]:
        reader, writer = await asyncio.open_connection("127.0.0.1", lab.port(one, 80))
        writer.write(get("/", "a", "Expect: 100-continue", "Content-Length: 2", method="PUT").encode())
        first = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"hi")
        return first, await read_answer(reader)

    first, answer = lab.run(asked())
    assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert (answer.seen["body"], answer.seen_header("expect")) == ("hi", [])


def test_a_target_that_never_answers_the_tls_handshake_is_502(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "CONNECT_SECONDS", 1)
    mute = replace(group("mute"), protocol="HTTPS")
    one = balancer(mute, listeners=(http(default=forward(mute)),))
    lab.serve(one, {mute.reference: [Endpoint("127.0.0.1", lab.run(lab.listen(_silent)))]})
    answer = lab.ask(one, get())
    assert (answer.status, answer.body) == (502, page("502 Bad Gateway"))


@pytest.mark.parametrize("protocol", ["HTTP", "HTTPS"])
def test_reason_phrases_are_the_load_balancers(lab: Lab, protocol: Literal["HTTP", "HTTPS"]) -> None:
    """On plain HTTP, only those of rules with their own response."""
    rule = Rule(1, (PathPattern(("/fixed",)),), (FixedResponse("503", "text/plain", "gone"),))
    moved = Rule(2, (PathPattern(("/moved",)),), (Redirect("HTTP_302", path="/x"),))
    dead = Rule(3, (PathPattern(("/dead",)),), (forward(API),))
    plain = http(rule, moved, dead, default=forward(WEB))
    port = 80 if protocol == "HTTP" else 443
    certificates = (f"{ARN}certificate/a.example.com",) if protocol == "HTTPS" else ()
    one = balancer(WEB, API, listeners=(replace(plain, port=port, protocol=protocol, certificates=certificates),))
    lab.serve(one, {API.reference: []})
    asked = {"/fixed": get("/fixed"), "/moved": get("/moved"), "/dead": get("/dead"), "trace": get(method="TRACE")}
    asked |= {"long": get("/" + "x" * 17000), "far": get("/fixed?" + "x" * 17000), "/": get()}
    answers = {name: lab.ask(one, request, port=port) for name, request in asked.items()}
    assert {name: f"{answer.status} {answer.reason}" for name, answer in answers.items()} == {
        "/fixed": "503 Service Temporarily Unavailable",
        "/moved": "302 Moved Temporarily",
        "/dead": "503 Service Temporarily Unavailable" if protocol == "HTTPS" else "503 Service Unavailable",
        "trace": "405 Not Allowed",
        "long": "414 Request-URI Too Large" if protocol == "HTTPS" else "414 URI Too Long",
        "far": "414 Request-URI Too Large",
        "/": "200 OK",
    }
    assert not any(answer.header("x-lockgate-own") for answer in answers.values())
    assert answers["/fixed"].header("content-type") == "text/plain; charset=utf-8"
    assert {answers[name].body for name in ("long", "far")} == {page("414 Request-URI Too Large")}


REFUSALS = {
    "TRACE": (get(method="TRACE"), 405),
    "a bad length": (get("/", "a", "Content-Length: x"), 400),
    "no host": ("GET / HTTP/1.1\r\n\r\n", 400),
    "headers over 64 K": (get("/", "a", "X: " + "x" * 66000), 400),
    "a target over 16 K": (get("/" + "x" * 17000), 414),
    "31 addresses": (get("/", "a", "X-Forwarded-For: " + ", ".join(["10.0.0.1"] * 31)), 463),
    "an unknown transfer coding": (get("/", "a", "Transfer-Encoding: gzip", method="PUT"), 501),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_requests_that_are_refused(lab: Lab, name: str) -> None:
    request, status = REFUSALS[name]
    one = balancer(WEB, listeners=(http(default=forward(WEB)),))
    lab.serve(one)
    answer = lab.ask(one, request)
    kind = None if status == 463 else "text/html"  # which has no page
    assert (answer.status, answer.header("server"), answer.header("content-type")) == (status, "awselb/2.0", kind)


def test_thirty_addresses_pass(lab: Lab) -> None:
    one = balancer(WEB, listeners=(http(default=forward(WEB)),))
    lab.serve(one)
    assert lab.ask(one, get("/", "a", "X-Forwarded-For: " + ", ".join(["10.0.0.1"] * 30))).status == 200


def test_the_strictest_desync_mode_refuses_what_the_default_lets_pass(lab: Lab) -> None:
    both = get("/", "a", "Transfer-Encoding: chunked", "Content-Length: 5", method="PUT") + "0\r\n\r\n"
    body_of_get = get("/", "a", "Content-Length: 1") + "x"
    for mode, status in (("defensive", 200), ("monitor", 200), ("strictest", 400)):
        attributes = {"routing__http__desync_mitigation_mode": mode}
        one = balancer(WEB, listeners=(http(default=forward(WEB)),), **attributes)
        lab.serve(one)
        assert lab.ask(one, both).status == status
        assert lab.ask(one, body_of_get).status == status


async def _until_closed(lab: Lab, one: LoadBalancer, request: str, *, heard: list[str]) -> tuple[list[int], bool]:
    """The answers to a request and a second one, and whether the connection was closed in between."""
    reader, writer = await asyncio.open_connection("127.0.0.1", lab.port(one, 80))
    statuses = []
    try:
        writer.write(request.encode("latin-1"))
        first = await read_answer(reader)
        statuses.append(first.status)
        heard.append(first.header("connection") or "")
        writer.write(get().encode())
        statuses.append((await read_answer(reader)).status)
    except (asyncio.IncompleteReadError, ConnectionError):
        return statuses, True
    finally:
        writer.transport.abort()
    return statuses, False


AMBIGUOUS = {
    "a length of a GET": (get("/", "a", "Content-Length: 1") + "x", "Ambiguous"),
    "a coding of a GET": (get("/", "a", "Transfer-Encoding: chunked") + "0\r\n\r\n", "Ambiguous"),
    "a length of nothing of a GET": (get("/", "a", "Content-Length: 0"), "Acceptable"),
    "a length of a PUT": (get("/", "a", "Content-Length: 1", method="PUT") + "x", "Compliant"),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_after_ambiguous_requests_the_connections_are_closed(lab: Lab, name: str) -> None:
    request, kind = AMBIGUOUS[name]
    for mode in ("monitor", "defensive", "strictest"):
        one = balancer(WEB, listeners=(http(default=forward(WEB)),), routing__http__desync_mitigation_mode=mode)
        lab.serve(one)
        heard: list[str] = []
        statuses, closed = lab.run(_until_closed(lab, one, request, heard=heard))
        refused = mode == "strictest" and kind != "Compliant"
        cut = mode == "defensive" and kind == "Ambiguous"
        assert statuses[0] == (400 if refused else 200), mode
        assert closed == (cut or refused), mode
        if not refused:
            seen = lab.ask(one, request).seen_header("connection")
            assert seen == (["close"] if cut else []), mode


def test_a_single_header_may_have_less_than_16_K_and_all_together_more(lab: Lab) -> None:
    rule = Rule(1, (PathPattern(("/fixed",)),), (FixedResponse("200"),))
    moved = Rule(2, (PathPattern(("/moved",)),), (Redirect("HTTP_301", path="/x/#{host}"),))
    one = balancer(WEB, listeners=(http(rule, moved, default=forward(WEB)),))
    lab.serve(one)
    for path, status in (("/", 200), ("/fixed", 200), ("/moved", 301)):
        for size, wanted in ((16384, 400), (16383, status)):
            assert lab.ask(one, get(path, "a", "Cookie: " + "x" * (size - 8))).status == wanted, (path, size)
        several = [f"X-{at}: " + "x" * 15000 for at in range(4)]
        answer = lab.ask(one, get(path, "a", *several))
        assert answer.status == status, path
    assert lab.ask(one, get("/", "a")).seen_header("x-lockgate-size") == []


def test_what_is_refused_before_any_rule_is_refused_whatever_the_rule_does(lab: Lab) -> None:
    many = "X-Forwarded-For: " + ", ".join(["10.0.0.1"] * 31)
    for action in (FixedResponse("200"), Redirect("HTTP_301", path="/x"), Redirect("HTTP_301", path="/#{host}")):
        one = balancer(listeners=(http(default=action),))
        lab.serve(one)
        assert lab.ask(one, get("/" + "x" * 17000)).status == 414
        assert lab.ask(one, get("/", "a", many)).status == 463


def test_listener_attributes_add_response_headers_to_every_answer(lab: Lab) -> None:
    rule = Rule(1, (PathPattern(("/web",)),), (forward(WEB),))
    dead = Rule(2, (PathPattern(("/dead",)),), (forward(API),))
    attributes = {"strict_transport_security.header_value": "max-age=1", "server.enabled": "false"}
    one = balancer(WEB, API, listeners=(http(rule, dead, **attributes),))  # type: ignore[arg-type]
    lab.serve(one, {API.reference: [Endpoint("127.0.0.1", 1)]})
    for path, status in (("/web", 200), ("/dead", 502), ("/", 404)):
        answer = lab.ask(one, get(path))
        assert (answer.status, answer.header("strict-transport-security")) == (status, "max-age=1")
        assert answer.header("server") == ("target" if path == "/web" else None)


# --- targets -----------------------------------------------------------------------------------------------------


def test_a_draining_target_gets_nothing_new(lab: Lab) -> None:
    one = balancer(WEB, listeners=(http(default=forward(WEB)),))
    gone = lab.run(lab.listen(_reset))
    lab.serve(one)
    here = lab.targets[f"{WEB.reference} False"]
    lab.serve(one, {WEB.reference: [Endpoint("127.0.0.1", gone, draining=True), Endpoint("127.0.0.1", here)]})
    assert {lab.ask(one, get()).status for _ in range(8)} == {200}
    lab.serve(one, {WEB.reference: [Endpoint("127.0.0.1", gone, draining=True)]})
    assert lab.ask(one, get()).status == 503


@pytest.mark.parametrize("mitigation", ["on", "off"])
def test_a_target_that_fails_alone_is_left_out_where_anomalies_are_mitigated(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, mitigation: str
) -> None:
    async def failing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await read_request(reader)
                writer.write(b"HTTP/1.1 500 So\r\nContent-Length: 0\r\n\r\n")

    monkeypatch.setattr(clusters, "ANOMALY_MILLISECONDS", 50)
    chosen = {"type": "weighted_random", "anomaly_mitigation": mitigation}
    attributes = {f"load_balancing.algorithm.{name}": value for name, value in chosen.items()}
    odd = replace(group(f"odd-{mitigation}"), attributes=attributes)
    one = balancer(odd, listeners=(http(default=forward(odd)),))
    bad = Endpoint("127.0.0.1", lab.run(lab.listen(failing)))
    lab.serve(one, {odd.reference: [*two_targets(lab), bad]})
    in_a_row = asked = 0
    while in_a_row < 60 and asked < 1000:  # which chance alone does not bring
        asked += 1
        in_a_row = in_a_row + 1 if lab.ask(one, get()).status == 200 else 0
    assert (in_a_row == 60) == (mitigation == "on")
    (count,) = [
        each.value for each in cloudwatch(lab.stats(), [one], lambda _: []) if each.name == "MitigatedHostCount"
    ] or [0]
    assert count == (mitigation == "on")


def test_weights_share_and_zero_gets_nothing(lab: Lab) -> None:
    third = group("third")
    one = balancer(WEB, API, third, listeners=(http(default=forward(WEB, API, third, weights=(1, 1, 0))),))
    lab.serve(one)
    seen = {lab.ask(one, get()).seen["target"] for _ in range(40)}
    assert seen == {"web", "api"}
    none = balancer(WEB, listeners=(http(default=forward(WEB, weights=(0,))),))
    lab.serve(none)
    assert lab.ask(none, get()).status == 503


def cookies(answer: Answer) -> dict[str, str]:
    return {each.partition("=")[0]: each for each in answer.all("set-cookie")}


def test_a_sticky_target_group_keeps_its_client_by_AWSALBTG(lab: Lab) -> None:
    one = balancer(WEB, API, listeners=(http(default=forward(WEB, API, sticky=60)),))
    lab.serve(one)
    first = lab.ask(one, get())
    given = cookies(first)
    assert set(given) == {"AWSALBTG", "AWSALBTGCORS"}
    assert re_match(r"AWSALBTG=\w+; Expires=\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT; Path=/", [given["AWSALBTG"]])
    assert given["AWSALBTGCORS"].endswith("; Path=/; SameSite=None; Secure")
    for name in given:
        cookie = given[name].partition(";")[0]
        seen = {lab.ask(one, get("/", "a", f"Cookie: x=y; {cookie}")).seen["target"] for _ in range(12)}
        assert seen == {first.seen["target"]}
    assert first.seen_header("x-lockgate-cluster") == []


def _named(name: str, *headers: str) -> object:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await read_request(reader)
                head = "".join(f"{each}\r\n" for each in headers)
                body = f'{{"target": "{name}"}}'.encode()
                writer.write(f"HTTP/1.1 200 OK\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass

    return handle


def two_targets(lab: Lab, *headers: str) -> list[Endpoint]:
    return [Endpoint("127.0.0.1", lab.run(lab.listen(_named(name, *headers)))) for name in ("one", "two")]  # type: ignore[arg-type]


def test_a_sticky_target_keeps_its_client_by_AWSALB(lab: Lab) -> None:
    sticky = replace(WEB, attributes={"stickiness.enabled": "true", "stickiness.type": "lb_cookie"})
    one = balancer(sticky, listeners=(http(default=forward(sticky)),))
    targets = two_targets(lab)
    lab.serve(one, {sticky.reference: targets})
    first = lab.ask(one, get())
    given = cookies(first)
    assert set(given) == {"AWSALB", "AWSALBCORS"}
    kept = given["AWSALB"].partition(";")[0]
    answers = [lab.ask(one, get("/", "a", f"Cookie: {kept}")) for _ in range(8)]
    assert {each.seen["target"] for each in answers} == {first.seen["target"]}
    assert all(set(cookies(each)) == {"AWSALB", "AWSALBCORS"} for each in answers)
    assert len({lab.ask(one, get("/", "a", "Cookie: AWSALB=nonsense")).seen["target"] for _ in range(8)}) == 2

    at = 0 if first.seen["target"] == "one" else 1
    left = [replace(targets[at], draining=True), targets[1 - at]]
    lab.serve(one, {sticky.reference: left})
    moved = lab.ask(one, get("/", "a", f"Cookie: {kept}"))
    assert moved.seen["target"] != first.seen["target"]
    assert "AWSALB" in cookies(moved)


def test_a_sticky_target_keeps_its_client_by_the_applications_cookie(lab: Lab) -> None:
    attributes = {
        "stickiness.enabled": "true",
        "stickiness.type": "app_cookie",
        "stickiness.app_cookie.cookie_name": "session",
    }
    sticky = replace(WEB, attributes=attributes)
    one = balancer(sticky, listeners=(http(default=forward(sticky)),))
    lab.serve(one, {sticky.reference: two_targets(lab)})
    assert cookies(lab.ask(one, get())) == {}
    lab.serve(one, {sticky.reference: two_targets(lab, "Set-Cookie: session=1")})
    first = lab.ask(one, get())
    assert set(cookies(first)) == {"session", "AWSALBAPP-0"}
    kept = cookies(first)["AWSALBAPP-0"].partition(";")[0]
    both = {lab.ask(one, get("/", "a", f"Cookie: session=1; {kept}")).seen["target"] for _ in range(8)}
    assert both == {first.seen["target"]}
    assert len({lab.ask(one, get("/", "a", f"Cookie: {kept}")).seen["target"] for _ in range(8)}) == 2


def test_rewrites_change_what_the_target_sees_after_the_rule_is_chosen(lab: Lab) -> None:
    transforms = (
        Rewrite("host-header", r"^shop-(.+)\.example\.com$", "$1.internal.example"),
        Rewrite("url", r"^/old/([^?]*)", "/new/$1"),
    )
    rule = Rule(1, (PathPattern(("/old/*",)),), (forward(WEB),), transforms)
    bad = Rule(2, (PathPattern(("/bad",)),), (forward(WEB),), (Rewrite("url", "^/bad", "nowhere"),))
    other = Rule(3, (PathPattern(("/new/*",)),), (forward(API),))
    one = balancer(WEB, API, listeners=(http(rule, bad, other),))
    lab.serve(one)
    seen = lab.ask(one, get("/old/a?b=/old/", "shop-eu.example.com"))
    assert (seen.seen["target"], seen.seen["path"]) == ("web", "/new/a?b=/old/")
    assert seen.seen_header("host") == ["eu.internal.example"]
    unchanged = lab.ask(one, get("/old/a", "b.example.com"))
    assert unchanged.seen_header("host") == ["b.example.com"]
    assert lab.ask(one, get("/bad")).status == 500


# --- TLS ---------------------------------------------------------------------------------------------------------


def test_targets_are_reached_over_TLS_whatever_their_certificate(lab: Lab) -> None:
    secure = replace(group("secure"), protocol="HTTPS")
    certificates = (f"{ARN}certificate/a.example.com", f"{ARN}certificate/b.example.com")
    for policy, version in (("", "TLSv1.2"), ("ELBSecurityPolicy-TLS13-1-2-2021-06", "TLSv1.3")):
        listener = Listener(443, "HTTPS", (forward(secure),), certificates=certificates, ssl_policy=policy)
        one = balancer(secure, listeners=(listener,))
        lab.serve(one)
        answer = lab.ask(one, get(), port=443, server_name="a.example.com")
        assert answer.seen["tls"] == version
        assert answer.seen_header("x-forwarded-proto") == ["https"]
        assert answer.seen_header("x-forwarded-port") == ["443"]


def test_the_certificate_is_chosen_by_server_name_and_the_default_one_serves_others(lab: Lab) -> None:
    certificates = tuple(f"{ARN}certificate/{name}" for name in ("a.example.com", "b.example.com"))
    one = balancer(WEB, listeners=(Listener(443, "HTTPS", (forward(WEB),), certificates=certificates),))
    lab.serve(one)

    async def presented(server_name: str) -> bytes | None:
        from alb_lab import client_context

        _, writer = await asyncio.open_connection(
            "127.0.0.1", lab.port(one, 443), ssl=client_context(), server_hostname=server_name
        )
        certificate: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.transport.abort()
        return certificate

    a, b, other, none = (lab.run(presented(name)) for name in ("a.example.com", "b.example.com", "c.example.com", ""))
    assert a == other == none
    assert b not in (None, a)


@pytest.mark.parametrize(
    ("policy", "newest", "spoken"),
    [
        ("ELBSecurityPolicy-2016-08", "TLSv1_3", "TLSv1.2"),
        ("ELBSecurityPolicy-TLS13-1-2-2021-06", "TLSv1_3", "TLSv1.3"),
        ("ELBSecurityPolicy-TLS13-1-2-2021-06", "TLSv1_2", "TLSv1.2"),
        ("ELBSecurityPolicy-TLS13-1-3-2021-06", "TLSv1_2", None),
        ("ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09", "TLSv1_3", "TLSv1.3"),
    ],
)
def test_security_policies(lab: Lab, policy: str, newest: str, spoken: str | None) -> None:
    certificates = (f"{ARN}certificate/a.example.com",)
    one = balancer(listeners=(Listener(443, "HTTPS", (NOT_FOUND,), certificates=certificates, ssl_policy=policy),))
    lab.serve(one)

    async def shake() -> str | None:
        from alb_lab import client_context

        context = client_context()
        context.maximum_version = ssl.TLSVersion[newest]
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", lab.port(one, 443), ssl=context, server_hostname="")
        except (ssl.SSLError, ConnectionError):
            return None
        version: str = writer.get_extra_info("ssl_object").version()
        writer.transport.abort()
        return version

    assert lab.run(shake()) == spoken


def test_websockets_pass(lab: Lab) -> None:
    async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, headers, _ = await read_request(reader)
        assert dict(headers)["Upgrade"] == "websocket"
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        writer.write((await reader.readexactly(4)).upper())

    one = balancer(WEB, listeners=(http(default=forward(WEB)),))
    lab.serve(one, {WEB.reference: [Endpoint("127.0.0.1", lab.run(lab.listen(upgrade)))]})

    async def talk() -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", lab.port(one, 80))
        writer.write(get("/", "a", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA==").encode())
        answer = await read_answer(reader)
        writer.write(b"ping")
        echoed = await reader.readexactly(4)
        writer.transport.abort()
        return answer.status, echoed

    assert lab.run(talk()) == (101, b"PING")


def test_a_rule_for_a_host_is_met_whatever_the_case_and_port(lab: Lab) -> None:
    rule = Rule(1, (HostHeader(("*.Example.com", "example.org")),), (FixedResponse("200"),))
    one = balancer(listeners=(http(rule),))
    lab.serve(one)
    met = {host: lab.ask(one, get("/", host)).status for host in ("A.b.EXAMPLE.com:81", "example.com", "Example.ORG")}
    assert met == {"A.b.EXAMPLE.com:81": 200, "example.com": 404, "Example.ORG": 200}


# --- mutual TLS, gRPC --------------------------------------------------------------------------------------------


def mutual(mode: str, store: str = "", **attributes: str) -> Listener:
    return Listener(
        443,
        "HTTPS",
        (forward(WEB),),
        certificates=(f"{ARN}certificate/a.example.com",),
        mutual_authentication=MutualAuthentication(mode, store),  # type: ignore[arg-type]
        attributes={f"routing.http.request.{key}.header_name": value for key, value in attributes.items()},
    )


def test_passthrough_hands_the_clients_chain_to_the_target_and_takes_any(lab: Lab) -> None:
    one = balancer(WEB, listeners=(mutual("passthrough"),))
    lab.serve(one)
    known = lab.ask(one, get("/", "a", "X-Amzn-Mtls-Clientcert: forged"), port=443, client=certificate("client"))
    (seen,) = known.seen_header("x-amzn-mtls-clientcert")
    assert seen.startswith("-----BEGIN%20CERTIFICATE-----%0A")
    assert lab.ask(one, get(), port=443).seen_header("x-amzn-mtls-clientcert") == []


def test_verify_accepts_only_trusted_certificates_and_sets_headers(lab: Lab) -> None:
    client = certificate("client")
    attributes = {"routing__http__x_amzn_tls_version_and_cipher_suite__enabled": "true"}
    one = balancer(WEB, listeners=(mutual("verify", "store", x_amzn_mtls_clientcert_subject="X-Who"),), **attributes)
    lab.trust_stores["store"] = TrustStore(client.chain)
    lab.serve(one)
    seen = lab.ask(one, get(), port=443, client=client)
    assert seen.seen_header("x-who") == ["CN=client"]
    assert seen.seen_header("x-amzn-mtls-clientcert-issuer") == ["CN=client"]
    assert re_match(r"[0-9a-f]+", seen.seen_header("x-amzn-mtls-clientcert-serial-number"))
    day = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    assert re_match(f"NotBefore={day};NotAfter={day}", seen.seen_header("x-amzn-mtls-clientcert-validity"))
    assert seen.seen_header("x-amzn-tls-version") == ["TLSv1.2"]
    assert re_match(r"ECDHE-ECDSA-AES\w+-GCM-SHA\d+", seen.seen_header("x-amzn-tls-cipher-suite"))
    for refused in (None, certificate("untrusted")):
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            lab.ask(one, get(), port=443, client=refused)


@pytest.mark.parametrize("advertised", [True, False])
def test_a_listener_may_advertise_the_names_of_trusted_cas(lab: Lab, advertised: bool) -> None:
    mode = MutualAuthentication("verify", "store", advertise_trust_store_ca_names=advertised)
    one = balancer(WEB, listeners=(replace(mutual("verify", "store"), mutual_authentication=mode),))
    lab.trust_stores["store"] = TrustStore(certificate("client").chain + certificate("another").chain)
    lab.serve(one)

    async def first_flight() -> bytes:
        """What a server says in TLS 1.2, in the clear, up to its ServerHelloDone."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        with suppress(ssl.SSLWantReadError):
            client_context().wrap_bio(incoming, outgoing).do_handshake()
        reader, writer = await asyncio.open_connection("127.0.0.1", lab.port(one, 443))
        writer.write(outgoing.read())
        return await reader.readuntil(b"\x0e\0\0\0")

    said = lab.run(first_flight())
    assert [name in said for name in (b"client", b"another")] == [advertised, advertised]
    assert lab.ask(one, get(), port=443, client=certificate("client")).status == 200


def test_a_listener_whose_trust_store_is_missing_is_not_served(lab: Lab) -> None:
    listener = mutual("verify", "missing")
    assert unserved(listener, listener.certificates, ()) == "its trust store missing cannot be read"
    assert unserved(listener, (), ("missing",)) == f"its certificate {listener.certificates[0]} is not issued"
    assert unserved(listener, listener.certificates, ("missing",)) is None


def test_an_http_1_client_does_not_reach_targets_of_http_2(lab: Lab) -> None:
    for version in ("HTTP2", "GRPC"):
        two = replace(group("two"), protocol_version=version)
        listener = Listener(443, "HTTPS", (forward(two),), certificates=(f"{ARN}certificate/a.example.com",))
        one = balancer(two, listeners=(listener,))
        lab.serve(one)
        assert lab.ask(one, get(), port=443).status == 464


def test_an_http_2_client_is_served(lab: Lab) -> None:
    import httpx

    certificates = (f"{ARN}certificate/a.example.com",)
    one = balancer(WEB, listeners=(Listener(443, "HTTPS", (forward(WEB),), certificates=certificates),))
    lab.serve(one)

    async def ask(**headers: str) -> httpx.Response:
        async with httpx.AsyncClient(http2=True, verify=False) as client:
            return await client.post(f"https://127.0.0.1:{lab.port(one, 443)}/x", headers=headers, content=b"hello")

    answer = lab.run(ask())
    assert (answer.http_version, answer.status_code, answer.json()["body"]) == ("HTTP/2", 200, "hello")
    refused = lab.run(ask(**{"content-type": "application/grpc"}))
    assert (refused.status_code, refused.content, refused.headers["server"]) == (464, b"", "awselb/2.0")
    assert not {"content-type", "grpc-status", "x-lockgate-own"} & set(refused.headers)


def test_gRPC_clients_are_answered_in_http_like_all_others(lab: Lab) -> None:
    import httpx

    grpc = replace(group("grpc"), protocol_version="GRPC")
    fixed = Rule(1, (PathPattern(("/fixed",)),), (FixedResponse("429", "application/json", '{"100": "%"}'),))
    moved = Rule(2, (PathPattern(("/moved",)),), (Redirect("HTTP_301", path="/x"),))
    empty = Rule(3, (PathPattern(("/empty",)),), (FixedResponse("503"),))
    certificates = (f"{ARN}certificate/a.example.com",)
    listener = Listener(443, "HTTPS", (forward(grpc),), rules=(fixed, moved, empty), certificates=certificates)
    one = balancer(grpc, listeners=(listener,))
    lab.serve(one, {grpc.reference: [Endpoint("127.0.0.1", 1)]})

    async def ask(path: str) -> httpx.Response:
        async with httpx.AsyncClient(http2=True, verify=False) as client:
            url = f"https://127.0.0.1:{lab.port(one, 443)}{path}"
            return await client.post(url, headers={"content-type": "application/grpc"}, content=b"\0\0\0\0\0")

    refused, fixed_answer, redirected, bare = (lab.run(ask(path)) for path in ("/", "/fixed", "/moved", "/empty"))
    assert (refused.status_code, refused.content) == (502, page("502 Bad Gateway"))
    assert (fixed_answer.status_code, fixed_answer.content) == (429, b'{"100": "%"}')
    assert (redirected.status_code, redirected.content) == (301, page("301 Moved Permanently"))
    assert (bare.status_code, bare.content) == (503, b"")
    kinds = [each.headers.get("content-type") for each in (refused, fixed_answer, redirected, bare)]
    assert kinds == ["text/html", "application/json", "text/html", None]
    assert [each.headers["content-length"] for each in (refused, bare)] == ["122", "0"]
    assert not any("grpc-status" in each.headers for each in (refused, fixed_answer, redirected, bare))


def test_a_connection_of_http_2_ends_after_many_requests(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from h2.connection import H2Connection
    from h2.events import ConnectionTerminated, StreamEnded

    monkeypatch.setattr(listeners, "REQUESTS", 3)
    certificates = (f"{ARN}certificate/a.example.com",)
    one = balancer(WEB, listeners=(Listener(443, "HTTPS", (forward(WEB),), certificates=certificates),))
    lab.serve(one)

    async def answered_until_goaway() -> int:
        context = client_context()
        context.set_alpn_protocols(["h2"])
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", lab.port(one, 443), ssl=context, server_hostname="a.example.com"
        )
        connection = H2Connection()
        connection.initiate_connection()
        headers = [(":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", "/")]
        answered = 0
        while True:
            connection.send_headers(connection.get_next_available_stream_id(), headers, end_stream=True)
            writer.write(connection.data_to_send())
            ended = False
            while not ended:
                for event in connection.receive_data(await reader.read(65536)):
                    if isinstance(event, ConnectionTerminated):
                        writer.transport.abort()
                        return answered
                    ended = ended or isinstance(event, StreamEnded)
                writer.write(connection.data_to_send())
            answered += 1

    assert lab.run(answered_until_goaway()) == 2  # GOAWAY comes with the third answer


@pytest.mark.parametrize("protocol", ["HTTP", "HTTPS"])
def test_targets_are_reached_over_http_2(lab: Lab, tmp_path: Path, protocol: Literal["HTTP", "HTTPS"]) -> None:
    import httpx

    from lockgate.embedded.http import serve

    async def target(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await receive()
            headers = [(b"x-version", scope["http_version"].encode()), (b"x-scheme", scope["scheme"].encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"hello"})

    material = certificate("target.example")
    (tmp_path / "chain.pem").write_text(material.chain)
    (tmp_path / "key.pem").write_text(material.key)
    files = (tmp_path / "chain.pem", tmp_path / "key.pem") if protocol == "HTTPS" else None
    server = lab.run(serve(target, certificate=files, hosts=None))
    two = replace(group("two"), protocol_version="HTTP2", protocol=protocol)
    certificates = (f"{ARN}certificate/a.example.com",)
    one = balancer(two, listeners=(Listener(443, "HTTPS", (forward(two),), certificates=certificates),))
    lab.serve(one, {two.reference: [Endpoint("127.0.0.1", server.port)]})

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(http2=True, verify=False) as client:
            return await client.get(f"https://127.0.0.1:{lab.port(one, 443)}/x")

    answer = lab.run(ask())
    with suppress(ssl.SSLError):  # hypercorn hears Envoy's last words after its own
        lab.run(server.stop())
    assert (answer.status_code, answer.text, answer.headers["x-version"]) == (200, "hello", "2")


def test_plain_http_on_an_https_port_gets_an_explanation(lab: Lab) -> None:
    certificates = (f"{ARN}certificate/a.example.com",)
    one = balancer(WEB, listeners=(Listener(443, "HTTPS", (forward(WEB),), certificates=certificates),))
    lab.serve(one)

    async def ask(text: bytes) -> tuple[Answer, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", lab.port(one, 443))
        writer.write(text)
        answer = await read_answer(reader)
        rest = await reader.read()
        writer.close()
        return answer, rest

    for text in (get().encode(), b"GET / HTTP/1.1\r\nno header\r\n\r\n"):
        answer, rest = lab.run(ask(text))
        assert (answer.status, answer.reason, rest) == (400, "Bad Request", b"")
        assert b"<title>400 The plain HTTP request was sent to HTTPS port</title>" in answer.body
        assert answer.header("server") == "awselb/2.0"
        assert answer.header("content-type") == "text/html"
        assert answer.header("connection") == "close"
    assert lab.ask(one, get(), port=443).status == 200


def test_an_http2_preface_on_an_http1_connection_is_505(lab: Lab) -> None:
    one = balancer(WEB, listeners=(http(default=forward(WEB)),))
    lab.serve(one)
    answer = lab.ask(one, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert (answer.status, answer.reason) == (505, "HTTP Version Not Supported")
    assert answer.body == page("505 HTTP Version Not Supported")
    assert answer.header("server") == "awselb/2.0"
