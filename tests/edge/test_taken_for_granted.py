"""What an application's repository has not, by the real command: each edge comes up, and says what it made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.edge.conftest import Start, Up

pytestmark = pytest.mark.edge


def test_placeholders_everywhere_are_served_and_reported(up: Start, manifests: Path) -> None:
    file = manifests / "ingress.yaml"
    arn = "arn:aws:acm:<region>:<account-ID>:certificate/*****"
    text = file.read_text()
    before = text[text.index("arn:aws:acm") :].split()[0]
    file.write_text(text.replace(before, arn))
    issuer = manifests / "certificates.yaml"
    issuer.write_text(issuer.read_text().replace("hostedZoneID: Z0QUAY00000000000001", "hostedZoneID: <zone id>"))
    line = next(n for n, each in enumerate(file.read_text().split("\n"), 1) if "certificate-arn" in each)
    edge = up(manifests)
    warning = edge.until("certificate-arn")
    assert warning.startswith(f"{file}:{line}:")
    assert "placeholder" in warning and "In production" in warning
    edge.ready()
    assert edge.curl("-o", "/dev/null", "-w", "%{http_code}", "https://quay.example/") == "200"
    # A placeholder that comes with a saved file, too; the load balancer stays.
    file.write_text(file.read_text().replace(arn, "${CERTIFICATE_ARN}"))
    edge.until("${CERTIFICATE_ARN}")
    edge.wait(
        until=lambda: edge.curl("-o", "/dev/null", "-w", "%{http_code}", "https://quay.example/") == "200",
        what="served after the change",
    )


WEB = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  namespace: shop
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/ip-address-type: dualstack
    alb.ingress.kubernetes.io/subnets: subnet-0a1b2c3d4e5f60718, private-b
    alb.ingress.kubernetes.io/security-groups: sg-0123456789abcdef0, edge
spec:
  ingressClassName: alb
  rules:
    - host: web.shop.example
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""

TARGET_GROUPS = """
apiVersion: elbv2.k8s.aws/v1beta1
kind: TargetGroupBinding
metadata: {name: web, namespace: shop}
spec:
  targetGroupARN: arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/web/0123456789abcdef
  serviceRef: {name: web, port: 80}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  namespace: shop
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/listen-ports: '[{"HTTP": 80}, {"HTTPS": 443}]'
    alb.ingress.kubernetes.io/mutual-authentication: '[{"port": 443, "mode": "verify", "trustStore": "staff"}]'
    alb.ingress.kubernetes.io/actions.partners: >-
      {"type": "forward", "forwardConfig": {"targetGroups": [{"targetGroupName": "partners"}]}}
    alb.ingress.kubernetes.io/actions.bound: >-
      {"type": "forward",
      "targetGroupARN": "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/web/0123456789abcdef"}
spec:
  ingressClassName: alb
  rules:
    - host: web.shop.example
      http:
        paths:
          - {path: /partners, pathType: Prefix, backend: {service: {name: partners, port: {name: use-annotation}}}}
          - {path: /, pathType: Prefix, backend: {service: {name: bound, port: {name: use-annotation}}}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""

NODE_PORT = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  namespace: istio-system
  annotations:
    alb.ingress.kubernetes.io/healthcheck-path: /healthz/ready
    alb.ingress.kubernetes.io/healthcheck-port: "30621"
spec:
  ingressClassName: alb
  defaultBackend: {service: {name: istio-ingressgateway, port: {number: 80}}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*.shop.example"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [web.shop.example]
  gateways: [istio-system/web]
  http: [{route: [{destination: {host: web}}]}]
"""

ISSUERS = """
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: by-name}
spec:
  acme:
    server: https://acme-v02.api.letsencrypt.org/directory
    privateKeySecretRef: {name: by-name}
    solvers: [{dns01: {route53: {region: eu-west-1}}}]
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: by-id}
spec:
  acme:
    server: https://acme-v02.api.letsencrypt.org/directory
    privateKeySecretRef: {name: by-id}
    solvers: [{dns01: {route53: {region: eu-west-1, hostedZoneID: Z0123456SHOPZONE0001}}}]
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: by-another-id}
spec:
  acme:
    server: https://acme-v02.api.letsencrypt.org/directory
    privateKeySecretRef: {name: by-another-id}
    solvers: [{dns01: {route53: {region: eu-west-1, hostedZoneID: Z0123456SHOPZONE0002}}}]
