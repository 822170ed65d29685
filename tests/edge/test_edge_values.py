"""An edge from the APIs' state is the edge from the manifests; health checks; annotations of records."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from lockgate.dns.model import Failover, Geolocation, Latency, MultiValue, Policy, Simple, Weighted
from lockgate.edge import endpoint_annotations as annotation
from lockgate.edge.edge import Edge
from lockgate.edge.from_manifests import NODE, from_plan
from lockgate.edge.from_state import from_state
from lockgate.edge.health import health
from lockgate.edge.options import Options
from lockgate.edge.plan import load_balancers, plan
from lockgate.edge.workloads import gateway_pod, gateway_workloads, slice_manifest
from lockgate.loadbalancer.model import LoadBalancer, Target
from lockgate.resources import core, elbv2, istio
from lockgate.runtime.reading.files import load
from lockgate.trace.model import Request
from lockgate.trace.walk import trace

GUIDE = Path(__file__).parent / "guide"
SHOP = "https://quay.example/"


@cache
def planned() -> Any:
    return plan(load([str(GUIDE)]), Options((str(GUIDE),)))


@cache
def expected() -> Edge:
    return from_plan(planned())


def observed() -> Edge:
    """What the APIs of a cluster and an account have once all of the manifests is deployed."""
    edge = expected()
    services = list(edge.objects.all(core.Service))
    workloads = gateway_workloads(services, edge.objects.all(istio.Gateway))
    slices = [
        slice_manifest(service, "echo", "127.0.0.1", {port.name or "": port.port for port in service.spec.ports})
        for service in services
    ]
    bindings = [
        {
            "metadata": {"name": f"b{number}", "namespace": port.namespace},
            "spec": {"targetGroupARN": group, "serviceRef": {"name": port.service, "port": port.port}},
        }
        for number, (group, port) in enumerate(edge.network.bindings.items())
    ]
    resources = [
        *edge.objects,
        *(gateway_pod(each, NODE) for each in workloads),
        *map(core.EndpointSlice.model_validate, slices),
        *map(elbv2.TargetGroupBinding.model_validate, bindings),
    ]
    # The API knows no lines.
    balancers = [_without_places(each) for each in edge.application_load_balancers]
    acm = {name: each for name, each in edge.certificates.items() if name.startswith("arn:")}
    return from_state(resources, edge.zones, balancers, acm, stacks=load_balancers(planned()))


def _without_places(balancer: LoadBalancer) -> LoadBalancer:
    listeners = tuple(
        replace(each, origin=None, rules=tuple(replace(rule, origin=None) for rule in each.rules))
        for each in balancer.listeners
    )
    groups = {name: replace(each, origin=None) for name, each in balancer.target_groups.items()}
    return replace(balancer, origin=None, listeners=listeners, target_groups=groups)


@pytest.mark.parametrize("url", [SHOP, "http://quay.example/x", "https://other.example/", f"{SHOP}api/v1"])
def test_requests_go_the_same_way_with_the_same_lines(url: str) -> None:
    one, other = (trace(edge, Request.of(url)) for edge in (expected(), observed()))
    assert other.ending == one.ending
    assert [(hop.name, hop.title, hop.verdict) for hop in other.hops] == [
        (hop.name, hop.title, hop.verdict) for hop in one.hops
    ]
    rules = [hop.where for hop in one.hops if hop.name == "rule"]
    assert [hop.where for hop in other.hops if hop.name == "rule"] == rules


def test_a_load_balancer_of_somebody_else_has_no_lines() -> None:
    edge = observed()
    (balancer,) = edge.application_load_balancers
    theirs = replace(_without_places(balancer), name="theirs")
    found = from_state(edge.objects, edge.zones, [theirs], {}, stacks=load_balancers(planned()), earlier=edge)
    assert found.load_balancers == (theirs,)
    assert found.load_balancer(f"dualstack.{balancer.dns_name.upper()}.") is not None
    assert found.load_balancer("gone.example") is None


@pytest.mark.parametrize(
    ("check", "passes", "why"),
    [
        (
            {"protocol": "HTTP", "port": "15021", "path": "/healthz/ready?x"},
            True,
            "the gateway's readiness answers 200",
        ),
        ({"protocol": "HTTP", "port": "15021", "path": "/"}, False, "readiness answers 404, and the check takes 200"),
        ({"protocol": "HTTPS", "port": "15021", "path": "/"}, False, "the status port speaks plain HTTP"),
        ({"protocol": "TCP", "port": "15021"}, True, "the port accepts connections"),
        ({"protocol": "TCP", "port": "8443"}, True, "the port accepts connections"),
        ({"protocol": "TCP", "port": "9"}, False, "nothing is known to listen on port 9"),
        ({"protocol": "HTTPS", "port": "8443", "path": "/"}, False, "the gateway answers 404, and the check takes 200"),
        ({"protocol": "HTTPS", "port": "8443", "path": "/", "matcher": "200-499"}, True, "the gateway answers 404"),
    ],
)
def test_health_checks(check: dict[str, Any], passes: bool | None, why: str) -> None:
    edge = expected()
    (balancer,) = edge.application_load_balancers
    (group,) = balancer.target_groups.values()
    checked = replace(group, target_type="ip", health_check=replace(group.health_check, **{"matcher": "200", **check}))
    found = health(edge, checked, Target("127.0.0.1", 1))
    assert found.passes is passes, found
    assert why in found.why


PREFIX = "external-dns.alpha.kubernetes.io/"


@pytest.mark.parametrize(
    ("annotations", "policy"),
    [
        ({}, ("", Simple())),
        ({"aws-weight": "5"}, ("", Simple())),  # a policy needs an identifier
        ({"set-identifier": "a"}, ("", Simple())),
        ({"set-identifier": "a", "aws-weight": "5"}, ("a", Weighted(5))),
        ({"set-identifier": "a", "aws-region": "eu-west-1"}, ("a", Latency("eu-west-1"))),
        ({"set-identifier": "a", "aws-failover": "PRIMARY"}, ("a", Failover("PRIMARY"))),
        ({"set-identifier": "a", "aws-failover": "SECONDARY"}, ("a", Failover("SECONDARY"))),
        ({"set-identifier": "a", "aws-failover": "BOTH"}, ("", Simple())),
        ({"set-identifier": "a", "aws-geolocation-country-code": "KR"}, ("a", Geolocation(country="KR"))),
        ({"set-identifier": "a", "aws-multi-value-answer": "true"}, ("a", MultiValue())),
    ],
)
def test_routing_policies_of_records(annotations: dict[str, str], policy: tuple[str, Policy]) -> None:
    assert annotation.routing({PREFIX + key: value for key, value in annotations.items()}) == policy


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("300", 300), ("1h30m5s", 5405), ("0", None), ("-1", None), ("soon", None), ("2147483648", None), ("", None)],
)
def test_the_ttl_of_records(text: str, seconds: int | None) -> None:
    assert annotation.ttl({PREFIX + "ttl": text}) == seconds
