"""What is said of a running edge's findings: new errors and warnings once, and how many there are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.resources.reader import read
from lockgate.runtime import checking
from lockgate.runtime.checking import Checking
from tests.runtime.test_announcing import Heard

BAD = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
    - port: {number: 443, name: https, protocol: HTTPS}
      hosts: [shop.example]
      tls: {mode: SIMPLE, credentialName: shop-tls}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [shop.example]
  gateways: [istio-system/edge]
  http: [{route: [{destination: {host: web.shop.svc.cluster.local}}]}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: edge
  namespace: istio-system
  annotations:
    alb.ingress.kubernetes.io/backend-protocol: HTTPS
    alb.ingress.kubernetes.io/healthcheck-protocol: HTTP
    alb.ingress.kubernetes.io/healthcheck-port: status-port
    alb.ingress.kubernetes.io/healthcheck-path: /healthz/ready
    alb.ingress.kubernetes.io/scheem: internal
spec:
  ingressClassName: alb
  defaultBackend: {service: {name: istio-ingressgateway, port: {number: 443}}}
"""
FIXED = BAD.replace("[shop.example]", '["*"]')


def manifests(text: str) -> Manifests:
    made = read(text, "a.yaml")
    return Manifests(made.documents, made.faults, ("a.yaml",), frozenset(), {})


@dataclass
class Watched(Heard):
    codes: list[tuple[str, ...]] = field(default_factory=list)

    def checked(self, summary: str, findings: tuple[Any, ...]) -> None:
        self.lines.append(summary)
        self.codes.append(tuple(each.code for each in findings))


def run(monkeypatch: pytest.MonkeyPatch, *texts: str, announced: Callable[[], bool] = lambda: True) -> Watched:
    """Checks one version of the manifests after another."""
    monkeypatch.setattr(checking, "_POLL", 0.0)
    monkeypatch.setattr(checking, "_REST", 0)
    heard = Watched()
    edge: Any = SimpleNamespace(planned=None, manifests=None, options=Options(()))

    async def follow() -> None:
        work = Checking(edge, heard, announced)
        running = asyncio.create_task(work.run())
        for text in texts:
            edge.manifests, before = manifests(text), work.findings
            for _ in range(2000):
                await asyncio.sleep(0.005)
                if work.findings is not before or not announced():
                    break
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(follow())
    return heard


def test_what_builders_found_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """LG1101, the unknown annotation, is reported by the edge itself."""
    heard = run(monkeypatch, BAD)
    (codes,) = heard.codes
    assert "LG5001" in codes
    assert "LG1101" not in codes
    assert heard.lines[0].startswith("check finds 1 error")


def test_a_finding_is_reported_once_and_then_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = run(monkeypatch, BAD, f"# moved\n{BAD}", FIXED)
    assert len(heard.codes) == 2
    assert heard.codes[1] == ()
    assert "error" not in heard.lines[1] or "no errors" in heard.lines[1]


def test_nothing_is_checked_while_the_edge_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, BAD, announced=lambda: False).lines == []
