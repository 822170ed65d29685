"""Requests to a gateway that no load balancer is in front of: its hosts resolve to an address of its own."""

from __future__ import annotations

import pytest

from lockgate.edge.edge import Edge
from lockgate.edge.from_manifests import from_manifests
from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.resources.reader import read
from lockgate.trace.model import Request
from lockgate.trace.walk import trace

MANIFESTS = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: any, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers:
    - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}
    - port: {number: 443, name: https, protocol: HTTPS}
      hosts: [shop.example]
      tls: {mode: SIMPLE, credentialName: shop-tls}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: any, namespace: shop}
spec:
  hosts: ["*"]
  gateways: [any]
  http: [{match: [{uri: {exact: /page}}], route: [{destination: {host: page, port: {number: 9080}}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: shop}
spec:
  hosts: [shop.example]
  gateways: [any]
  http: [{route: [{destination: {host: web, port: {number: 8000}}}]}]
"""


def edge(options: Options) -> Edge:
    reading = read(MANIFESTS, "edge.yaml")
    return from_manifests(Manifests(reading.documents, reading.faults, ("edge.yaml",), frozenset(), {}), options)


@pytest.mark.parametrize(
    ("url", "status", "by", "words"),
    [
        ("https://shop.example/x", None, "backend", "shop/web:8000"),
        ("http://shop.example/x", None, "backend", "shop/web:8000"),
        ("http://127.1.0.1/page", None, "backend", "shop/page:9080"),
        ("http://127.1.0.1/other", 404, "gateway", "no route of 127.1.0.1 matches"),
        ("https://127.1.0.1/", None, "gateway", "for other server names"),
        ("https://shop.example:80/", None, "gateway", "The client speaks TLS"),
        ("http://shop.example:443/", None, "gateway", "The client speaks HTTP"),
        ("http://shop.example:81/", None, "gateway", "has no port 81. It has 15021, 80, 443"),
        ("http://127.1.0.2/", None, "dns", "No hosted zone holds 127.1.0.2"),
        ("http://other.shop.example/", None, "dns", "has no record"),
    ],
)
def test_requests_to_a_gateways_own_address(url: str, status: int | None, by: str, words: str) -> None:
    ending = trace(edge(Options(())), Request.of(url)).ending
    assert (ending.status, ending.by) == (status, by)
    assert words in f"{ending.backend} {ending.cause}"


def test_without_supply_there_is_no_gateway() -> None:
    ending = trace(edge(Options((), supply=False)), Request.of("https://shop.example/x")).ending
    assert (ending.status, ending.by) == (None, "dns")
