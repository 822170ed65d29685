"""Requests from what Envoys log of them: by a table, and how two records of one request find each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from console_edge import CASES, edge_of, example

from lockgate.console.requests import Joining

_LONG = 10.0  # s
_ALB = {
    "start": "2026-11-29T12:00:00.000000Z",
    "method": "GET",
    "host": "towpath.example",
    "path": "/",
    "protocol": "HTTP/2",
    "listener_port": "443",
    "client": "127.0.0.1:5",
    "trace_id": "Self=1-a;Root=1-b",
    "balancer": "",
}
_GATEWAY = {
    "node": "gateway",
    "port": "8443",
    "method": "GET",
    "authority": "towpath.example",
    "path": "/",
    "trace_id": "Self=1-a;Root=1-b",
    "route_name": "-",
    "upstream_cluster": "-",
    "tls": "TLSv1.3",
}


@pytest.mark.parametrize("case", yaml.safe_load((CASES / "requests.yaml").read_text()), ids=lambda case: case["name"])
def test_table(case: Mapping[str, Any]) -> None:
    _, graph, ways = edge_of(case.get("changed", ()))
    group = next(node.id for node in graph.nodes if node.id.startswith("target-group/"))
    alb = {**_ALB, **case["alb"]}
    if alb.get("cluster") == "GROUP":
        alb["cluster"] = group.removeprefix("target-group/")
    joining = Joining()
    found = [*joining.load_balancer(alb, ways, 0.0)]
    if "gateway" in case:
        found += joining.gateway({**_GATEWAY, **case["gateway"]}, ways, 0.1)
    (request,) = found
    assert (request.status, request.by, request.reason) == (case["status"], case["by"], case["reason"])
    named = {
        step.node: (node.detail.partition(" ·")[0] if node.kind.label == "Route" else node.title)
        for step in request.steps
        for node in [graph.by_id[step.node]]
    }
    if "steps" in case:
        assert list(named.values()) == case["steps"]
    measured = {named[step.node]: step.milliseconds for step in request.steps if step.milliseconds is not None}
    for title, milliseconds in case.get("milliseconds", {}).items():
        assert measured[title] == milliseconds


def _passed_on(trace: str) -> dict[str, Any]:
    _, graph, _ = example()
    group = next(node.id for node in graph.nodes if node.id.startswith("target-group/"))
    cluster = group.removeprefix("target-group/")
    return {**_ALB, "trace_id": trace, "status": 200, "details": "via_upstream", "rule": "1", "cluster": cluster}


def test_the_order_of_records_does_not_matter() -> None:
    _, _, ways = example()
    joining = Joining()
    assert not list(joining.gateway({**_GATEWAY, "trace_id": "x", "response_code": 200}, ways, 0.0))
    (request,) = joining.load_balancer(_passed_on("x"), ways, 0.5)
    assert len(request.raw) == 2
    assert not list(joining.overdue(ways, _LONG))


def test_a_record_whose_other_one_never_comes_is_a_request_in_the_end() -> None:
    _, _, ways = example()
    joining = Joining()
    assert not list(joining.load_balancer(_passed_on("x"), ways, 0.0))
    assert not list(joining.overdue(ways, 1.0))
    (request,) = joining.overdue(ways, _LONG)
    assert request.status == 200
    assert request.by == "target"


def test_retries_of_a_gateway_that_have_one_trace_id_are_requests_of_their_own() -> None:
    _, _, ways = example()
    joining = Joining()
    gateway = {**_GATEWAY, "trace_id": "x", "response_code": 503}
    assert not list(joining.gateway(gateway, ways, 0.0))
    (first,) = joining.gateway(gateway, ways, 0.1)
    (second,) = joining.load_balancer(_passed_on("x"), ways, 0.2)
    assert (len(first.raw), len(second.raw)) == (1, 2)


def test_records_without_a_trace_id_wait_for_nothing() -> None:
    _, _, ways = example()
    (request,) = Joining().gateway({**_GATEWAY, "trace_id": "-", "response_code": 200}, ways, 0.0)
    assert request.steps[1].node.startswith("gateway/")


def test_odd_records_are_requests_without_hops() -> None:
    _, _, ways = example()
    odd = {"balancer": "arn:no", "listener_port": None, "status": None, "rule": None, "details": None}
    (request,) = Joining().load_balancer(odd, ways, 0.0)
    assert [step.node for step in request.steps] == ["client"]
