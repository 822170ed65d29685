"""What clients and targets see of a load balancer with a web ACL, through a real Envoy that calls WAF."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alb_lab import Answer, Lab, laboratory, read_answer, read_request
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from test_loadbalancer_routing import FUZZ, check, requests

from lockgate.controllers.elastic_load_balancing.access_logs import AccessLogs
from lockgate.dataplane.waf import WafServer
from lockgate.loadbalancer.model import (
    FixedResponse,
    Forward,
    Listener,
    LoadBalancer,
    PathPattern,
    Redirect,
    Rule,
    TargetGroup,
    WeightedTargetGroup,
)
from lockgate.loadbalancer.pages import page
from lockgate.loadbalancer.request import Request
from lockgate.loadbalancer.routing import decide
from lockgate.loadbalancer.waf.evaluate import Verdict, evaluate
from lockgate.loadbalancer.waf.fields import Inspected
from lockgate.loadbalancer.waf.model import (
    Action,
    Allow,
    AllQueryArguments,
    And,
    Block,
    Body,
    ByteMatch,
    Component,
    Count,
    Fingerprint,
    HeaderOrder,
    Headers,
    IpSet,
    LabelMatch,
    Method,
    Networks,
    Not,
    Or,
    QueryString,
    Response,
    Selection,
    SingleHeader,
    SingleQueryArgument,
    SizeConstraint,
    Statement,
    UriPath,
    WebAcl,
)
from lockgate.loadbalancer.waf.model import Rule as WafRule
from lockgate.xds.loadbalancer import Endpoint
from lockgate.xds.loadbalancer import waf as waf_filters

ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:"
WEB = TargetGroup(f"{ARN}targetgroup/web/0123456789abcdef", "web", 80)
FORWARD = Forward((WeightedTargetGroup(WEB.reference),))
LAB = f"{ARN}loadbalancer/app/lab/0123456789abcdef"


class Waf:
    """Evaluates the current load balancer's web ACL."""

    def __init__(self) -> None:
        self.acls: dict[str, WebAcl] = {}
        self.asked: list[Inspected] = []
        self.fails = False

    def evaluate(self, arn: str, inspected: Inspected) -> Verdict | None:
        self.asked.append(inspected)
        if self.fails:
            raise RuntimeError("out of order")
        acl = self.acls.get(arn)
        return evaluate(acl, inspected) if acl else None


@pytest.fixture(scope="module")
def waf() -> Waf:
    return Waf()


@pytest.fixture(scope="module")
def lab(waf: Waf) -> Iterator[Lab]:
    with laboratory() as lab, tempfile.TemporaryDirectory() as folder:
        server = WafServer(waf.evaluate)
        lab.waf_socket = f"{folder}/waf.sock"
        lab.run(server.start(Path(lab.waf_socket)))
        yield lab
        lab.run(server.stop())


def rule(statement: Statement, action: Action, name: str = "rule", priority: int = 0) -> WafRule:
    return WafRule(name, priority, statement, action)


def path(text: str) -> ByteMatch:
    return ByteMatch(Component(UriPath()), text.encode(), "EXACTLY")


def body(text: str) -> ByteMatch:
    return ByteMatch(Component(Body()), text.encode(), "CONTAINS")


def acl(*rules: WafRule, default: Allow | Block | None = None) -> WebAcl:
    return WebAcl("lab", "arn:lab", default or Allow(), rules)


def served(lab: Lab, waf: Waf, made: WebAcl | None, *listeners: Listener, **attributes: str) -> LoadBalancer:
    balancer = LoadBalancer(
        name="lab",
        arn=LAB,
        dns_name="lab-1.us-east-1.elb.amazonaws.com",
        listeners=listeners or (Listener(80, "HTTP", (FORWARD,)),),
        target_groups={WEB.reference: WEB},
        attributes={key.replace("__", "."): value for key, value in attributes.items()},
        web_acl=made,
    )
    waf.acls = {LAB: made} if made else {}
    waf.asked.clear()
    waf.fails = False
    lab.serve(balancer)
    return balancer


