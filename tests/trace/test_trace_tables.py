"""The tables of `tests/cases/trace`, row by row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from trace_cases import edge

from lockgate.trace.model import Request, Trace
from lockgate.trace.walk import trace

CASES = Path(__file__).parents[1] / "cases" / "trace"


@pytest.mark.parametrize("row", yaml.safe_load((CASES / "endings.yaml").read_text()), ids=lambda row: row["name"])
def test_how_a_request_ends(row: dict[str, Any]) -> None:
    _check(row, row.get("change"))


@pytest.mark.parametrize("row", yaml.safe_load((CASES / "network.yaml").read_text()), ids=lambda row: row["name"])
def test_how_a_request_through_a_network_load_balancer_ends(row: dict[str, Any]) -> None:
    nobody = {"kubernetes.io/ingress.class": "nginx"}
    ingress = {"kind": "Ingress", "metadata": {"name": "edge", "namespace": "istio-system", "annotations": nobody}}
    own = {"type": "external", "nlb-target-type": "instance", "scheme": "internet-facing", **row.get("annotations", {})}
    noted = {f"service.beta.kubernetes.io/aws-load-balancer-{key}": each for key, each in own.items()}
    ports = [{"name": "http", "port": 80, "targetPort": 8080}, {"name": "https", "port": 443, "targetPort": 8443}]
    service = {"type": "LoadBalancer", "ports": row.get("ports", ports), **row.get("spec", {})}
    kubernetes = {"service": service, "serviceAnnotations": noted}
    gateways = {"ingressGateways": [{"name": "istio-ingressgateway", "enabled": True, "k8s": kubernetes}]}
    operator = {"kind": "IstioOperator", "metadata": {"name": "istio"}, "spec": {"components": gateways}}
    _check(row, [ingress, operator, *row.get("change", ())])


def _check(row: dict[str, Any], change: list[dict[str, Any]] | None) -> None:
    headers = tuple((name, value) for name, value in row.get("headers", {}).items())
    request = Request.of(
        row["url"],
        method=row.get("method", "GET"),
        headers=headers,
        source=row.get("source", "203.0.113.10"),
        http2=row.get("http2", False),
        now=row.get("now"),
    )
    found = trace(edge(change), request, follow=row.get("follow", False)).last
    for name, expected in row["ending"].items():
        _holds(name, getattr(found.ending, name), expected)
    for name, expected in row.get("hops", {}).items():
        _hop_holds(found, name, expected)
    for title in row.get("titles", ()):
        assert any(title in hop.title for hop in found.hops), [hop.title for hop in found.hops]
    facts = [fact.text for hop in found.hops for fact in hop.facts]
    assert all(any(expected in fact for fact in facts) for expected in row.get("facts", ())), facts


def _holds(name: str, found: object, expected: object) -> None:
    """Sentences are held by a part of them, everything else as a whole."""
    if name in ("cause", "fix") and expected:
        assert str(expected) in str(found)
    else:
        assert found == expected, name


def _hop_holds(found: Trace, name: str, expected: object) -> None:
    hop = found.hop(name)
    assert hop is not None, f"no hop {name}: {[each.name for each in found.hops]}"
    if isinstance(expected, dict):
        for key, value in expected.items():
            assert hop.data[key] == value, key
    else:
        assert hop.data["priority"] == expected
