"""Lambda functions behind a real Envoy: Mangum is the function, behind a service that answers Lambda's Invoke API."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from alb_lab import Answer, Lab, free_port, laboratory, read_request
from mangum import Mangum

from lockgate.controllers.elastic_load_balancing.access_logs import AccessLogs
from lockgate.controllers.elastic_load_balancing.lambda_functions import LambdaFunctions
from lockgate.embedded.http import Server, serve
from lockgate.loadbalancer.health import Answered, Failed, Outcome, TimedOut
from lockgate.loadbalancer.model import (
    Forward,
    HealthCheck,
    Listener,
    LoadBalancer,
    PathPattern,
    Rule,
    Target,
    TargetGroup,
    WeightedTargetGroup,
)
from lockgate.xds.loadbalancer import Endpoint
from lockgate.xds.loadbalancer.metrics import cloudwatch, counted

ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:{}"
CHECK = HealthCheck()
MEBIBYTE = 1 << 20


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Echoes the request; ``/image`` is binary."""
    body = (await receive())["body"]
    image = scope["path"] == "/image"
    headers = [
        (b"content-type", b"image/png" if image else b"application/json"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
    ]
    seen = {
        "method": scope["method"],
        "path": scope["path"],
        "query": scope["query_string"].decode(),
        "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
        "body": body.decode("latin-1"),
        "group": scope["aws.event"]["requestContext"]["elb"]["targetGroupArn"],
    }
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": b"\x89PNG\xff" if image else json.dumps(seen).encode()})


class Invocations:
    """Functions by name. ``mangum`` is a real one; `answers` has what others make of any event: status, header lines
    and body."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.answers: dict[str, tuple[int, str, str]] = {}
        self.seconds = 0.0  # that they take
        self._mangum = Mangum(application, lifespan="off")

    def _run(self, event: Any) -> str:
        """Mangum needs its own event loop, which a function's process has."""
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            return json.dumps(self._mangum(event, None))  # type: ignore[arg-type]
        finally:
            loop.close()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            line, _, body = await read_request(reader)
            method, path, _ = line.split(" ")
            _, _, _, name, action = path.split("/")
            assert (method, action) == ("POST", "invocations")
            event = json.loads(body)
            self.events.append(event)
            if name == "mangum":
                status, more, text = 200, "", await asyncio.to_thread(self._run, event)
            else:
                await asyncio.sleep(self.seconds)
                status, more, text = self.answers.get(name, (404, "", "{}"))
            head = f"HTTP/1.1 {status} So\r\nContent-Length: {len(text.encode())}\r\nConnection: close\r\n{more}\r\n"
            writer.write(head.encode() + text.encode())
            await writer.drain()
        writer.close()


class Story:
    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.invocations = Invocations()
        port = lab.run(lab.listen(self.invocations.handle))
        names = ("mangum", "made-up", "gone")
        urls = dict.fromkeys(names, f"http://127.0.0.1:{port}")
        urls["stopped"] = f"http://127.0.0.1:{free_port()}"
        urls["emulated"] = f"http://127.0.0.1:{port}/2015-03-31/functions/mangum/invocations"
        self.functions = LambdaFunctions(urls, self._serve)
        self.logs = AccessLogs(folder, lambda: [(self.balancer, "127.0.0.1")])
        self.folder = folder
        self.servers: list[Server] = []
        lab.records = str(self.logs.records)

    async def _serve(self, application: Callable[..., Awaitable[None]], host: str) -> Server:
        server = await serve(application, hosts=None, websockets=True)
        self.servers.append(server)
        return server

    def group(self, name: str, *, check: HealthCheck = CHECK, **attributes: str) -> TargetGroup:
        return TargetGroup(
            f"{ARN}targetgroup/{name}/0123456789abcdef",
            name,
            0,
            target_type="lambda",
            targets=(Target(FUNCTION.format(name), 0),),
            health_check=check,
            attributes={key.replace("__", "."): value for key, value in attributes.items()},
        )

    def rules(self, *groups: TargetGroup, **listener: str) -> None:
        rules = tuple(
            Rule(at, (PathPattern((f"/{group.name}*",)),), (Forward((WeightedTargetGroup(group.reference),)),))
            for at, group in enumerate(groups[1:], start=1)
        )
        first = Forward((WeightedTargetGroup(groups[0].reference),))
        attributes = {key.replace("__", "."): value for key, value in listener.items()}
        self.balancer = LoadBalancer(
            "lab",
            (Listener(80, "HTTP", (first,), rules=rules, attributes=attributes),),
            {group.reference: group for group in groups},
            arn=f"{ARN}loadbalancer/app/lab/0123456789abcdef",
            dns_name="lab.example",
            attributes={
                "access_logs.s3.enabled": "true",
                "access_logs.s3.bucket": "logs",
                "idle_timeout.timeout_seconds": "1",
            },
        )
        self.lab.run(self.functions.follow(groups))
        places = {group.reference: [Endpoint(*at) for at in self.functions.places(group)] for group in groups}
        self.lab.serve(self.balancer, places)

    def ask(self, request: str, *headers: str, body: bytes = b"", head: bool = False) -> Answer:
        more = [*headers, f"Content-Length: {len(body)}"] if body else headers
        text = "\r\n".join([f"{request} HTTP/1.1", "Host: quay.example", *more, "", ""])
        return self.lab.ask(self.balancer, text.encode() + body, head=head)

    def counted(self) -> Counter[str]:
        """What CloudWatch would have of failures."""
        metrics = (
            *cloudwatch(self.lab.stats(), [self.balancer], lambda _: ["unavailable"]),
            *counted(self.functions.counts, [self.balancer]),
        )
        names = ("HTTPCode_ELB_502_Count", "HTTPCode_Target_5XX_Count", "LambdaInternalError", "LambdaUserError")
        return Counter({each.name: each.value for each in metrics if each.name in names and each.value})

    def logged(self) -> list[str]:
        """The fields of the last line of the access log, once it has come."""
        lines: list[str] = []

        async def until_one() -> None:
            while not lines:
                await asyncio.sleep(0.02)
                self.logs.collect()
                for file in self.folder.rglob("*.log"):
                    lines.extend(file.read_text().splitlines())
                    file.unlink()

        self.lab.flush_records()
        self.lab.run(until_one())
        return shlex.split(lines[-1])


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with laboratory() as lab:
        made = Story(lab, tmp_path_factory.mktemp("lambda"))
        yield made
        for server in made.servers:
            lab.run(server.stop())


def test_a_function_answers_a_request(story: Story) -> None:
    group = story.group("mangum")
    story.rules(group)
    answer = story.ask("GET /a%2Fb?x=1&x=2&y=%20", "X-One: 1", "Cookie: c=3")
    seen = json.loads(answer.body)
    assert (answer.status, answer.header("content-type")) == (201, "application/json")
    assert (answer.header("server"), answer.header("content-length")) == ("awselb/2.0", str(len(answer.body)))
    assert sorted(answer.all("set-cookie")) == ["a=1", "b=2"]  # Mangum's way: names in different case
    assert (seen["method"], seen["path"], seen["group"]) == ("GET", "/a/b", group.reference)
    assert seen["query"] == "x=2&y=+"  # the last value counts
    headers = dict(seen["headers"])
    assert (headers["host"], headers["x-one"], headers["cookie"]) == ("quay.example", "1", "c=3")
    assert (headers["x-forwarded-for"], headers["x-forwarded-proto"]) == ("127.0.0.1", "http")
    assert (headers["x-forwarded-port"], headers["x-amzn-trace-id"][:7]) == ("80", "Root=1-")
    event = story.invocations.events[-1]
    assert (event["path"], event["queryStringParameters"]) == ("/a%2Fb", {"x": "2", "y": "%20"})
    assert not [name for name in event["headers"] if name.startswith("x-envoy") or "error-reason" in name]
    line = story.logged()
    assert line[4] == line[25] == line[26] == "-"  # a function has no address
    assert (line[8], line[9], line[16], line[22], line[24]) == ("201", "201", group.reference, "forward", "-")


def test_headers_of_many_values(story: Story) -> None:
    story.rules(story.group("mangum", lambda__multi_value_headers__enabled="true"))
    answer = story.ask("GET /?x=1&x=2", "X-One: 1", "X-One: 2")
    seen = json.loads(answer.body)
    assert answer.all("set-cookie") == ["a=1", "b=2"]
    assert seen["query"] == "x=1&x=2"
    assert [value for name, value in seen["headers"] if name == "x-one"] == ["1", "2"]


def test_bodies_both_ways(story: Story) -> None:
    story.rules(story.group("mangum"))
    binary = bytes(range(256)) * 16
    assert json.loads(story.ask("POST /", body=binary).body)["body"] == binary.decode("latin-1")
    text = story.ask("POST /", "Content-Type: text/plain", body="é".encode())
    assert (story.invocations.events[-1]["body"], json.loads(text.body)["body"]) == (
        "é",
        "é".encode().decode("latin-1"),
    )
    image = story.ask("GET /image")
    assert (image.header("content-type"), image.body) == ("image/png", b"\x89PNG\xff")
    head = story.ask("HEAD /image", head=True)
    assert (head.status, head.header("content-length"), story.invocations.events[-1]["httpMethod"]) == (
        201,
        "5",
        "HEAD",
    )


def test_requests_that_are_too_large_or_not_text(story: Story) -> None:
    story.rules(story.group("mangum"))
    assert story.ask("POST /image", body=b"a" * MEBIBYTE).status == 201
    too_large = story.ask("POST /", body=b"a" * (MEBIBYTE + 1))
    assert (too_large.status, too_large.header("server")) == (413, "awselb/2.0")
    assert story.logged()[24] == "LambdaRequestTooLarge"
    assert story.ask("POST /", "Content-Type: text/plain", body=b"\xff").status == 400
    assert story.logged()[24] == "LambdaBadRequest"


def test_websockets_are_not_for_functions(story: Story) -> None:
    story.rules(story.group("mangum"))
    upgrade = (
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: " + "A" * 22 + "==",
    )
    assert story.ask("GET /", *upgrade).status == 400


def test_the_reason_phrase_is_the_functions_own(story: Story) -> None:
    story.invocations.answers["made-up"] = (200, "", '{"statusCode": 418, "statusDescription": "418 Short and stout"}')
    story.rules(story.group("made-up"))
    answer = story.ask("GET /")
    assert (answer.status, answer.reason, answer.header("x-lockgate-own")) == (418, "Short and stout", None)


def test_a_function_may_take_longer_than_the_idle_timeout(story: Story) -> None:
    story.invocations.answers["made-up"] = (200, "", '{"statusCode": 200}')
    story.rules(story.group("made-up"))
    story.invocations.seconds = 1.5
    try:
        assert story.ask("GET /").status == 200
    finally:
        story.invocations.seconds = 0


FAILURES: dict[str, tuple[int, str, str, int, str]] = {
    "the function raised": (200, "X-Amz-Function-Error: Unhandled\r\n", '{"statusCode": 200}', 502, "LambdaUnhandled"),
    "as the emulator reports it": (200, "", '{"errorMessage": "no", "errorType": "KeyError"}', 502, "LambdaUnhandled"),
    "no answer in it": (200, "", '{"body": "hi"}', 502, "LambdaInvalidResponse"),
    "too much": (200, "", json.dumps({"statusCode": 200, "body": "a" * MEBIBYTE}), 502, "LambdaResponseTooLarge"),
    "too deep to read": (200, "", '{"statusCode": 200, "body": ' + "[" * 100_000, 502, "LambdaInvalidResponse"),
    "too many at once": (429, "", "{}", 502, "LambdaThrottling"),
    "the service failed": (500, "", "{}", 502, "LambdaServiceException"),
    "not allowed": (403, "", "{}", 502, "LambdaAccessDenied"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_invalid_results_of_functions(story: Story, name: str, caplog: pytest.LogCaptureFixture) -> None:
    invoked, headers, result, status, reason = FAILURES[name]
    story.invocations.answers["made-up"] = (invoked, headers, result)
    story.rules(story.group("made-up"))
    before = story.counted()
    answer = story.ask("GET /x")
    assert (answer.status, answer.header("server"), answer.header("x-lockgate-error-reason")) == (
        status,
        "awselb/2.0",
        None,
    )
    assert (answer.reason, b"<h1>502 Bad Gateway</h1>" in answer.body) == ("Bad Gateway", True)
    line = story.logged()
    assert (line[8], line[9], line[24]) == ("502", "-", reason)
    assert f"({reason})" in caplog.text
    internal = reason == "LambdaServiceException"
    assert story.counted() == before + Counter(
        {"HTTPCode_ELB_502_Count": 1, "LambdaInternalError" if internal else "LambdaUserError": 1}
    )


@pytest.mark.parametrize(
    ("name", "reason", "logged"),
    [
        ("nameless", "LambdaResourceNotFound", "`lockgate up … --backend lambda:nameless=http://HOST:PORT`"),
        ("gone", "LambdaResourceNotFound", "/2015-03-31/functions/function/invocations"),
        ("stopped", "LambdaServiceException", "All connection attempts failed"),
    ],
)
def test_missing_functions(story: Story, name: str, reason: str, logged: str, caplog: pytest.LogCaptureFixture) -> None:
    story.rules(story.group(name))
    assert story.ask("GET /a%0Ab").status == 502
    assert story.logged()[24] == reason
    (record,) = [each.message for each in caplog.records if logged in each.message]
    assert record.startswith("GET /a%0Ab: ")  # one line, whoever asks


def test_a_target_group_that_is_gone_leaves_no_socket_open(story: Story) -> None:
    group = story.group("mangum")
    story.rules(group)
    (place,) = story.functions.places(group)

    async def refused() -> None:
        await story.functions.follow([])
        while True:
            try:
                _, writer = await asyncio.open_connection(*place)
            except ConnectionRefusedError:
                return
            writer.close()
            await asyncio.sleep(0.02)

    story.lab.run(refused())
    assert story.functions.places(group) == ()


def test_an_emulator_has_its_function_at_one_path(story: Story) -> None:
    story.rules(story.group("emulated"))
    assert story.ask("GET /").status == 201


def test_target_groups_of_one_load_balancer_have_separate_metrics(story: Story) -> None:
    one, other = story.group("mangum"), story.group("emulated", lambda__multi_value_headers__enabled="true")
    story.rules(one, other)
    assert json.loads(story.ask("GET /").body)["group"] == one.reference
    assert json.loads(story.ask("GET /emulated").body)["group"] == other.reference


def test_the_server_header_may_be_left_out(story: Story) -> None:
    story.rules(story.group("mangum"), routing__http__response__server__enabled="false")
    assert story.ask("GET /").header("server") is None


@pytest.mark.parametrize(
    ("name", "check", "outcome"),
    [
        ("mangum", HealthCheck(path="/up?deep"), Answered(201)),
        ("nameless", HealthCheck(), Failed()),
        ("mangum", HealthCheck(timeout_seconds=0), TimedOut()),
    ],
)
def test_health_checks(story: Story, name: str, check: HealthCheck, outcome: Outcome) -> None:
    group = story.group(name, check=check)
    story.rules(group)
    assert story.lab.run(story.functions.probe(group)) == outcome
    if outcome == Answered(201):
        event = story.invocations.events[-1]
        assert (event["path"], event["queryStringParameters"]) == ("/up", {"deep": ""})
        assert event["headers"] == {"user-agent": "ELB-HealthChecker/2.0"}
