"""`apply --write`, `--identity` and `--install`, and what others made is taken over."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.edge.conftest import ROOT, Start, Up
from tests.edge.shipping import planned, ship, uncovered

pytestmark = pytest.mark.edge

EDGE = ROOT / "examples" / "edge"
PLACEHOLDER = "arn:aws:acm:<region>:<account-ID>:certificate/*****"
# A stand-in for helm: what it installs is a Deployment, which this machine's cluster runs.
HELM = """\
#!/bin/sh
echo "$@" >> {folder}/said
cat >> {folder}/values
kubectl create serviceaccount -n cert-manager cert-manager --dry-run=client -o yaml | kubectl apply -f -
kubectl create deployment -n cert-manager cert-manager --image=quay.io/jetstack/cert-manager-controller:v1.20.2 \\
  --dry-run=client -o yaml | sed 's/    spec:/    spec:\\n      serviceAccountName: cert-manager/' | kubectl apply -f -
kubectl rollout status -n cert-manager deployment/cert-manager --timeout=60s
"""


def test_the_arn_is_written_and_a_role_replaces_the_key_and_helm_installs(
    up: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    k8s, tools = tmp_path / "k8s", tmp_path / "tools"
    shutil.copytree(EDGE, k8s)
    tools.mkdir()
    file = k8s / "30-load-balancer.yaml"
    file.write_text(re.sub(r"(certificate-arn:) \S+", rf"\1 {PLACEHOLDER}", file.read_text()))
    before = file.read_text().splitlines()
    edge = up(k8s, "--empty", name="options").ready()
    edge.exec("kubectl", "delete", "deployment", "-n", "cert-manager", "cert-manager")
    edge.exec("kubectl", "delete", "secret", "-n", "cert-manager", "route53-credentials")
    problems = " ".join(each["text"] for each in planned(edge, k8s, check=1)["problems"])
    assert "no cert-manager" in problems
    assert "no Secret cert-manager/route53-credentials" in problems
    helm = tools / "helm"
    helm.write_text(HELM.format(folder=tools))
    helm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    options = ("--install", "--identity", "pod-identity")
    ship(edge, "apply", k8s, "--yes", "--write", "--no-verify", *options)  # nothing issues the certificate
    assert (
        "upgrade --install cert-manager cert-manager --repo https://charts.jetstack.io" in (tools / "said").read_text()
    )
    assert "enabled: true" in (tools / "values").read_text()
    certificates = json.loads(edge.exec("aws", "acm", "list-certificates"))["CertificateSummaryList"]
    changed = [new for old, new in zip(before, file.read_text().splitlines(), strict=True) if old != new]
    assert [each.strip() for each in changed] == [
        f"alb.ingress.kubernetes.io/certificate-arn: {certificates[0]['CertificateArn']}"
    ]
    issuer = json.loads(edge.exec("kubectl", "get", "clusterissuer", "letsencrypt", "-o", "json"))
    assert "accessKeyID" not in json.dumps(issuer["spec"])
    listed = json.loads(edge.exec("aws", "eks", "list-pod-identity-associations", "--cluster-name", "options"))
    assert [each["serviceAccount"] for each in listed["associations"]] == ["cert-manager"]
    assert "--labels lockgate.dev/installed-by=options" in (tools / "said").read_text()
    plan = planned(edge, k8s, *options, check=0)
    assert not plan["changes"]
    assert not uncovered(edge, plan["iam"]["apply"])
    assert '"service": "shop/web:3000"' in edge.curl("https://towpath.example/")
    adopted(edge, k8s, options)
    edge.stop()


EXTRA = """\
apiVersion: v1
kind: Service
metadata: {name: extra, namespace: shop, labels: {tier: front}}
spec:
  selector: {app: web}
  ports:
    - {name: http, port: 3000}
    - {name: admin, port: 3001}
"""


def adopted(edge: Up, k8s: Path, options: tuple[str, ...]) -> None:
    """What others made is not touched before it is taken over; the load balancer stays. What kubectl has applied leaves
    with the manifest, what others have set does not."""
    extra = k8s / "60-extra.yaml"
    extra.write_text(EXTRA)
    edge.exec("kubectl", "apply", "-f", str(extra), "-f", str(k8s / "30-load-balancer.yaml"))
    edge.exec("kubectl", "annotate", "service", "-n", "shop", "extra", "note=theirs")
    extra.write_text(EXTRA.replace(", labels: {tier: front}", ""))
    balancer = edge.exec("aws", "elbv2", "describe-load-balancers", "--query", "LoadBalancers[].LoadBalancerArn")
    edge.exec("kubectl", "label", "ingress", "-n", "istio-system", "edge", "lockgate.dev/edge-")
    refused = planned(edge, k8s, *options, check=1)
    assert [each["fix"] for each in refused["problems"]] == [
        "take it over with `lockgate adopt`, or remove it from the manifests"
    ] * 2
    assert "made it" in ship(edge, "apply", k8s, "--yes", *options, check=1).stderr
    assert refused["requests"]["equal"]
    said = ship(edge, "adopt", k8s, "--yes", *options[1:]).stdout
    assert '- metadata.labels.tier: "front"' in said
    assert "- spec" not in said
    assert said.count("- metadata.annotations.kubectl.kubernetes.io/last-applied-configuration") == 2
    assert service(edge)["metadata"]["annotations"] == {"note": "theirs"}
    assert service(edge)["metadata"]["labels"] == {"lockgate.dev/edge": "options"}
    assert len(service(edge)["spec"]["ports"]) == 2
    extra.write_text(extra.read_text().replace("    - {name: admin, port: 3001}\n", ""))
    ship(edge, "apply", k8s, "--yes", "--no-verify", *options)
    assert [each["name"] for each in service(edge)["spec"]["ports"]] == ["http"]
    assert '"service": "shop/web:3000"' in edge.curl("https://towpath.example/")
    assert not planned(edge, k8s, *options, check=0)["changes"]
    named = edge.exec("aws", "elbv2", "describe-load-balancers", "--query", "LoadBalancers[].LoadBalancerArn")
    assert named == balancer


def service(edge: Up) -> dict[str, Any]:
    found = json.loads(edge.exec("kubectl", "get", "service", "-n", "shop", "extra", "-o", "json"))
    assert isinstance(found, dict)
    return found
