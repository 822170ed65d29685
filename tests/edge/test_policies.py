"""Policies at the gateway, with curl through a running edge."""

from __future__ import annotations

import json
import time
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import OctKey

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

    reported = edge.lockgate("trace", "https://quay.example/admin", str(manifests), check=False).stdout
    assert "rule 0 of AuthorizationPolicy istio-system/no-admin denies the request" in reported
    assert "policies.yaml:7" in reported
    edge.lockgate("trace", "https://quay.example/admin", "--against", "running")
    edge.lockgate("trace", "https://quay.example/", "-H", "X-Forwarded-For: 198.51.100.7", "--against", "running")

    (manifests / "policies.yaml").write_text(POLICIES.partition("---")[0])
    edge.wait(until=lambda: answer(edge, "/") == "200", what="the policy is gone")
    assert answer(edge, "/admin") == "403 RBAC: access denied"


JWT = """\
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: jwt, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  jwtRules:
    - issuer: https://issuer.example
      audiences: [quay]
      jwks: 'KEYS'
      outputClaimToHeaders: [{header: x-user, claim: sub}]
    - {issuer: https://own.example, jwksUri: "https://quay.example/keys", fromCookies: [session]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: members, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  rules:
    - from: [{source: {requestPrincipals: ["https://issuer.example/*", "https://own.example/*"]}}]
    - to: [{operation: {paths: [/keys]}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: staff}
spec:
  hosts: [quay.example]
  gateways: [istio-system/quay]
  http:
    - match: [{uri: {prefix: /staff}, headers: {"@request.auth.claims.group": {exact: staff}}}]
      directResponse: {status: 299}
    - match: [{uri: {prefix: /staff}}]
      directResponse: {status: 404, body: {string: not for you}}
    - match: [{uri: {exact: /keys}}]
      directResponse: {status: 200, body: {string: 'OWN'}}
"""


def test_jwts_are_read_at_the_gateway(up: Start, manifests: Path) -> None:
    key, own = OctKey.generate_key(256), OctKey.generate_key(256)
    keys, served = (json.dumps({"keys": [each.as_dict(private=True)]}) for each in (key, own))
    (manifests / "0-jwt.yaml").write_text(JWT.replace("KEYS", keys).replace("OWN", served))
    edge = up(manifests).ready()

    def asked(path: str, **claims: object) -> str:
        all_claims = {"iss": "https://issuer.example", "aud": "quay", "sub": "ann", **claims}
        token = jwt.encode({"alg": "HS256"}, all_claims, key)
        return answer(edge, path, "-H", f"Authorization: Bearer {token}")

    assert answer(edge, "/") == "403 RBAC: access denied"
    assert answer(edge, "/", "-H", "Authorization: Bearer x.y.z") == "401 Jwt header is an invalid Base64url encoded"
    assert asked("/") == "200"
    assert asked("/", exp=time.time() - 120) == "401 Jwt is expired"
    assert asked("/", aud="other") == "403 Audiences in Jwt are not allowed"
    assert asked("/", iss="https://other.example") == "401 Jwt issuer is not configured"
    assert asked("/staff") == "404 not for you"
    assert asked("/staff", group=["staff"]) == "299 "
    token = jwt.encode({"alg": "HS256"}, {"iss": "https://issuer.example", "aud": "quay", "sub": "ann"}, key)
    given = ("-H", f"Authorization: Bearer {token}", "-H", "x-user: forged")
    seen = [tuple(each) for each in json.loads(edge.curl(*given, "https://quay.example/"))["headers"]]
    assert [pair for pair in seen if pair[0] in ("x-user", "authorization")] == [("x-user", "ann")]

    # Keys at a name of the edge itself.
    def cookie(signer: OctKey) -> tuple[str, str]:
        return (
            "-H",
            f"Cookie: session={jwt.encode({'alg': 'HS256'}, {'iss': 'https://own.example', 'sub': 'b'}, signer)}",
        )

    edge.wait(until=lambda: answer(edge, "/", *cookie(own)) == "200", what="the keys are fetched")
    assert answer(edge, "/", *cookie(key)) == "401 Jwt verification fails"
    for signer in (own, key):
        edge.lockgate("trace", "https://quay.example/", *cookie(signer), "--against", "running")

    reported = edge.lockgate("trace", "https://quay.example/", str(manifests), check=False).stdout
    assert "RBAC: access denied" in reported and "Send a valid JWT" in reported
