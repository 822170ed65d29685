"""Manifests that the examples of several codes share."""

from __future__ import annotations

PREFIX = "alb.ingress.kubernetes.io/"
CERTIFICATE = "certificate-arn: arn:aws:acm:eu-west-1:111122223333:certificate/0f5ce1d2-0000-4000-8000-000000000000"
HTTPS = """listen-ports: '[{"HTTPS": 443}]'"""


def ingress(
    *annotations: str, name: str = "web", host: str = "shop.example", backend: str = "web", port: int = 80
) -> str:
    """An Ingress of class alb in namespace shop, whose annotations are written without their prefix."""
    lines = "".join(f"\n    {PREFIX}{each}" for each in annotations)
    return f"""
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
  namespace: shop
  annotations:{lines or " {}"}
spec:
  ingressClassName: alb
  rules:
    - host: {host}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend: {{service: {{name: {backend}, port: {{number: {port}}}}}}}
"""


def gateway(server: str, *, namespace: str = "shop") -> str:
    """A Gateway with one server on Istio's ingress gateway."""
    return f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: edge, namespace: {namespace}}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
    - {server}
"""


def virtual_service(http: str, *, name: str = "web", host: str = "shop.example") -> str:
    """A VirtualService at `gateway` with one HTTP route."""
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: shop}}
spec:
  hosts: [{host}]
  gateways: [edge]
  http:
    - {http}
"""


def together(*manifests: str) -> str:
    """One file of several manifests."""
    return "---".join(manifests)
