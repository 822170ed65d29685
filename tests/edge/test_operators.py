"""IstioOperators whose gateways no cluster would take."""

from __future__ import annotations

import pytest

from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.edge.plan import plan
from lockgate.resources.reader import read

OPERATOR = """\
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
metadata: {name: edge, namespace: istio-system}
spec:
  components:
    ingressGateways:
      - name: istio-ingressgateway
        k8s:
          overlays: OVERLAYS
  values: VALUES
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
"""


def _patch(path: str, value: str) -> str:
    return f"[{{kind: Service, patches: [{{path: '{path}', value: {value}}}]}}]"


@pytest.mark.parametrize(
    ("overlays", "values", "refusal"),
    [
        (_patch("spec.type", "Nodeport"), "{}", 'spec.type: Unsupported value: "Nodeport"'),
        (_patch("spec.ports[name:https].nodePort", "70000"), "{}", "spec.ports[2].nodePort: Invalid value: 70000"),
        (_patch("metadata", "null"), "{}", ""),
        (_patch("", "1"), "{}", ""),
        ("[]", "{gateways: {istio-ingressgateway: {type: [LoadBalancer]}}}", "spec.type: "),
        ("[]", "{gateways: {istio-ingressgateway: {ports: [{port: http}]}}}", "spec.ports[0].port: "),
    ],
)
def test_what_istioctl_would_be_refused_is_refused_with_a_line(overlays: str, values: str, refusal: str) -> None:
    reading = read(OPERATOR.replace("OVERLAYS", overlays).replace("VALUES", values), "edge.yaml")
    assert reading.faults == ()
    planned = plan(
        Manifests(reading.documents, (), ("edge.yaml",), frozenset(), {"edge.yaml": (b"", reading)}), Options(())
    )
    operator, service = planned.manifests.documents
    assert service.accepted
    assert operator.accepted == (not refusal)
    messages = [fault.message for fault in planned.manifests.faults]
    if refusal:
        assert len(messages) == 1
        assert messages[0].startswith(
            f"istioctl creates Service istio-ingressgateway from it, which is refused: {refusal}"
        )
        assert planned.manifests.broken == {"edge.yaml"}
    else:
        assert messages == []
