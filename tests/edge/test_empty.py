"""`up --empty`: what there is before the manifests are applied, and calls that fail on request."""

from __future__ import annotations

import json

import pytest

from tests.edge.conftest import GUIDE, Start, Up

pytestmark = pytest.mark.edge


@pytest.fixture(scope="module")
def empty(up: Start) -> Up:
    rules = ("acm:ListCertificates=AccessDenied*1", "kubernetes:list/secrets=Forbidden")
    return up(GUIDE, "--empty", *(each for text in rules for each in ("--fail", text)), name="empty").ready()


def test_controllers_and_zones_are_there_and_manifests_are_not(empty: Up) -> None:
    found = json.loads(empty.exec("kubectl", "get", "deploy,ingress,certificate,svc", "-A", "-o", "json"))["items"]
    names = {(each["kind"], each["metadata"]["name"]) for each in found}
    assert ("Deployment", "aws-load-balancer-controller") in names
    assert ("Service", "istio-ingressgateway") in names
    assert not {kind for kind, _ in names} & {"Ingress", "Certificate"}
    zones = json.loads(empty.exec("aws", "route53", "list-hosted-zones"))["HostedZones"]
    assert [each["Name"] for each in zones] == ["quay.example."]


def test_the_cluster_is_one_of_eks(empty: Up) -> None:
    context = empty.exec("kubectl", "config", "current-context").strip()
    cluster = json.loads(empty.exec("aws", "eks", "describe-cluster", "--name", "empty"))["cluster"]
    assert cluster["arn"] == context
    assert cluster["endpoint"] == empty.status()["addresses"]["kubernetes"]


def test_calls_fail_as_asked(empty: Up) -> None:
    denied = empty.lockgate("exec", "--", "aws", "acm", "list-certificates", check=False)
    assert "not authorized to perform: acm:ListCertificates" in denied.stderr
    assert json.loads(empty.exec("aws", "acm", "list-certificates")) == {"CertificateSummaryList": []}
    forbidden = empty.lockgate("exec", "--", "kubectl", "get", "secrets", "-A", check=False)
    assert "Forbidden" in forbidden.stderr
