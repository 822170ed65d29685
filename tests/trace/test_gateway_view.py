"""`show gateway` as a value: every part of a gateway, with the line that it comes from."""

from __future__ import annotations

from typing import Any

import yaml
from trace_cases import edge

from lockgate.resources.faults import Origin, Position
from lockgate.trace.gateway_view import gateway_json, lines

CHANGE: list[dict[str, Any]] = yaml.safe_load("""
- kind: Gateway
  metadata: {name: edge, namespace: istio-system}
  spec:
    servers:
      - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: MUTUAL, credentialName: shop-tls}}
      - {port: {number: 8443, name: tls, protocol: TLS}, hosts: [vault.example], tls: {mode: PASSTHROUGH}}
- {apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: vault, namespace: shop}, spec: {
    hosts: [vault.example], gateways: [istio-system/edge],
    tls: [{match: [{sniHosts: [vault.example]}], route: [{destination: {host: web, port: {number: 3000}}}]}]}}
- {apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: web, namespace: shop}, spec: {
    host: web, trafficPolicy: {tls: {mode: SIMPLE, sni: web.example}}, subsets: [{name: v1, labels: {version: v1}}]}}
- kind: VirtualService
  metadata: {name: shop, namespace: shop}
  spec:
    http:
      - {name: gone, match: [{uri: {exact: /gone}}], directResponse: {status: 410}}
      - {name: moved, match: [{uri: {prefix: /moved}}], redirect: {uri: /there}}
      - name: web
        route: [{destination: {host: web, subset: v1}, weight: 80}, {destination: {host: api}, weight: 20}]
""")


def test_every_part_of_a_gateway_is_shown_with_its_line() -> None:
    (gateway,) = edge(CHANGE).gateways.values()
    asked: list[Origin] = []

    def locate(origin: Origin) -> Position:
        asked.append(origin)
        return Position("edge.yaml", len(asked), 1)

    shown = gateway_json(gateway, locate)
    assert shown["workload"] == "istio-system/istio-ingressgateway"
    chains = {sni: chain for each in shown["listeners"] for chain in each["chains"] for sni in chain["sni"]}
    assert chains["*"]["clientCertificates"] == "required"
    assert chains["*"]["credentials"] == ["kubernetes://shop-tls"]
    assert "3000" in str(chains["vault.example"]["clusters"])
    text = str(shown)
    for part in ("/gone", "410", "/there", "outbound|3000|v1|web.shop.svc.cluster.local", "80", "'tls': True"):
        assert part in text, part
    kinds = {origin.key.kind for origin in asked}
    assert {"Gateway", "VirtualService", "DestinationRule"} <= kinds
    assert "edge.yaml" in text


def test_the_same_as_lines() -> None:
    (gateway,) = edge(CHANGE).gateways.values()
    shown = [text for text, _ in lines(gateway_json(gateway, lambda _: None))]
    assert shown[0] == "istio-system/istio-ingressgateway"
    text = "\n".join(shown)
    for part in (
        "├ listener 0.0.0.0_8443",
        "│   SNI * TLS kubernetes://shop-tls client certificate required  →  ",
        "│   SNI vault.example  →  outbound|3000||web.shop.svc.cluster.local",
        "→  answers 410",
        "→  301 to ",
        "→  outbound|3000|v1|web.shop.svc.cluster.local (80), outbound|8080||api.shop.svc.cluster.local (20)",
        "└ cluster outbound|3000|v1|web.shop.svc.cluster.local  EDS HTTP1 TLS  ",
    ):
        assert part in text, f"{part} is not in\n{text}"
