"""Receives spans over OTLP, by gRPC and by HTTP, in the messages of OpenTelemetry's own protobuf package."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@dataclass(frozen=True)
class Received:
    service: str
    trace: str
    span: str
    parent: str
    name: str
    attributes: dict[str, Any]


@dataclass
class Collected:
    grpc: str = ""
    http: str = ""
    spans: list[Received] = field(default_factory=list)

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _values(resource.resource.attributes)["service.name"]
            for scope in getattr(resource, resource.DESCRIPTOR.fields_by_number[2].name):
                self.spans += (
                    Received(
                        service,
                        each.trace_id.hex(),
                        each.span_id.hex(),
                        each.parent_span_id.hex(),
                        each.name,
                        _values(each.attributes),
                    )
                    for each in scope.spans
                )


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


@contextmanager
def collecting() -> Iterator[Collected]:
    found = Collected()

    class Calls(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, call: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(_taken) if call.method == _EXPORT else None

    class Posts(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            good = self.path == "/v1/traces" and self.headers["content-type"] == "application/x-protobuf"
            found.take(self._body() if good else b"")
            self.send_response(200 if good else 404)
            self.send_header("content-length", "0")
            self.end_headers()

        def _body(self) -> bytes:
            if (length := self.headers["content-length"]) is not None:
                return self.rfile.read(int(length))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def log_message(self, *_: Any) -> None:
            pass

    def _taken(body: bytes, _: Any) -> bytes:
        found.take(body)
        return b""

    calls = grpc.server(ThreadPoolExecutor(2))
    calls.add_generic_rpc_handlers((Calls(),))
    found.grpc = f"grpc://127.0.0.1:{calls.add_insecure_port('127.0.0.1:0')}"
    calls.start()
    posts = ThreadingHTTPServer(("127.0.0.1", 0), Posts)
    found.http = f"http://127.0.0.1:{posts.server_address[1]}"
    threading.Thread(target=posts.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        posts.shutdown()
        posts.server_close()
        calls.stop(None)
