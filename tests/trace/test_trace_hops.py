"""Certificates as a client sees them, and the route table, from an edge with one of each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml
from trace_cases import edge

from lockgate.edge.edge import Certificate
from lockgate.loadbalancer import model as alb
from lockgate.loadbalancer.network import NetworkLoadBalancer
from lockgate.trace.examples import example
from lockgate.trace.model import Request, Verdict
from lockgate.trace.table import tables
from lockgate.trace.text import as_json, lines, table_json, table_lines
from lockgate.trace.walk import trace

ARN = "arn:aws:acm:eu-west-1:123456789012:certificate/0f0f0f0f"


@pytest.mark.parametrize(
    ("names", "title", "verdict"),
    [
        (("shop.example",), "acm shop.example covers shop.example", Verdict.PASSES),
        (("other.example", "*.shop.example"), "acm other.example +1 does not cover shop.example", Verdict.FAILS),
        ((), "its names are not known here", Verdict.UNDECIDED),
    ],
)
def test_whether_the_certificate_covers_the_host(names: tuple[str, ...], title: str, verdict: Verdict) -> None:
    base = edge()
    changed = replace(base, certificates={**base.certificates, ARN: Certificate(names, "ACM", None)})
    hop = trace(changed, Request.of("https://shop.example/")).hop("certificate")
    assert hop is not None
    assert title in hop.title
    assert hop.verdict is verdict


CHANGE: list[dict[str, Any]] = yaml.safe_load("""
- kind: Ingress
  metadata:
    name: edge
    namespace: istio-system
    annotations:
      alb.ingress.kubernetes.io/enable-frontend-nlb: "true"
      alb.ingress.kubernetes.io/healthcheck-port: traffic-port
      alb.ingress.kubernetes.io/healthcheck-protocol: HTTPS
      alb.ingress.kubernetes.io/auth-type: cognito
      alb.ingress.kubernetes.io/auth-idp-cognito: '{"userPoolARN": "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_a", "userPoolClientID": "c", "userPoolDomain": "shop"}'
      alb.ingress.kubernetes.io/actions.old: '{"type": "redirect", "redirectConfig": {"host": "new.example", "query": "a=b", "statusCode": "HTTP_302"}}'
      alb.ingress.kubernetes.io/actions.split: >
        {"type": "forward", "forwardConfig": {"targetGroups": [
          {"serviceName": "istio-ingressgateway", "servicePort": "443", "weight": 90},
          {"serviceName": "canary", "servicePort": "443", "weight": 10}]}}
  spec:
    rules:
      - http:
          paths:
            - {path: /old, pathType: Exact, backend: {service: {name: old, port: {name: use-annotation}}}}
            - {path: /, pathType: Prefix, backend: {service: {name: split, port: {name: use-annotation}}}}
- {apiVersion: v1, kind: Service, metadata: {name: canary, namespace: istio-system}, spec: {type: NodePort, ports: [{port: 443}]}}
- kind: Gateway
  metadata: {name: edge, namespace: istio-system}
  spec:
    servers:
      - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: shop-tls}}
      - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"], tls: {httpsRedirect: true}}
- kind: VirtualService
  metadata: {name: shop, namespace: shop}
  spec:
    http:
      - {name: gone, match: [{uri: {exact: /gone}}], directResponse: {status: 410}}
      - {name: moved, match: [{uri: {prefix: /moved}}], redirect: {uri: /there, redirectCode: 308}}
      - {name: web, route: [{destination: {host: web}, weight: 80}, {destination: {host: api}, weight: 20}]}
      - {name: never, match: [{uri: {prefix: /x}}], route: [{destination: {host: api}}]}
""")  # fmt: skip  # noqa: E501


TABLE = """
HTTP 80 of k8s-istiosys-edge-cab577c9d5
   default rule  → 301 to https://#{host}:443/#{path}?#{query}
