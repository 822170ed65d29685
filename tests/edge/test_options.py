"""What `up` takes on its command line."""

from __future__ import annotations

import pytest

from lockgate.edge.options import BadOption, backends, collector, functions, ports
from lockgate.gateway.telemetry.model import Collector


def test_backends() -> None:
    assert backends(["shop/web:8080=http://localhost:3000", "shop/api:80=http://127.0.0.1:4000/"]) == {
        ("shop", "web", 8080): ("127.0.0.1", 3000),
        ("shop", "api", 80): ("127.0.0.1", 4000),
    }


@pytest.mark.parametrize(
    "text",
    [
        "web=http://127.0.0.1:1",
        "shop/web:80",
        "shop/web:80=https://x:1",
        "shop/web:80=http://x",
        "shop/web:80=http://x:0",
        "shop/web:80=http://[::1",
        "a/b:c=d",
    ],
)
def test_an_invalid_backend_is_reported(text: str) -> None:
    with pytest.raises(BadOption):
        backends([text])


def test_functions() -> None:
    texts = ["lambda:orders=http://127.0.0.1:3001", "shop/web:80=http://127.0.0.1:1", "lambda:a_b-C=https://x/y"]
    assert functions(texts) == {"orders": "http://127.0.0.1:3001", "a_b-C": "https://x/y"}
    assert backends(texts) == {("shop", "web", 80): ("127.0.0.1", 1)}


@pytest.mark.parametrize(
    "text",
    [
        "lambda:orders",
        "lambda:=http://x:1",
        "lambda:orders=x:1",
        "lambda:a.b=http://x:1",
        "lambda:a=http://[::1",
        "lambda:a=http://x:99999",
        "lambda:a=http://x y/",
    ],
)
def test_an_invalid_function_is_reported(text: str) -> None:
    with pytest.raises(BadOption):
        functions([text])


def test_ports() -> None:
    assert ports(["kubernetes=6443", "443=8443"]) == {"kubernetes": 6443, "443": 8443}


@pytest.mark.parametrize("text", ["etcd=1", "443", "443=0", "443=70000", "dns=x"])
def test_an_invalid_port_is_reported(text: str) -> None:
    with pytest.raises(BadOption):
        ports([text])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("grpc://localhost:14317", Collector("127.0.0.1", 14317)),
        ("http://127.0.0.1:4317", Collector("127.0.0.1", 4317)),
        ("http://127.0.0.1:4318", Collector("127.0.0.1", 4318, "/v1/traces")),
        ("http://localhost:4318/otlp/v1/traces", Collector("127.0.0.1", 4318, "/otlp/v1/traces")),
        ("http://[::1]:4318/", Collector("::1", 4318, "/v1/traces")),
    ],
)
def test_a_collector(text: str, expected: Collector | None) -> None:
    assert collector(text) == expected


@pytest.mark.parametrize(
    "text", ["127.0.0.1:4318", "https://127.0.0.1:4318", "http://otel.example:4318", "http://localhost"]
)
def test_a_collector_elsewhere_is_refused(text: str) -> None:
    with pytest.raises(BadOption):
        collector(text)