def get(path: str = "/", *headers: str, method: str = "GET") -> str:
    return f"{method} {path} HTTP/1.1\r\nHost: a.example.com\r\n" + "".join(f"{each}\r\n" for each in headers) + "\r\n"


def post(text: bytes) -> bytes:
    return get("/", f"Content-Length: {len(text)}", method="POST").encode() + text


def test_what_is_blocked_gets_the_load_balancers_page_and_the_rest_passes(lab: Lab, waf: Waf) -> None:
    made = served(lab, waf, acl(rule(path("/admin"), Block())))
    answer = lab.ask(made, get("/admin"))
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert answer.body == page(403).encode()
    assert len(answer.body) == 118
    assert (answer.header("server"), answer.header("content-type")) == ("awselb/2.0", "text/html")
    assert lab.ask(made, get("/")).seen["path"] == "/"


def test_without_a_web_acl_waf_is_not_called(lab: Lab, waf: Waf) -> None:
    made = served(lab, waf, None)
    assert lab.ask(made, get("/admin")).status == 200
    assert waf.asked == []


def test_connections_that_were_open_before_end_with_their_next_answer(lab: Lab, waf: Waf) -> None:
    made = served(lab, waf, None)

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", lab.port(made, 80))

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer:
        writer.write(get("/admin").encode())
        return await read_answer(reader)

    open_before = lab.run(connect())
    assert lab.run(ask(*open_before)).header("connection") != "close"
    served(lab, waf, acl(rule(path("/admin"), Block())))
    assert lab.run(ask(*open_before)).header("connection") == "close"
    assert lab.run(ask(*lab.run(connect()))).status == 403


def test_inserted_headers_reach_the_target_over_those_of_the_client(lab: Lab, waf: Waf) -> None:
    count = rule(path("/"), Count((("x-amzn-waf-team", "blue"),)), "count")
    made = served(lab, waf, acl(count, default=Allow((("x-amzn-waf-fruit", "melon"),))))
    answer = lab.ask(made, get("/", "X-Amzn-Waf-Team: red"))
    assert answer.seen_header("x-amzn-waf-team") == ["blue"]
    assert answer.seen_header("x-amzn-waf-fruit") == ["melon"]
    assert lab.ask(made, get("/x", "X-Amzn-Waf-Team: red")).seen_header("x-amzn-waf-team") == ["red"]


@pytest.mark.parametrize("status", [200, 302, 403, 404, 418, 429, 500, 503])
def test_custom_responses(lab: Lab, waf: Waf, status: int) -> None:
    headers = (("Location", "https://example.com/"), ("x-why", "100% sure"))
    custom = Response(status, headers, "application/json", '{"sorry": "100%"}', True)
    made = served(lab, waf, acl(default=Block(custom)))
    answer = lab.ask(made, get())
    assert answer.status == status
    assert answer.body == b'{"sorry": "100%"}'
    assert answer.header("content-type") == "application/json"
    assert (answer.header("location"), answer.header("x-why")) == ("https://example.com/", "100% sure")
    assert answer.header("server") == "awselb/2.0"


def test_a_custom_response_without_a_body(lab: Lab, waf: Waf) -> None:
    made = served(lab, waf, acl(default=Block(Response(404, is_custom=True))))
    answer = lab.ask(made, get())
    assert (answer.status, answer.body, answer.header("content-type")) == (404, b"", None)


def test_waf_gets_the_request_as_the_client_sent_it(lab: Lab, waf: Waf) -> None:
    made = served(lab, waf, acl(rule(ByteMatch(Component(HeaderOrder("CONTINUE")), b"x", "EXACTLY"), Block())))
    lab.ask(
        made,
        get("/%61//b?c=%20&d", "X-Two: 1", "X-One: 2", "X-Two: 3", "User-Agent: me", "X-Forwarded-For: 192.0.2.7"),
        source="127.0.0.2",
    )
    (asked,) = waf.asked
    request = asked.request
    assert (request.method, request.target, request.host) == ("GET", "/%61//b?c=%20&d", "a.example.com")
    assert (request.source, request.protocol) == ("127.0.0.2", "HTTP/1.1")
    assert [pair for pair in request.headers if pair[0] != "host"] == [
        ("x-two", "1"),
        ("x-one", "2"),
        ("x-two", "3"),
        ("user-agent", "me"),
        ("x-forwarded-for", "192.0.2.7"),
    ]


