"""Telemetries with a real Envoy: the lines of its log, and the entries that real log services receive."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
import yaml
from envoy.service.accesslog.v3.als_pb2 import StreamAccessLogsMessage, StreamAccessLogsResponse
from gateway_cases import GATEWAY_POD, GATEWAY_SERVICE, POLICED, Case, backend
from gateway_envoy import Lab, key_pair, lab
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

from lockgate.gateway.mesh import mesh
from lockgate.gateway.request import Request

PAIR = key_pair("a.example")
PROVIDERS: list[dict[str, Any]] = [
    {"name": "words", "envoyFileAccessLog": {"path": "/var/log/words", "logFormat": {"text": "words %RESPONSE_CODE%"}}},
    {
        "name": "fields",
        "envoyFileAccessLog": {"logFormat": {"labels": {"code": "%RESPONSE_CODE%", "none": "%REQ(x)%"}}},
    },
    {"name": "known", "envoyFileAccessLog": {"logFormat": {"text": "known %REQ(x)%|"}, "omitEmptyValues": True}},
    {"name": "broken", "envoyFileAccessLog": {"logFormat": {"text": "%NO_SUCH_COMMAND%"}}},
    {
        "name": "http",
        "envoyHttpAls": {
            "service": "als.logs.svc.cluster.local",
            "port": 9000,
            "additionalRequestHeadersToLog": ["x-a"],
        },
    },
    {"name": "tcp", "envoyTcpAls": {"service": "als.logs.svc.cluster.local", "port": 9000, "logName": "bytes"}},
    {
        "name": "otel",
        "envoyOtelAls": {
            "service": "otel.logs.svc.cluster.local",
            "port": 4317,
            "logFormat": {"text": "%REQ(:PATH)%", "labels": {"code": "%RESPONSE_CODE%"}},
        },
    },
]


@pytest.fixture(scope="module")
def envoy() -> Iterator[Lab]:
    with lab(ports=(8080, 8443, 9000, 15021), backends=1, finds_culprits=True) as running:
        yield running


def serve(envoy: Lab, logging: list[dict[str, Any]], port: int = 1) -> None:
    """`logging` are the accessLogging of a Telemetry; the log services are at `port`."""
    telemetry = {
        "apiVersion": "telemetry.istio.io/v1",
        "kind": "Telemetry",
        "metadata": {"name": "logs", "namespace": "istio-system"},
        "spec": {"accessLogging": logging},
    }
    own, other = backend("default/a", {"tcp": 80}), backend("logs/als", {"grpc": 9000})
    third = backend("logs/otel", {"grpc": 4317})
    for slice_, number in ((own[1], envoy.backends[0]), (other[1], port), (third[1], port)):
        slice_["endpoints"] = [{"addresses": ["127.0.0.1"]}]
        slice_["ports"] = [{**each, "port": number} for each in slice_["ports"]]
    manifests = [
        *(yaml.safe_load(text) for text in (GATEWAY_POD, GATEWAY_SERVICE)),
        *yaml.safe_load_all(POLICED),
        telemetry,
        *(*own, *other, *third),
    ]
    case = Case("", manifests, mesh({"extensionProviders": PROVIDERS}), {})
    envoy.rejections.clear()
    envoy.run(envoy.serve(case.build().gateway, {"kubernetes://pair": PAIR}))


def names(*providers: str, **more: Any) -> dict[str, Any]:
    return {"providers": [{"name": each} for each in providers], **more}


def ask(envoy: Lab, path: str, *headers: tuple[str, str], port: int = 8080, sni: str | None = None) -> int:
    request = Request(port, "b.example", path, headers=headers, tls=port == 8443, sni=sni)
    answer = envoy.run(envoy.send(request))
    return answer.status if answer else 0


def logged(envoy: Lab, path: str, text: str, *headers: tuple[str, str], port: int = 8080) -> str:
    """Asks until the log has a line with the text: a worker may take a configuration a moment late, and Envoy writes
    its log once a second."""
    before = len(envoy.log.read_text())
    for _ in range(50):
        ask(envoy, path, *headers, port=port)
        envoy.run(asyncio.sleep(0.1))
        for line in envoy.log.read_text()[before:].splitlines():
            if text in line:
                return line
    raise AssertionError(f"{text!r} is not in {envoy.log.read_text()[before:]}")


def test_text_and_fields(envoy: Lab) -> None:
    serve(envoy, [names("words", "fields", "known")])
    assert envoy.rejections == []
    assert logged(envoy, "/", "words 200")
    assert json.loads(logged(envoy, "/", '"code":200')) == {"code": 200, "none": None}
    assert logged(envoy, "/", "known ") == "known |"


def test_an_expression_chooses_requests(envoy: Lab) -> None:
    serve(envoy, [names("fields", filter={"expression": "request.url_path.startsWith('/chosen')"}), names("words")])
    logged(envoy, "/chosen", '"code":200')
    before = len(envoy.log.read_text())
    logged(envoy, "/other", "words 200")
    assert '"code":200' not in envoy.log.read_text()[before:]


@pytest.mark.parametrize(
    ("logging", "reason"),
    [
        ([names("broken"), names("words")], "NO_SUCH_COMMAND"),
        ([names("fields", filter={"expression": "response.code >="}), names("words")], "parse filter expression"),
    ],
)
def test_a_log_that_envoy_rejects_is_left_out_alone(envoy: Lab, logging: list[Any], reason: str) -> None:
    serve(envoy, logging)
    assert logged(envoy, "/", "words 200")
    assert any("access log of Telemetry istio-system/logs" in each for each in envoy.rejections), envoy.rejections
    assert any(reason.lower() in each.lower() for each in envoy.rejections), envoy.rejections


class Received:
    """What the log services got: entries of requests by path with their logged headers, bodies of log records."""

    def __init__(self) -> None:
        self.requests: dict[str, dict[str, str]] = {}
        self.connections: list[str] = []
        self.bodies: dict[str, dict[str, str]] = {}

    def stream(self, messages: Iterator[Any], _context: Any) -> Any:
        name = ""
        for message in messages:
            name = message.identifier.log_name or name
            for entry in message.http_logs.log_entry:
                self.requests[entry.request.path] = dict(entry.request.request_headers)
            self.connections += [name for _ in message.tcp_logs.log_entry]
        return StreamAccessLogsResponse()

    def export(self, request: Any, _context: Any) -> Any:
        for resource in request.resource_logs:
            for scope in resource.instrumentation_library_logs:
                for record in scope.logs:
                    found = {each.key: each.value.string_value for each in record.attributes}
                    self.bodies[record.body.string_value] = found
        return ExportLogsServiceResponse()


@contextmanager
def log_services() -> Iterator[tuple[Received, int]]:
    received = Received()
    server = grpc.server(ThreadPoolExecutor(4))
    stream = grpc.stream_unary_rpc_method_handler(
        received.stream, StreamAccessLogsMessage.FromString, StreamAccessLogsResponse.SerializeToString
    )
    export = grpc.unary_unary_rpc_method_handler(
        received.export, ExportLogsServiceRequest.FromString, ExportLogsServiceResponse.SerializeToString
    )
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "envoy.service.accesslog.v3.AccessLogService", {"StreamAccessLogs": stream}
            ),
            grpc.method_handlers_generic_handler(
                "opentelemetry.proto.collector.logs.v1.LogsService", {"Export": export}
            ),
        )
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield received, port
    server.stop(None)


def test_log_services_receive_entries(envoy: Lab) -> None:
    with log_services() as (received, port):
        serve(envoy, [names("http", "tcp", "otel")], port)
        assert envoy.rejections == []
        for _ in range(100):
            ask(envoy, "/seen", ("x-a", "1"), ("x-b", "2"))
            if received.requests and received.connections and received.bodies:
                break
            envoy.run(asyncio.sleep(0.1))
        assert received.requests["/seen"] == {"x-a": "1"}
        assert set(received.connections) == {"bytes"}
        assert received.bodies["/seen"] == {"code": "200"}