HTTPS 443 of k8s-istiosys-edge-cab577c9d5
   rule 1: path-pattern /old  → login, then 302 to #{protocol}://new.example:#{port}/#{path}?a=b
   rule 2: path-pattern /*    → login, then 90 % istio-system/istio-ingressgateway:443, 10 % istio-system/canary:443
   default rule               → answers 404
network load balancer k8s-istiosys-edge-cab577c9d5-nlb
   TCP 80   → k8s-istiosys-edge-ca579ab1b2
   TCP 443  → k8s-istiosys-edge-35de832e1a
shop.example on 8443 of istio-system/istio-ingressgateway
   path is /gone            → answers 410
   path begins with /moved  → 308 redirect
   path begins with /       → 80 % shop/web:3000, 20 % shop/api:8080
shop.example on 8080 of istio-system/istio-ingressgateway
   plain HTTP               → 301 to https
   path is /gone            → answers 410
   path begins with /moved  → 308 redirect
   path begins with /       → 80 % shop/web:3000, 20 % shop/api:8080
* on 8080 of istio-system/istio-ingressgateway
   plain HTTP  → 301 to https
"""


def test_the_route_table() -> None:
    shown = table_json(tables(edge(CHANGE)), lambda origin: None)
    found = [line.rstrip() for line in table_lines(shown, lambda text, role: text)]
    assert found == TABLE.strip().split("\n")


RULE: list[dict[str, Any]] = yaml.safe_load("""
- kind: Ingress
  metadata:
    name: edge
    namespace: istio-system
    annotations:
      alb.ingress.kubernetes.io/conditions.istio-ingressgateway: >
        [{"field": "http-request-method", "httpRequestMethodConfig": {"Values": ["PUT"]}},
         {"field": "http-header", "httpHeaderConfig": {"httpHeaderName": "x-a", "values": ["1*"]}},
         {"field": "query-string", "queryStringConfig": {"values": [{"key": "q", "value": "2"}]}},
         {"field": "source-ip", "sourceIpConfig": {"values": ["198.51.100.0/24"]}}]
  spec:
    rules:
      - host: "*.shop.example"
        http:
          paths: [{path: /a, pathType: Exact, backend: {service: {name: istio-ingressgateway, port: {number: 443}}}}]
""")


def test_an_example_of_a_rule_meets_all_of_its_conditions() -> None:
    base = edge(RULE)
    (balancer,) = base.application_load_balancers
    rule = balancer.listeners[-1].rules[0]
    assert rule.origin is not None
    found = example(base, rule.origin)
    assert found is not None
    request = found.trace.request
    assert found.reaches
    assert (request.method, request.url, request.source) == ("PUT", "https://any.shop.example/a?q=2", "198.51.100.0")
    assert request.headers == (("x-a", "1any"),)


def test_a_followed_redirect_as_lines() -> None:
    found = trace(edge(), Request.of("http://shop.example/api/x"), follow=True)
    shown = list(lines(as_json(found, lambda origin: None), lambda text, role: text))
    assert shown[0] == "GET http://shop.example/api/x   HTTP/1.1 from 203.0.113.10"
    assert " → 301 to https://shop.example:443/api/x" in shown
    assert shown[-1] == " → shop/api:8080 answers"


def test_an_answer_of_the_gateway_with_its_headers_as_lines() -> None:
    change = [{"kind": "VirtualService", "metadata": {"name": "shop", "namespace": "shop"}, "spec": {"http": [
        {"directResponse": {"status": 204}, "headers": {"response": {"set": {"x-a": "1"}}}}]}}]  # fmt: skip
    shown = list(lines(as_json(trace(edge(change), Request.of("https://shop.example/")), lambda origin: None)))
    assert " → 204 from the gateway" in shown


def test_a_gateway_without_a_pod_is_502() -> None:
    found = trace(replace(edge(), gateways={}), Request.of("https://shop.example/"))
    assert (found.ending.status, found.ending.by) == (502, "load balancer")
    assert found.ending.cause == "No Pod of istio-system/istio-ingressgateway runs."


@pytest.mark.parametrize("location", ["shop://app/", "https://shop.example:port/"])
def test_a_redirect_to_what_is_not_http_is_not_followed(location: str) -> None:
    base = edge()
    (balancer,) = base.application_load_balancers
    scheme, _, rest = location.partition("://")
    host, _, _ = rest.partition("/")
    action = alb.Redirect("HTTP_301", scheme, host.partition(":")[0], host.partition(":")[2] or "443", "/", "")
    listeners = tuple(replace(each, rules=(), default_actions=(action,)) for each in balancer.listeners)
    changed = replace(base, load_balancers=(replace(balancer, listeners=listeners),))
    found = trace(changed, Request.of("https://shop.example/"), follow=True)
    assert found.followed is None
    assert found.ending.location.startswith(scheme)


def test_what_a_network_load_balancer_forwards_to_nothing_known() -> None:
    base = edge([{"kind": "Ingress", "metadata": {"name": "edge", "namespace": "istio-system", "annotations": {
        "alb.ingress.kubernetes.io/enable-frontend-nlb": "true"}}}])  # fmt: skip
    front = next(each for each in base.load_balancers if isinstance(each, NetworkLoadBalancer))
    request = Request.of("https://shop.example/")
    assert trace(base, request).ending.by == "backend"
    others = tuple(each for each in base.load_balancers if each is front)
    ending = trace(replace(base, load_balancers=others), request).ending
    assert (ending.status, ending.by) == (None, "network load balancer")
    (group,) = (each for each in front.target_groups.values() if each.port == 443)
    assert ending.cause == f"The target of {group.name} is no load balancer that is known here."


TCP: list[dict[str, Any]] = yaml.safe_load("""
- kind: Gateway
  metadata: {name: edge, namespace: istio-system}
  spec:
    servers:
      - {port: {number: 443, name: tls, protocol: TLS}, hosts: [vault.example], tls: {mode: PASSTHROUGH}}
      - {port: {number: 80, name: tcp, protocol: TCP}, hosts: ["*"]}
- kind: VirtualService
  metadata: {name: shop, namespace: shop}
  spec:
    hosts: [vault.example]
    http: []
    tls: [{match: [{sniHosts: [vault.example]}], route: [{destination: {host: web, port: {number: 3000}}}]}]
    tcp: [{match: [{port: 80}], route: [{destination: {host: api, port: {number: 8080}}}]}]
- kind: Ingress
  metadata:
    name: edge
    namespace: istio-system
    annotations:
      alb.ingress.kubernetes.io/jwt-validation: '{"jwksEndpoint": "https://id.example/keys", "issuer": "https://id.example"}'
""")  # fmt: skip


def test_the_route_table_of_connections_and_tokens() -> None:
    rows = {(each.title, row.match): row.leads for each in tables(edge(TCP)) for row in each.rows}
    name = "istio-system/istio-ingressgateway"
    assert rows[f"TCP 8443 of {name}", "TLS for vault.example"] == "shop/web:3000"
    assert rows[f"TCP 8080 of {name}", "every connection"] == "shop/api:8080"
    (leads,) = (leads for (_, match), leads in rows.items() if match.startswith("rule 1:") and "JWT" in leads)
    assert leads == f"JWT validation, then {name}:443"


def test_findings_of_a_hop_as_lines() -> None:
    shown = as_json(trace(edge(), Request.of("https://shop.example/")), lambda origin: None)
    finding = {"severity": "error", "message": "no such host", "code": "LG0001"}
    shown["hops"][0]["findings"] = [
        {**finding, "position": {"file": "edge.yaml", "line": 3, "column": 5}},
        {**finding, "severity": "warning", "position": None},
    ]
    found = [line.strip() for line in lines(shown)]
    assert "error: no such host [LG0001]  edge.yaml:3:5" in found
    assert "warning: no such host [LG0001]" in found
