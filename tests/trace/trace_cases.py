"""Manifests and a request in, the way of the request out: how the tables in `tests/cases/trace` are read."""

from __future__ import annotations

from typing import Any

import yaml

from lockgate.edge.edge import Edge
from lockgate.edge.from_manifests import from_manifests
from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.resources.reader import read

BASE = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: edge
  namespace: istio-system
  annotations:
    kubernetes.io/ingress.class: alb
    alb.ingress.kubernetes.io/backend-protocol: HTTPS
    alb.ingress.kubernetes.io/healthcheck-protocol: HTTP
    alb.ingress.kubernetes.io/healthcheck-port: status-port
    alb.ingress.kubernetes.io/healthcheck-path: /healthz/ready
    alb.ingress.kubernetes.io/listen-ports: '[{"HTTP": 80}, {"HTTPS": 443}]'
    alb.ingress.kubernetes.io/ssl-redirect: "443"
    alb.ingress.kubernetes.io/certificate-arn: arn:aws:acm:eu-west-1:123456789012:certificate/0f0f0f0f
spec:
  rules:
    - http:
        paths: [{path: /, pathType: Prefix, backend: {service: {name: istio-ingressgateway, port: {number: 443}}}}]
---
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
metadata: {name: istio}
spec:
  components:
    ingressGateways:
      - {name: istio-ingressgateway, enabled: true, k8s: {service: {type: NodePort}}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: shop, namespace: istio-system}
spec: {secretName: shop-tls, dnsNames: [shop.example], issuerRef: {name: letsencrypt, kind: ClusterIssuer}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
    - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: shop-tls}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: shop}
spec:
  hosts: [shop.example]
  gateways: [istio-system/edge]
  http:
    - match: [{uri: {prefix: /api/}}]
      rewrite: {uri: /}
      route: [{destination: {host: api, port: {number: 8080}}}]
    - route: [{destination: {host: web, port: {number: 3000}}}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 3000}]}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: shop}
spec: {selector: {app: api}, ports: [{name: http, port: 8080}]}
"""


def edge(change: list[dict[str, Any]] | None = None) -> Edge:
    """The edge of BASE with the documents of `change` merged over it; maps are merged, everything else is replaced."""
    documents = list(yaml.safe_load_all(BASE))
    for changed in change or ():
        same = next((each for each in documents if _identity(each) == _identity(changed)), None)
        if same is None:
            documents.append(changed)
        else:
            _merge(same, changed)
    reading = read(yaml.safe_dump_all(documents), "edge.yaml")
    errors = [str(each) for each in reading.faults if each.severity == "error"]
    assert not errors, errors
    manifests = Manifests(reading.documents, reading.faults, ("edge.yaml",), frozenset(), {})
    return from_manifests(manifests, Options(("edge.yaml",)))


def _identity(document: dict[str, Any]) -> tuple[str, str, str]:
    metadata = document["metadata"]
    return document["kind"], metadata.get("namespace", ""), metadata["name"]


def _merge(base: dict[str, Any], over: dict[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        else:
            base[key] = value
