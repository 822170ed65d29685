"""From what a probe sees to causes: `tests/cases/probe/causes.yaml`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter

from lockgate.probe.causes import causes
from lockgate.probe.evidence import Evidence, gateway_log
from lockgate.probe.observed import Observation

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "probe" / "causes.yaml").read_text())
NOW = datetime(2026, 6, 1, tzinfo=UTC)
ASKED = {
    "url": "https://shop.example/",
    "scheme": "https",
    "host": "shop.example",
    "port": 443,
    "target": "/",
    "method": "GET",
    "headers": [],
    "protocol": "auto",
    "kind": "http",
    "trace_id": "1-2-3",
    "agent": "probe",
}
WELL: dict[str, Any] = {"status": 200, "headers": {"server": "istio-envoy", "x-envoy-upstream-service-time": "3"}}
CERTIFICATE = {
    "names": ["shop.example"],
    "issuer": "Amazon",
    "not_before": "2025-12-01T00:00:00Z",
    "not_after": "2027-01-01T00:00:00Z",
    "key": "bb",
    "chain": 3,
}
LISTENERS = [{"Port": 443, "Protocol": "HTTPS", "SslPolicy": "ELBSecurityPolicy-TLS13-1-3-2021-06", "ListenerArn": "l"}]
BALANCER = {
    "name": "alb",
    "arn": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/alb/1",
    "dns_name": "alb-1.elb.amazonaws.com",
    "state": "active",
    "reason": "",
    "scheme": "internet-facing",
    "ip_address_type": "ipv4",
    "listeners": LISTENERS,
    "rules": {},
    "attributes": {},
    "groups": [],
}
GROUP: dict[str, Any] = {
    "name": "gateway",
    "arn": "arn",
    "protocol": "HTTPS",
    "protocol_version": "HTTP1",
    "port": 30443,
    "target_type": "instance",
    "check": {"Protocol": "HTTP", "Port": "30021", "Path": "/healthz/ready"},
}
RECORD = {"name": "shop.example.", "type": "A", "zone": "Z1", "alias": "alb-1.elb.amazonaws.com."}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_causes(case: dict[str, Any]) -> None:
    found = causes(_observation(case), _evidence(case), NOW)
    assert [cause.name for cause in found] == case["causes"], found
    if found and "confirmed" in case:
        assert found[0].confirmed == case["confirmed"]
    assert case.get("says", "") in "".join(cause.says for cause in found[:1])
    assert case.get("fix", "") in "".join(cause.fix for cause in found[:1])


def _observation(case: dict[str, Any]) -> Observation:
    one = {"server": "ns1", "rcode": "NOERROR", "authoritative": True, "addresses": ["203.0.113.1"]}
    names = {"host": "shop.example", "zone": "shop.example", "servers": [one], **case.get("names", {})}
    nowhere = "names" in case and not any(
        each.get("addresses") for each in (*names["servers"], names.get("resolver", {}))
    )
    tls = {"version": "TLSv1.3", "cipher": "AES", "alpn": "h2", **case.get("tls", {})}
    tls["certificate"] = {**CERTIFICATE, **tls.get("certificate", {})}
    connections = case.get("connections", [] if nowhere else [{"address": "203.0.113.1", "port": 443, "tls": tls}])
    reached = not any(each.get("error") or each.get("tls_error") for each in connections) and connections
    answers = [_exchange(each) for each in case.get("answers", [WELL] if reached else [])]
    return TypeAdapter(Observation).validate_python(
        {
            "asked": {**ASKED, **case.get("asked", {})},
            "names": names,
            "connections": connections,
            "exchanges": answers,
            "direct": case.get("direct", {}),
            "again": _exchange(case["again"]) if "again" in case else None,
        }
    )


def _exchange(row: dict[str, Any]) -> dict[str, Any]:
    headers = [list(pair) for pair in row.get("headers", {}).items()]
    return {"address": "203.0.113.1", "protocol": "1.1", **row, "headers": headers}


def _evidence(case: dict[str, Any]) -> Evidence:
    balancers = case.get("balancers")
    made = {
        "records": case.get("records", [RECORD] if balancers else None),
        "balancers": balancers and [_balancer(each) for each in balancers],
        "certificates": case.get("certificates", []),
        "secrets": case.get("secrets", {}),
        "issuances": case.get("issuances", []),
        "gateway_log": gateway_log(case["log"]) if "log" in case else None,
    }
    return TypeAdapter(Evidence).validate_python(made)


def _balancer(row: dict[str, Any]) -> dict[str, Any]:
    groups = [
        {
            **GROUP,
            **each,
            "targets": [{"group": "gateway", "target": "i-1:30443", **one} for one in each.get("targets", [])],
        }
        for each in row.get("groups", [])
    ]
    return {**BALANCER, **row, "groups": groups}
