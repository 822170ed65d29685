"""Policies at the gateway, with curl through a running edge."""

from __future__ import annotations

from pathlib import Path

from tests.edge.conftest import Start, Up

POLICIES = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-admin, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  action: DENY
  rules: [{to: [{operation: {paths: [/admin*]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: office, namespace: istio-system}
spec:
  selector: {matchLabels: {app: istio-ingressgateway}}
  rules: [{from: [{source: {remoteIpBlocks: [198.51.100.0/24]}}]}]
"""
TWO_PROXIES = "    defaultConfig:\n      gatewayTopology: {numTrustedProxies: 2}\n"


def answer(edge: Up, path: str, *arguments: str) -> str:
    """The status, and the body of what the gateway answers itself."""
    status, _, body = edge.curl("-w", "\n%{http_code}", *arguments, f"https://quay.example{path}").rpartition("\n")[
        ::-1
    ]
    return f"{status} {body}" if status != "200" else status


def test_policies_decide_at_the_gateway_behind_the_load_balancer(up: Start, manifests: Path) -> None:
    (manifests / "policies.yaml").write_text(POLICIES)
    operator = next(path for path in manifests.glob("*.yaml") if "kind: IstioOperator" in path.read_text())
    operator.write_text(operator.read_text().replace("    defaultConfig:\n", TWO_PROXIES))
    edge = up(manifests).ready()
    office = ("-H", "X-Forwarded-For: 198.51.100.7")  # as a proxy before the load balancer adds it
    assert answer(edge, "/", *office) == "200"
    assert answer(edge, "/") == "403 RBAC: access denied"
    assert answer(edge, "/", "-H", "X-Forwarded-For: 203.0.113.1") == "403 RBAC: access denied"
    assert answer(edge, "/admin/users", *office) == "403 RBAC: access denied"
    assert answer(edge, "/no-admin", *office) == "200"
    assert not [line for line in edge.lines if "[LG0016]" in line]

    told = edge.lockgate("trace", "https://quay.example/admin", str(manifests), check=False).stdout
    assert "rule 0 of AuthorizationPolicy istio-system/no-admin denies the request" in told
    assert "policies.yaml:7" in told
    edge.lockgate("trace", "https://quay.example/admin", "--against", "running")
    edge.lockgate("trace", "https://quay.example/", "-H", "X-Forwarded-For: 198.51.100.7", "--against", "running")

    (manifests / "policies.yaml").write_text(POLICIES.partition("---")[0])
    edge.wait(until=lambda: answer(edge, "/") == "200", what="the policy is gone")
    assert answer(edge, "/admin") == "403 RBAC: access denied"
