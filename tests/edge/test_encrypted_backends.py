"""Applications that are reached with TLS, by the real command: the echo in their place speaks TLS."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.edge.conftest import Start

pytestmark = pytest.mark.edge

MANIFESTS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  namespace: shop
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/backend-protocol: HTTPS
spec:
  ingressClassName: alb
  rules:
    - host: web.shop.example
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 443}}}}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 443, targetPort: 8443}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers:
    - {port: {number: 80, name: http, protocol: HTTP}, hosts: [orders.shop.example]}
    - {port: {number: 443, name: tls, protocol: TLS}, tls: {mode: PASSTHROUGH}, hosts: [vault.shop.example]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: orders, namespace: shop}
spec:
  hosts: [orders.shop.example]
  gateways: [edge]
  http: [{route: [{destination: {host: orders, port: {number: 443}}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: vault, namespace: shop}
spec:
  hosts: [vault.shop.example]
  gateways: [edge]
  tls: [{match: [{sniHosts: [vault.shop.example]}], route: [{destination: {host: vault, port: {number: 443}}}]}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: orders, namespace: shop}
spec: {host: orders, trafficPolicy: {tls: {mode: SIMPLE}}}
"""


def test_load_balancers_gateways_and_clients_meet_tls_where_they_expect_it(up: Start, tmp_path: Path) -> None:
    file = tmp_path / "edge.yaml"
    file.write_text(MANIFESTS)
    edge = up(tmp_path).ready()
    assert '"service": "shop/web:443"' in edge.curl("http://web.shop.example/")
    assert '"service": "shop/orders:443"' in edge.curl("http://orders.shop.example/")
    assert '"service": "shop/vault:443"' in edge.curl("https://vault.shop.example/")
    # Without the rule, the gateway and the echo speak plain HTTP again.
    file.write_text(MANIFESTS.replace("mode: SIMPLE", "mode: DISABLE"))
    edge.until("DestinationRule")
    edge.wait(
        until=lambda: '"service": "shop/orders:443"' in edge.curl("http://orders.shop.example/"), what="plain HTTP"
    )
