"""Records of a load balancer's log in, spans out."""

from __future__ import annotations

from typing import Any

import pytest

from lockgate.loadbalancer.spans import Place, Span, span

RECORD: dict[str, Any] = {
    "start": "2026-11-29T12:00:00.250000Z",
    "duration": "40",
    "method": "GET",
    "path": "/orders?x=1",
    "host": "shop.example",
    "client": "127.0.0.1:51000",
    "protocol": "HTTP/2",
    "status": "200",
    "rule": "7",
    "cluster": "targetgroup/web/0123",
    "target": "127.0.0.1:8443",
    "listener_port": "443",
    "trace_id": "Root=1-67891233-abcdef012345678912345678",
    "trace": "67891233abcdef012345678912345678",
    "span": "00f067aa0ba902b7",
    "parent": "-",
    "flags": "01",
}
PLACE = Place("k8s-shop", "k8s/ingress.yaml:12")


def made(**record: Any) -> Span | None:
    return span(RECORD | record, PLACE, lambda size: "ab" * size)


def test_a_request_that_reached_its_target() -> None:
    found = made()
    assert found is not None
    assert (found.trace, found.span, found.parent, found.name) == (RECORD["trace"], RECORD["span"], "", "GET")
    assert found.end - found.start == 40_000_000
    assert found.start == 1_795_953_600_250_000_000
    assert not found.failed
    assert dict(found.attributes) == {
        "http.request.method": "GET",
        "url.path": "/orders",
        "url.query": "x=1",
        "server.address": "shop.example",
        "client.address": "127.0.0.1",
        "network.protocol.version": "2",
        "lockgate.synthetic": True,
        "lockgate.load_balancer": "k8s-shop",
        "lockgate.listener": 443,
        "lockgate.rule": "7",
        "lockgate.target_group": "web",
        "lockgate.target": "127.0.0.1:8443",
        "lockgate.manifest": "k8s/ingress.yaml:12",
        "aws.trace_id": RECORD["trace_id"],
        "http.response.status_code": 200,
    }


def test_a_request_that_the_load_balancer_answers_begins_a_trace() -> None:
    found = made(trace=None, span="-", parent=None, flags=None, status="503", cluster="-", target="-", rule="-")
    assert found is not None
    assert (found.trace, found.span) == ("ab" * 16, "ab" * 8)
    assert found.failed
    attributes = dict(found.attributes)
    assert attributes["lockgate.rule"] == "default"
    assert not {"lockgate.target_group", "lockgate.target"} & attributes.keys()


@pytest.mark.parametrize("record", [{"flags": "00"}, {"start": "-"}])
def test_no_span(record: dict[str, str]) -> None:
    assert made(**record) is None


def test_a_client_that_goes_away_is_a_failure_without_a_status() -> None:
    found = made(status="0")
    assert found is not None
    assert found.failed
    assert "http.response.status_code" not in dict(found.attributes)
