"""Planning an edge costs work that grows with its objects, and no faster."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import pytest

from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.edge.plan import load_balancers, plan
from lockgate.edge.without_effect import without_effect
from lockgate.resources.reader import read

VIRTUAL_SERVICE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop%(n)d, namespace: shop}
spec:
  hosts: [www.shop%(n)d.example, api.shop%(n)d.example]
  gateways: [istio-system/edge]
  http: [{route: [{destination: {host: shop%(n)d}}]}]
"""
INGRESS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: shop%(n)d
  annotations: {kubernetes.io/ingress.class: alb, alb.ingress.kubernetes.io/target-type: ip}
spec:
  rules:
    - host: www.shop%(n)d.example
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: shop%(n)d, port: {number: 80}}}}]}
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: shop%(n)d}
spec: {ports: [{port: 80}]}
"""
CERTIFICATE = """
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: shop%(n)d, namespace: shop}
spec: {secretName: shop%(n)d, dnsNames: [www.shop%(n)d.example], issuerRef: {name: all, kind: ClusterIssuer}}
"""
ISSUER = """
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: shop%(n)d}
spec: {acme: {server: "https://acme.example/d", privateKeySecretRef: {name: k}, solvers: [{dns01: {route53: {}}}]}}
"""
GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop%(n)d, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
    - {port: {number: 443, name: https%(n)d, protocol: HTTPS}, hosts: [www.shop%(n)d.example],
       tls: {mode: SIMPLE, credentialName: shop%(n)d}}
"""


def steps(work: Callable[[], object]) -> int:
    """Lines of Python that some work runs, in a thread of its own: the main one keeps the tracing of coverage."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_counted, work).result()


def _counted(work: Callable[[], object]) -> int:
    count = 0

    def trace(_frame: FrameType, _event: str, _argument: object) -> Any:
        nonlocal count
        count += 1
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
    return count


@pytest.mark.parametrize("kinds", [[VIRTUAL_SERVICE], [SERVICE, INGRESS], [CERTIFICATE], [ISSUER], [GATEWAY]])
def test_work_grows_with_the_objects(kinds: list[str]) -> None:
    def work(size: int) -> int:
        text = "---".join(kind % {"n": n} for n in range(size) for kind in kinds)
        reading = read(text, "all.yaml")
        manifests = Manifests(reading.documents, (), ("all.yaml",), frozenset(), {"all.yaml": (b"", reading)})

        def whole() -> None:
            planned = plan(manifests, Options(("all.yaml",)))
            load_balancers(planned)
            without_effect(planned.manifests.documents, planned.resources)

        whole()  # fills the caches
        return steps(whole)

    one, two, four = work(60), work(120), work(240)
    assert four - two <= 2.2 * (two - one) + 500
