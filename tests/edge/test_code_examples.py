"""Every code's example has the code, and what the page says to use instead has not."""

from __future__ import annotations

from pathlib import Path

import pytest

from lockgate.check.outcome import outcome
from lockgate.edge.from_manifests import from_manifests
from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.resources.codes import codes
from lockgate.resources.codes.document import example
from lockgate.resources.faults import Code, Fault, Severity
from lockgate.resources.reader import Document, read

ROOT = Path(__file__).parents[2]

# What the examples leave out: a gateway with a route to a Service, and the certificates that it names.
BASE = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
    - port: {number: 80, name: http, protocol: HTTP}
      hosts: ["*"]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [shop.example]
  gateways: [istio-system/edge]
  http: [{route: [{destination: {host: web}}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{name: http, port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  type: NodePort
  selector: {istio: ingressgateway}
  ports:
    - {name: status-port, port: 15021}
    - {name: http2, port: 80, targetPort: 8080}
    - {name: https, port: 443, targetPort: 8443}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: alb}
spec: {controller: ingress.k8s.aws/alb}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: own, namespace: istio-system}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: shop, namespace: istio-system}
spec: {secretName: shop-tls, dnsNames: [shop.example, "*.shop.example"], issuerRef: {name: own}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: other, namespace: istio-system}
spec: {secretName: other-tls, dnsNames: [other.example], issuerRef: {name: own}}
---
apiVersion: v1
kind: Secret
metadata: {name: clients-cacert, namespace: istio-system}
"""

# Codes that manifests alone cannot show, each with the test that shows it: Istio's webhook refuses the objects first
# (LG20xx), or an edge has to run.
SHOWN_ELSEWHERE = {
    "LG2001": "tests/cases/gateway/routes.yaml",
    "LG2005": "tests/cases/gateway/servers.yaml",
    "LG2009": "tests/cases/gateway/routes.yaml",
    "IST0161": "tests/controllers/test_istiod.py",
    "LG2041": "tests/controllers/test_istiod_keys.py",
    "LG1104": "tests/ingress/test_ingress_stacks.py",
    "LG3011": "tests/check/test_public_names.py",
    "LG1111": "tests/edge/test_changing.py",
    "LG0019": "tests/runtime/test_rendering.py",
    "LG0020": "tests/runtime/test_rendering.py",
    "LG9001": "tests/edge/test_files.py",
    "LG9002": "tests/edge/test_failing.py",
    "LG9009": "tests/runtime/test_loader.py",
    "LG9003": "tests/runtime/test_report.py",
    "LG9004": "tests/runtime/test_account.py",
    "LG9005": "tests/runtime/test_report.py",
    "LG9007": "tests/runtime/test_report.py",
    "LG9006": "tests/edge/test_files.py",
    "LG9008": "tests/edge/test_following.py",
}
PURE = [code for code in codes() if code.id not in SHOWN_ELSEWHERE]


@pytest.mark.parametrize("code", PURE, ids=lambda code: code.id)
def test_the_example_has_the_code(code: Code) -> None:
    found = faults(example(code.example))
    assert code.id in {fault.code.id for fault in found}, [f"{fault.code.id} {fault.message}" for fault in found]


@pytest.mark.parametrize("code", [code for code in PURE if code.instead], ids=lambda code: code.id)
def test_what_to_use_instead_has_no_fault(code: Code) -> None:
    found = [fault for fault in faults(example(code.instead)) if fault.severity is not Severity.INFO]
    assert not [f"{fault.code.id} {fault.message}" for fault in found]
    assert code.id not in {fault.code.id for fault in faults(example(code.instead))}


@pytest.mark.parametrize(("code", "test"), SHOWN_ELSEWHERE.items())
def test_the_others_are_shown_by_a_test_of_their_own(code: str, test: str) -> None:
    assert code in (ROOT / test).read_text()


@pytest.mark.parametrize("code", codes(), ids=lambda code: code.id)
def test_a_code_is_documented(code: Code) -> None:
    assert code.title and code.what and code.why
    for text in (code.what, code.why):
        assert text.endswith((".", "`.", ")"))


def faults(text: str) -> tuple[Fault, ...]:
    """Everything that `check` finds in BASE with the objects of `text` over it."""
    reading = read(text, "example.yaml")
    own = {(document.manifest["kind"], document.manifest["metadata"]["name"]) for document in reading.documents}
    base = [document for document in read(BASE, "base.yaml").documents if _identity(document) not in own]
    files = ("base.yaml", "example.yaml")
    manifests = Manifests((*base, *reading.documents), reading.faults, files, frozenset(), {})
    edge = from_manifests(manifests, Options(files))
    return tuple(finding.fault for finding in outcome(edge, manifests).findings)


def _identity(document: Document) -> tuple[str, str]:
    return document.key.kind, document.key.name