"""

AUTO_MODE = """
---
apiVersion: eks.amazonaws.com/v1
kind: IngressClassParams
metadata: {name: auto}
spec: {scheme: internet-facing}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: auto, annotations: {ingressclass.kubernetes.io/is-default-class: "true"}}
spec:
  controller: eks.amazonaws.com/alb
  parameters: {apiGroup: eks.amazonaws.com, kind: IngressClassParams, name: auto}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: auto, namespace: shop}
spec:
  rules:
    - host: auto.shop.example
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
"""

SAMPLES = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: any}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: any}
spec:
  hosts: ["*"]
  gateways: [any]
  http: [{match: [{uri: {exact: /page}}], route: [{destination: {host: page, port: {number: 9080}}}]}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: named}
spec:
  selector: {istio: ingressgateway}
  servers:
    - port: {number: 443, name: https, protocol: HTTPS}
      hosts: [bin.quay.example]
      tls: {mode: SIMPLE, credentialName: bin-credential}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: named}
spec:
  hosts: [bin.quay.example]
  gateways: [named]
  http: [{route: [{destination: {host: bin, port: {number: 8000}}}]}]
"""

CERTIFICATE = """
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {{name: {issuer}, namespace: shop}}
spec:
  secretName: {issuer}
  dnsNames: [{issuer}.shop.example, {issuer}-b.shop.example]
  issuerRef: {{kind: ClusterIssuer, name: {issuer}}}
"""