def test_the_clients_address_is_the_peers(lab: Lab, waf: Waf) -> None:
    made = served(lab, waf, acl(rule(IpSet("arn:set", Networks.of(["127.0.0.9/32"])), Block())))
    assert lab.ask(made, get(), source="127.0.0.9").status == 403
    assert lab.ask(made, get("/", "X-Forwarded-For: 127.0.0.9")).status == 200


def test_bodies_are_inspected_up_to_their_limit_and_forwarded_whole(lab: Lab, waf: Waf) -> None:
    made = served(lab, waf, acl(rule(body("<script>"), Block())))
    assert lab.ask(made, post(b"a=<script>")).status == 403
    large = b"x" * 8184 + b"<script>" + b"y" * 40000
    assert lab.ask(made, post(large)).status == 403
    assert [len(each.body or b"") for each in waf.asked] == [10, 8193]
    later = b"x" * 8185 + b"<script>" + b"y" * 40000
    answer = lab.ask(made, post(later))
    assert answer.seen["body"].encode() == later
    chunked = get("/", "Transfer-Encoding: chunked", method="POST").encode() + b"5\r\na=<sc\r\n5\r\nript>\r\n0\r\n\r\n"
    assert lab.ask(made, chunked).status == 403
    binary = bytes(range(256))
    assert lab.ask(made, post(binary)).seen["body"].encode("latin-1") == binary
    assert waf.asked[-1].body == binary


def test_a_body_that_is_too_large_can_be_a_match(lab: Lab, waf: Waf) -> None:
    oversize = ByteMatch(Component(Body("MATCH")), b"nowhere", "CONTAINS")
    made = served(lab, waf, acl(rule(oversize, Block(Response(413, is_custom=True)))))
    assert lab.ask(made, post(b"x" * 8192)).status == 200
    assert lab.ask(made, post(b"x" * 8193)).status == 413


def test_a_body_that_is_not_inspected_is_not_buffered(lab: Lab, waf: Waf) -> None:
    made = served(lab, waf, acl(rule(path("/admin"), Block())))

    async def work() -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", lab.port(made, 80))
        writer.write(get("/admin", "Content-Length: 100000", method="POST").encode())
        try:
            return await read_answer(reader)
        finally:
            writer.transport.abort()

    assert lab.run(work()).status == 403


