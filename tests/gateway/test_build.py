"""Istio's resources in, gateway out; request in, decision out: every row of `tests/cases/gateway`."""

from __future__ import annotations

import pytest
from gateway_cases import (
    CASES,
    Case,
    filters,
    hosts,
    limited,
    listeners,
    load,
    metrics,
    outcome,
    patched,
    request,
    ruled,
)
from gateway_tokens import NOW

from lockgate.gateway.model import Endpoint
from lockgate.gateway.routing import Answered, Forwarded, decide

ROWS = [
    pytest.param(case, id=f"{file.stem}: {case.name}")
    for file in sorted(CASES.glob("*.yaml"))
    for case in load(file.name)
]


@pytest.mark.parametrize("case", ROWS)
def test_row(case: Case) -> None:
    built = case.build()
    gateway, expected = built.gateway, dict(case.expected)
    if (wanted := expected.pop("listeners", None)) is not None:
        assert listeners(gateway) == wanted
    for name, wanted in expected.pop("routes", {}).items():
        assert hosts(gateway.routes[name]) == wanted
    if (wanted := expected.pop("clusters", None)) is not None:
        assert sorted(gateway.clusters) == sorted(wanted)
    for name, wanted in expected.pop("cluster", {}).items():
        _check_parts(gateway.clusters[name], wanted)
    for name, wanted in expected.pop("endpoints", {}).items():
        assert [f"{one.address}:{one.port}" for one in gateway.endpoints[name]] == wanted
    for wanted in expected.pop("route", ()):
        _check_route(gateway, wanted)
    for row in expected.pop("requests", ()):
        decision = decide(gateway, request(row), now=NOW)
        assert outcome(decision.outcome) == row["is"], row
        if "sees" in row:
            assert isinstance(decision.outcome, Forwarded)
            seen = dict(decision.outcome.upstreams[0].headers)
            assert {name: seen.get(name) for name in row["sees"]} == row["sees"], row
        if "grpc" in row or "answers" in row:
            assert isinstance(decision.outcome, Answered)
            assert decision.outcome.grpc_status == row.get("grpc"), row
            assert dict(decision.outcome.headers) == row.get("answers", {}), row
        if "by" in row:
            assert ruled(decision) == row["by"], row
        if "limits" in row:
            assert [limited(each) for each in decision.limits] == row["limits"], row
        if "because" in row:
            assert [one.reason for one in decision.passed] == row["because"], row
    for name, wanted in expected.pop("placed", {}).items():
        assert [_placed(one) for one in gateway.endpoints[name]] == wanted
    for name, wanted in expected.pop("tcp", {}).items():
        listener = next(one for one in gateway.listeners if one.name == name)
        _check_parts(tuple(chain.filter for chain in listener.filter_chains), wanted)
    for name, wanted in expected.pop("tls", {}).items():
        listener = next(one for one in gateway.listeners if one.name == name)
        _check_parts(tuple(chain.tls for chain in listener.filter_chains), wanted)
    if (wanted := expected.pop("credentials", None)) is not None:
        assert {name: list(found) for name, found in gateway.credentials.items()} == wanted
    if (wanted := expected.pop("http", None)) is not None:
        _check_parts(gateway.http, wanted)
    if (wanted := expected.pop("filters", None)) is not None:
        assert filters(gateway) == wanted
    if (wanted := expected.pop("telemetry", None)) is not None:
        _check_parts(gateway.telemetry, wanted)
    if (wanted := expected.pop("metrics", None)) is not None:
        assert metrics(gateway) == wanted
    if (wanted := expected.pop("module", None)) is not None:
        assert gateway.filters
        found = {name: getattr(gateway.filters.modules[0], name) for name in wanted}
        assert {**found, "environment": [list(pair) for pair in found["environment"]]} == wanted
    if (wanted := expected.pop("patched", None)) is not None:
        assert patched(gateway) == wanted
    codes = expected.pop("faults", [])
    assert sorted(fault.code.id for fault in built.faults) == sorted(codes), built.faults
    assert not expected, f"words that this table does not know: {list(expected)}"


def _placed(endpoint: Endpoint) -> str:
    """``address region/zone/subzone priority``, and the share of its locality where it has one."""
    where = endpoint.locality
    share = "" if endpoint.share is None else f" {endpoint.share}"
    return f"{endpoint.address} {where.region}/{where.zone}/{where.subzone} {endpoint.priority}{share}"


def _check_route(gateway: object, wanted: dict[str, object]) -> None:
    """``{of: configuration, host: domain, number: 0, …parts of the route…}``."""
    parts = dict(wanted)
    configuration = gateway.routes[parts.pop("of")]  # type: ignore[attr-defined]
    host = next(one for one in configuration.virtual_hosts if parts["host"] in one.domains)
    parts.pop("host")
    _check_parts(host.routes[parts.pop("number", 0)], parts)


def _check_parts(value: object, wanted: object) -> None:
    """Every field that is named has the value that is named; lists are tuples, and maps go deeper."""
    if isinstance(wanted, dict) and not isinstance(value, dict):
        for name, inner in wanted.items():
            _check_parts(getattr(value, name), inner)
    elif isinstance(wanted, list) and isinstance(value, tuple):
        assert len(value) == len(wanted), (value, wanted)
        for one, inner in zip(value, wanted, strict=True):
            _check_parts(one, inner)
    else:
        assert value == wanted