def test_a_class_subnets_and_security_groups_that_are_in_no_file(up: Start, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(WEB.replace("ports: [{port: 80, t", "ipFamilies: [IPv6], ports: [{port: 80, t"))
    edge = up(tmp_path).ready()
    said = "".join(each for each in edge.lines if each.startswith(" + "))
    for piece in (
        "IngressClass alb",
        "subnet-0a1b2c3d4e5f60718",
        "private-b",
        "sg-0123456789abcdef0",
        "group edge",
        "IPv6",
    ):
        assert piece in said
    assert edge.curl("-o", "/dev/null", "-w", "%{http_code}", "http://web.shop.example/") == "200"


def test_target_groups_and_trust_stores_that_are_in_no_file(up: Start, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(TARGET_GROUPS)
    edge = up(tmp_path).ready()
    said = "".join(each for each in edge.lines if each.startswith(" + "))
    for piece in ("target group partners: created without targets", "target group web: created,", "trust store staff"):
        assert piece in said
    code = ("-o", "/dev/null", "-w", "%{http_code}")
    assert edge.curl(*code, "http://web.shop.example/partners") == "503"
    arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/web/0123456789abcdef"
    health = ("aws", "elbv2", "describe-target-health", "--target-group-arn", arn, "--output", "text")
    states = (*health, "--query", "TargetHealthDescriptions[].TargetHealth.State")
    edge.wait(until=lambda: edge.exec(*states).split() != [], what="a target")
    assert edge.curl(*code, "http://web.shop.example/") == "200"


def test_the_node_port_of_a_health_check(up: Start, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(NODE_PORT)
    edge = up(tmp_path).ready()
    assert "node port 30621: assigned to port status-port of Service istio-system/istio-ingressgateway" in str(
        edge.lines
    )
    assert edge.curl("-o", "/dev/null", "-w", "%{http_code}", "http://web.shop.example/") == "200"


def test_classes_of_eks_auto_mode_and_changes_of_their_parameters(up: Start, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(WEB)
    (tmp_path / "auto.yaml").write_text(AUTO_MODE)
    edge = up(tmp_path).ready()
    assert edge.curl("-o", "/dev/null", "-w", "%{http_code}", "http://auto.shop.example/") == "200"
    assert "internet-facing" in edge.exec("kubectl", "get", "ingressclassparams.eks.amazonaws.com", "auto")
    schemes = ("aws", "elbv2", "describe-load-balancers", "--query", "LoadBalancers[].Scheme", "--output", "text")
    assert sorted(edge.exec(*schemes).split()) == ["internal", "internet-facing"]
    targets = ("aws", "elbv2", "describe-target-groups", "--query", "TargetGroups[].TargetType", "--output", "text")
    assert edge.exec(*targets).split() == ["ip", "ip"]
    (tmp_path / "auto.yaml").write_text(AUTO_MODE.replace("internet-facing", "internal"))
    edge.wait(until=lambda: edge.exec(*schemes).split() == ["internal", "internal"], what="the other scheme")


def test_istios_samples_answer_at_the_gateway_itself(up: Start, tmp_path: Path) -> None:
    (tmp_path / "samples.yaml").write_text(SAMPLES)
    edge = up(tmp_path).ready()
    assert edge.until("https://bin.quay.example/")
    code = ("-o", "/dev/null", "-w", "%{http_code}")
    assert edge.curl(*code, "https://bin.quay.example/status/200") == "200"  # the edge's own CA is trusted
    path = "jsonpath={.status.loadBalancer.ingress[0].ip}"
    address = edge.exec("kubectl", "get", "service", "-n", "istio-system", "istio-ingressgateway", "-o", path)
    assert edge.curl(*code, f"http://{address}/page") == "200"
    assert edge.curl(*code, f"http://{address}/other") == "404"
    assert edge.curl(*code, "-H", "Host: whatever.example", f"http://{address}/page") == "200"
    assert edge.exec("dig", *_dns(edge), "+short", "bin.quay.example").strip() == address
    # The certificate stays when another file changes.
    before = edge.exec("kubectl", "get", "secret", "-n", "istio-system", "bin-credential", "-o", "jsonpath={.data}")
    (tmp_path / "samples.yaml").write_text(SAMPLES.replace("exact: /page", "exact: /other"))
    edge.wait(until=lambda: edge.curl(*code, f"http://{address}/other") == "200", what="the other path")
    assert before == edge.exec(
        "kubectl", "get", "secret", "-n", "istio-system", "bin-credential", "-o", "jsonpath={.data}"
    )


def _dns(edge: Up) -> tuple[str, str, str]:
    host, _, port = edge.status()["addresses"]["dns"].rpartition(":")
    return f"@{host}", "-p", port


def test_issuers_without_their_namespace_and_with_ids_of_zones(up: Start, tmp_path: Path) -> None:
    names = ("by-name", "by-id", "by-another-id")
    (tmp_path / "issuers.yaml").write_text(ISSUERS + "".join(CERTIFICATE.format(issuer=name) for name in names))
    edge = up(tmp_path).ready()
    said = "".join(each for each in edge.lines if each.startswith(" + "))
    assert "namespace cert-manager" in said
    for name in names:
        assert any(f"shop/{name} " in each and "issued over ACME" in each for each in edge.lines)


@pytest.mark.parametrize("how", ["flag", "file"])
def test_without_supply_production_fails_as_it_would(up: Start, tmp_path: Path, how: str) -> None:
    spaces = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n"
    classed = (
        "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: alb}\n"
        "spec: {controller: ingress.k8s.aws/alb}\n---\n"
    )
    (tmp_path / "web.yaml").write_text(spaces + classed + WEB)
    if how == "file":
        (tmp_path / "lockgate.yaml").write_text("supply: false\n")
    edge = up(tmp_path, *(["--no-supply"] if how == "flag" else []), "--timeout", "5")
    assert "couldn't find all subnets" in edge.until("Failed build model")
    supplied = [each for each in edge.lines if each.startswith(" + ")]
    assert len(supplied) == (1 if how == "file" else 0)  # that nothing is


def test_show_supplies_the_same_and_says_so(up: Start, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(WEB)
    command = [sys.executable, "-m", "lockgate", "show", "load-balancer", str(tmp_path)]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=40)
    assert shown.returncode == 0, shown.stderr
    assert " + IngressClass alb" in shown.stderr
    bare = subprocess.run([*command, "--no-supply"], capture_output=True, text=True, timeout=40)
    assert 'IngressClass.networking.k8s.io "alb" not found' in bare.stderr
    assert " + " not in bare.stderr