def test_waf_inspects_websocket_requests(lab: Lab, waf: Waf) -> None:
    async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        writer.write((await reader.readexactly(4)).upper())

    made = served(lab, waf, acl(rule(body("ping"), Block()), rule(path("/admin"), Block(), "admin", 1)))
    lab.serve(made, {WEB.reference: [Endpoint("127.0.0.1", lab.run(lab.listen(upgrade)))]})

    async def talk(path: str) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", lab.port(made, 80))
        writer.write(get(path, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA==").encode())
        answer = await read_answer(reader)
        writer.write(b"ping")
        echoed = await reader.readexactly(4) if answer.status == 101 else b""
        writer.transport.abort()
        return answer.status, echoed

    assert lab.run(talk("/")) == (101, b"PING")
    assert lab.run(talk("/admin")) == (403, b"")
    assert [each.body for each in waf.asked] == [b"", b""]


def test_a_failing_waf_is_500_or_allows(lab: Lab, waf: Waf) -> None:
    one = acl(rule(path("/admin"), Block()))
    made = served(lab, waf, one)
    waf.fails = True
    answer = lab.ask(made, get())
    assert (answer.status, answer.body) == (500, page(500).encode())
    assert answer.header("server") == "awselb/2.0"
    made = served(lab, waf, one, waf__fail_open__enabled="true")
    waf.fails = True
    assert lab.ask(made, get("/admin")).status == 200


def test_an_unreachable_waf_is_500_or_allows(lab: Lab, waf: Waf) -> None:
    one, there = acl(rule(path("/admin"), Block())), lab.waf_socket
    lab.waf_socket = f"{there}.none"
    try:
        assert lab.ask(served(lab, waf, one), get()).status == 500
        assert lab.ask(served(lab, waf, one, waf__fail_open__enabled="true"), get("/admin")).status == 200
    finally:
        lab.waf_socket = there


def test_a_silent_waf_is_500_after_a_while(lab: Lab, waf: Waf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waf_filters, "WAF_SECONDS", 1)
    there, lab.waf_socket = lab.waf_socket, f"{lab.waf_socket}.silent"
    try:
        server = lab.run(asyncio.start_unix_server(lambda _reader, _writer: None, lab.waf_socket))
        assert lab.ask(served(lab, waf, acl(rule(path("/admin"), Block()))), get()).status == 500
        server.close()
    finally:
        lab.waf_socket = there


def test_waf_comes_before_the_rules_whatever_they_do(lab: Lab, waf: Waf) -> None:
    rules = (
        Rule(1, (PathPattern(("/old",)),), (Redirect("HTTP_301", path="/new"),)),
        Rule(2, (PathPattern(("/fixed",)),), (FixedResponse("200", "text/plain", "fixed"),)),
    )
    blocked = [rule(path(each), Block(), each) for each in ("/old", "/fixed")]
    made = served(lab, waf, acl(*blocked), Listener(80, "HTTP", (FORWARD,), rules))
    assert [lab.ask(made, get(each)).status for each in ("/old", "/fixed", "/")] == [403, 403, 200]
    made = served(lab, waf, acl(default=Block()), Listener(80, "HTTP", (FORWARD,), rules))
    assert lab.ask(made, get("/", method="TRACE")).status == 405
    assert waf.asked == []


def _secure(*rules: Rule) -> Listener:
    return Listener(443, "HTTPS", (FORWARD,), rules, certificates=("arn:aws:acm:us-east-1:1:certificate/a",))


def test_waf_inspects_grpc_without_its_body(lab: Lab, waf: Waf) -> None:
    """A client that waits for headers before it sends anything is not kept waiting for a body."""
    bad, odd = (ByteMatch(Component(SingleHeader("user-agent")), agent, "EXACTLY") for agent in (b"bad", b"odd"))
    custom = Block(Response(429, (), "text/plain", "slower", True))
    blocked = acl(rule(body("x"), Block()), rule(bad, Block(), "agent", 1), rule(odd, custom, "odd", 2))
    made = served(lab, waf, blocked, _secure())

    async def ask(agent: str) -> tuple[int, bytes]:
        from h2.config import H2Configuration
        from h2.connection import H2Connection
        from h2.events import DataReceived, ResponseReceived, StreamEnded

        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        reader, writer = await asyncio.open_connection("127.0.0.1", lab.port(made, 443), ssl=context)
        connection = H2Connection(H2Configuration(header_encoding="utf-8"))
        connection.initiate_connection()
        headers = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", "a.example.com"),
            (":path", "/pkg.Svc/Method"),
            ("content-type", "application/grpc"),
            ("user-agent", agent),
        ]
        connection.send_headers(1, headers)  # and no data, which would come after the answer
        writer.write(connection.data_to_send())
        status, body = 0, b""
        while True:
            for event in connection.receive_data(await reader.read(65536)):
                if isinstance(event, ResponseReceived):
                    found: dict[Any, Any] = dict(event.headers)
                    status = int(found[":status"])
                elif isinstance(event, DataReceived):
                    body += event.data
                elif isinstance(event, StreamEnded):
                    writer.transport.abort()
                    return status, body
            writer.write(connection.data_to_send())

    assert lab.run(ask("bad")) == (403, page(403).encode())
    assert lab.run(ask("odd")) == (429, b"slower")
    assert lab.run(ask("good"))[0] == 464  # the target speaks HTTP/1.1
    assert [each.body for each in waf.asked] == [None, None, None]


def test_other_requests_of_http_2_have_bodies(lab: Lab, waf: Waf) -> None:
    import httpx

    made = served(lab, waf, acl(rule(body("<script>"), Block())), _secure())

    async def work() -> list[int]:
        async with httpx.AsyncClient(http2=True, verify=False) as client:
            url = f"https://127.0.0.1:{lab.port(made, 443)}/"
            answers = [await client.post(url, content=each) for each in (b"a=<script>", b"a=1")]
            answers.append(await client.get(url))
            assert {each.http_version for each in answers} == {"HTTP/2"}
            return [each.status_code for each in answers]

    assert lab.run(work()) == [403, 200, 200]
    assert waf.asked[0].request.protocol == "HTTP/2"


@pytest.mark.parametrize("kind", ["ja3", "ja4"])
def test_fingerprints_of_the_clients_tls(lab: Lab, waf: Waf, kind: Any) -> None:
    def looking_for(text: str) -> WebAcl:
        return acl(rule(ByteMatch(Component(Fingerprint(kind, "NO_MATCH")), text.encode(), "EXACTLY"), Block()))

    made = served(lab, waf, looking_for("nothing"), _secure())
    assert lab.ask(made, get(), port=443).status == 200
    ((found, text),) = waf.asked[0].fingerprints
    assert found == kind
    assert len(text) == (32 if kind == "ja3" else 36)
    made = served(lab, waf, looking_for(text), _secure())
    assert lab.ask(made, get(), port=443).status == 403


def test_the_access_log_has_wafs_verdict(lab: Lab, waf: Waf, tmp_path: Path) -> None:
    import shlex

    one = acl(rule(path("/admin"), Block()))
    on = {"access_logs__s3__enabled": "true", "access_logs__s3__bucket": "logs"}
    made = served(lab, waf, one)
    made = replace(made, attributes={key.replace("__", "."): value for key, value in on.items()})
    logs = AccessLogs(tmp_path, lambda: [(made, "127.0.0.1")])
    lab.records = str(logs.records)
    try:
        for attributes in (on, {**on, "waf__fail_open__enabled": "true"}):
            made = served(lab, waf, one, **attributes)
            lab.ask(made, get("/admin"))
            lab.ask(made, get("/"))
            lab.ask(made, get("/", method="TRACE"))
            waf.fails = True
            lab.ask(made, get("/failed"))
            there, lab.waf_socket = lab.waf_socket, f"{lab.waf_socket}.none"
            lab.ask(served(lab, waf, one, **attributes), get("/alone"))
            lab.waf_socket = there
        lab.flush_records()

        async def until() -> list[str]:
            while True:
                logs.collect()
                lines = [each for file in tmp_path.rglob("*.log") for each in file.read_text().splitlines()]
                if len(lines) == 10:
                    return lines
                await asyncio.sleep(0.02)

        lines = [shlex.split(each) for each in lab.run(until())]
    finally:
        lab.records = ""
    assert [(fields[8], fields[20], fields[22], fields[24]) for fields in lines] == [
        ("403", "0", "waf", "-"),
        ("200", "0", "waf,forward", "-"),
        ("405", "-1", "-", "-"),
        ("500", "0", "waf-failed", "WAFServiceError"),
        ("500", "0", "waf-failed", "WAFConnectionError"),
        ("403", "0", "waf", "-"),
        ("200", "0", "waf,forward", "-"),
        ("405", "-1", "-", "-"),
        ("200", "0", "waf-failed,forward", "WAFServiceError"),
        ("200", "0", "waf-failed,forward", "WAFConnectionError"),
    ]
    assert [fields[4] for fields in lines[:1]] == ["-"]


components = st.sampled_from(
    [
        Component(UriPath()),
        Component(UriPath(), ("URL_DECODE", "NORMALIZE_PATH")),
        Component(QueryString()),
        Component(Method()),
        Component(SingleHeader("X-Kind")),
        Component(SingleHeader("host")),
        Component(Headers(Selection("excluded", ("user-agent",)), "ALL", "CONTINUE"), ("LOWERCASE",)),
        Component(HeaderOrder("CONTINUE"), ("LOWERCASE",)),
        Component(SingleQueryArgument("a")),
        Component(AllQueryArguments()),
        Component(Body(), ("LOWERCASE",)),
    ]
)
texts = st.sampled_from([b"/", b"/a", b"a", b"b", b"GET", b"1", b"a.example.com", b"host:x-kind"])
positions: st.SearchStrategy[Any] = st.sampled_from(
    ["EXACTLY", "STARTS_WITH", "ENDS_WITH", "CONTAINS", "CONTAINS_WORD"]
)
kinds: list[Any] = ["EXACTLY", "STARTS_WITH", "ENDS_WITH", "CONTAINS", "CONTAINS_WORD"]
leaves: st.SearchStrategy[Statement] = st.one_of(
    st.builds(ByteMatch, components, texts, st.sampled_from(kinds)),
    st.builds(SizeConstraint, components, st.sampled_from(["EQ", "GT", "LE"]), st.integers(0, 5)),
    st.sampled_from(["127.0.0.1/32", "127.0.0.2/31", "10.0.0.0/8"]).map(lambda net: IpSet("arn", Networks.of([net]))),
    st.builds(LabelMatch, st.just("LABEL"), st.sampled_from(["seen", "other"])),
)


def joined(inner: st.SearchStrategy[Statement]) -> st.SearchStrategy[Statement]:
    some = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(inner.map(Not), some.map(And), some.map(Or))


statements = st.recursive(leaves, joined, max_leaves=4)
SLOWER = Response(429, (("x-a", "b"),), "text/plain", "slower", True)
decisive: st.SearchStrategy[Any] = st.sampled_from(
    [
        Allow(),
        Allow((("x-amzn-waf-by", "allow"),)),
        Block(),
        Block(Response(429, (("x-a", "b"),), "text/plain", "slower", True)),
    ]
)
actions = st.one_of(decisive, st.sampled_from([Count(), Count((("x-amzn-waf-by", "count"),))]))


@st.composite
def web_acls(draw: st.DrawFn) -> WebAcl:
    found = draw(st.lists(st.tuples(statements, actions, st.sampled_from([(), ("seen",)])), max_size=4))
    rules = tuple(WafRule(str(at), at, what, how, labels) for at, (what, how, labels) in enumerate(found))
    return WebAcl("lab", "arn:lab", draw(decisive), rules, "awswaf:1:webacl:lab:")


def test_predictions_agree_with_envoy(lab: Lab, waf: Waf) -> None:
    @settings(max_examples=FUZZ or 40, derandomize=not FUZZ, database=None, deadline=None, phases=[Phase.generate])
    @given(web_acls(), st.lists(requests, min_size=4, max_size=4), st.sampled_from(["", "a", "A=b"]))
    def agree(made: WebAcl, asked: list[Request], body: str) -> None:
        balancer = served(lab, waf, made)
        for each in asked:
            request = replace(each, port=80, host=each.host_name)  # WAF is shown the host as rules are: without a port
            others = tuple(pair for pair in request.headers if pair[0] != "Content-Length")
            sent = replace(request, headers=(*others, ("content-length", str(len(body))))) if body else request
            decision = decide(balancer, sent, body=body.encode())
            raw = f"{sent.method} {sent.target} HTTP/1.1\r\nHost: {sent.host}\r\n"
            raw += "".join(f"{name}: {value}\r\n" for name, value in sent.headers) + "\r\n" + body
            check(decision, sent, lab.ask(balancer, raw, source=sent.source, head=sent.method == "HEAD"))

    agree()
