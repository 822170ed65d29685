"""What difference finds in values that manifests rarely lead to, and that it looks at every field of the models."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import Any

import pytest
from test_trace_gateway_address import MANIFESTS
from trace_cases import edge

from lockgate.edge.edge import Edge
from lockgate.edge.from_manifests import from_manifests
from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.gateway import model as gateway
from lockgate.loadbalancer import model as alb
from lockgate.loadbalancer.waf.model import (
    Allow,
    Block,
    ByteMatch,
    Component,
    IpSet,
    Networks,
    Rule,
    Statement,
    UriPath,
    WebAcl,
)
from lockgate.resources.reader import read
from lockgate.trace.difference import difference
from lockgate.trace.walk import trace


def with_acl(*rules: tuple[str, Statement]) -> Edge:
    made = edge()
    acl = WebAcl("prod", "arn", Allow(), tuple(Rule(name, 1, each, Block()) for name, each in rules))
    (balancer,) = made.application_load_balancers
    return replace(made, load_balancers=(replace(balancer, web_acl=acl),))


def path(text: bytes) -> Statement:
    return ByteMatch(Component(UriPath()), text, "CONTAINS")


def test_equal_web_acls_are_equal() -> None:
    assert difference(with_acl(("a", path(b"/x"))), with_acl(("a", path(b"/x")))).is_equal


@pytest.mark.parametrize(
    ("old", "new", "path_"),
    [
        ([("a", path(b"/x"))], [("a", path(b"/x")), ("b", path(b"/admin"))], "/admin"),
        ([("a", path(b"/x"))], [("a", path(b"/y"))], "/x"),
    ],
)
def test_web_acls_that_differ(old: list[tuple[str, Statement]], new: list[tuple[str, Statement]], path_: str) -> None:
    before, after = with_acl(*old), with_acl(*new)
    found = difference(before, after)
    assert not found.is_equal
    witnesses = [each.witness for each in found.classes if "outcome" in {change.aspect for change in each.changes}]
    assert path_ in {each.target for each in witnesses}
    for witness in witnesses:
        assert trace(before, witness).ending.status != trace(after, witness).ending.status
    assert any("only requests that their rules name were tried" in each for each in found.undecided)


def test_addresses_that_a_web_acl_blocks() -> None:
    blocks = IpSet("arn", Networks.of(["198.51.100.0/24"]))
    found = difference(with_acl(), with_acl(("office", blocks)))
    assert any(each.witness.source.startswith("198.51.100.") for each in found.classes)


def test_a_gateway_at_an_address_of_its_own() -> None:
    sides = []
    for port in (8000, 8001):
        text = MANIFESTS.replace("number: 8000", f"number: {port}")
        reading = read(text, "edge.yaml")
        manifests = Manifests(reading.documents, reading.faults, ("edge.yaml",), frozenset(), {})
        sides.append(from_manifests(manifests, Options(())))
    found = difference(*sides)
    assert [(each.requests, each.ports) for each in found.classes] == [
        ("shop.example", ("http 80",)),
        ("shop.example, path is not /page", ("https 443",)),
    ]
    assert found.undecided == ()


def test_a_connection_that_is_no_longer_tls_reaches_other_routes() -> None:
    https = {"match": [{"scheme": {"exact": "https"}}], "directResponse": {"status": 200}}
    routes: dict[str, Any] = {"kind": "VirtualService", "metadata": {"name": "shop", "namespace": "shop"}}
    routes["spec"] = {"http": [https, {"directResponse": {"status": 400}}]}
    plain = {
        "kind": "Gateway",
        "metadata": {"name": "edge", "namespace": "istio-system"},
        "spec": {
            "servers": [
                {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]},
                {
                    "port": {"number": 443, "name": "https", "protocol": "HTTPS"},
                    "hosts": ["*"],
                    "tls": {"mode": "SIMPLE", "credentialName": "shop-tls"},
                },
            ]
        },
    }
    backend = {"service": {"name": "istio-ingressgateway", "port": {"number": 80}}}
    ingress = {
        "kind": "Ingress",
        "metadata": {
            "name": "edge",
            "namespace": "istio-system",
            "annotations": {"alb.ingress.kubernetes.io/backend-protocol": "HTTP"},
        },
        "spec": {"rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]},
    }
    found = difference(edge([routes, plain]), edge([routes, plain, ingress]))
    aspects = {(each.aspect, each.old, each.new) for found_ in found.classes for each in found_.changes}
    assert ("answer", "200 from the gateway", "400 from the gateway") in aspects


def test_patches_are_not_compared() -> None:
    patches = [{"applyTo": "HTTP_FILTER", "patch": {"operation": "INSERT_FIRST", "value": {"name": "a"}}}]
    lua = {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": "lua", "namespace": "istio-system"},
        "spec": {"configPatches": patches},
    }
    assert "EnvoyFilters differ: what their patches change is not compared" in difference(edge(), edge([lua])).undecided
    assert not difference(edge([lua]), edge([lua])).undecided


def test_a_secret_is_compared_and_not_shown() -> None:
    sides = []
    for secret in ("secret-of-old", "secret-of-new"):
        made = edge()
        (balancer,) = made.application_load_balancers
        login = alb.AuthenticateOidc("https://id.example", "a", "t", "u", "client", secret)
        listeners = tuple(
            replace(each, rules=tuple(replace(rule, actions=(login, *rule.actions)) for rule in each.rules))
            if each.protocol == "HTTPS"
            else each
            for each in balancer.listeners
        )
        sides.append(replace(made, load_balancers=(replace(balancer, listeners=listeners),)))
    found = difference(*sides)
    assert ["authentication" in {change.aspect for change in each.changes} for each in found.classes] == [True]
    assert not re.search("secret-of", str(found.classes))


# A field that is added to a model is compared under its own name where `fields_of` reads it. Where fields are read one
# by one, whoever adds one decides here whether a request shows it.
@pytest.mark.parametrize(
    ("model", "names"),
    [
        (
            alb.LoadBalancer,
            "name listeners target_groups scheme ip_address_type security_groups subnets attributes tags arn dns_name "
            "canonical_hosted_zone_id web_acl origin",
        ),
        (
            alb.Listener,
            "port protocol default_actions rules certificates ssl_policy mutual_authentication attributes tags arn "
            "origin",
        ),
        (alb.Rule, "priority conditions actions transforms tags arn origin"),
        (alb.Forward, "target_groups stickiness_seconds"),
        (alb.Redirect, "status_code protocol host port path query"),
        (alb.FixedResponse, "status_code content_type message_body"),
        (
            alb.TargetGroup,
            "reference name port protocol protocol_version target_type ip_address_type health_check attributes targets "
            "tags vpc_id control_port origin",
        ),
        (
            gateway.Gateway,
            "workload namespace listeners routes clusters endpoints credentials filters patches telemetry http "
            "status_port",
        ),
        (gateway.Listener, "name bind port filter_chains origin"),
        (gateway.VirtualHost, "name domains routes require_tls"),
        (gateway.RouteMatch, "path headers query claims"),
        (gateway.HeaderMatch, "name value invert"),
        (gateway.Redirect, "status scheme host port path prefix"),
        (gateway.DirectResponse, "status body"),
    ],
    ids=lambda each: each.__qualname__ if isinstance(each, type) else "",
)
def test_every_field_is_known(model: type, names: str) -> None:
    assert {each.name for each in fields(model)} == set(names.split())
