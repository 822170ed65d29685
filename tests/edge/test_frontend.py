"""A network load balancer in front: what the Ingress requests, as seen by clients and in the AWS API."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.edge.conftest import Start, Up
from tests.edge.test_changing import replace
from tests.edge.test_serving import aws

pytestmark = pytest.mark.edge

ANNOTATIONS = """
    alb.ingress.kubernetes.io/enable-frontend-nlb: 'true'
    alb.ingress.kubernetes.io/frontend-nlb-scheme: internet-facing
    alb.ingress.kubernetes.io/frontend-nlb-healthcheck-port: '443'
    alb.ingress.kubernetes.io/frontend-nlb-healthcheck-protocol: HTTPS
    alb.ingress.kubernetes.io/frontend-nlb-healthcheck-success-codes: 200-499
"""
CLASS = "    kubernetes.io/ingress.class: alb\n"


def hostnames(edge: Up) -> list[str]:
    text = edge.exec("kubectl", "get", "ingress", "-n", "istio-system", "quay", "-o", "json")
    return [item["hostname"] for item in json.loads(text)["status"]["loadBalancer"]["ingress"]]


def test_a_client_of_the_network_load_balancer_gets_the_load_balancers_answer(up: Start, manifests: Path) -> None:
    replace(manifests / "ingress.yaml", CLASS, CLASS + ANNOTATIONS.lstrip("\n"))
    edge = up(manifests).ready()
    balancers = {item["Type"]: item for item in aws(edge, "elbv2", "describe-load-balancers")["LoadBalancers"]}
    alb, nlb = balancers["application"], balancers["network"]
    assert nlb["DNSName"].endswith(".elb.eu-central-1.amazonaws.com")
    assert hostnames(edge) == [alb["DNSName"].lower(), nlb["DNSName"].lower()]

    through = ("--connect-to", f"quay.example:443:{nlb['DNSName']}:443")
    received = json.loads(edge.curl(*through, "https://quay.example/any/thing"))
    assert received["service"] == "default/quay-service:8072"
    assert dict(received["headers"])["x-forwarded-proto"] == "https"
    (hop,) = [each for each in edge.status()["hops"] if each["hop"] == "load balancer"]
    (front,) = [each for each in hop["load_balancers"] if each["arn"] == nlb["LoadBalancerArn"]]
    (plain,) = [each["local_port"] for each in front["listeners"] if each["port"] == 80]
    answer = edge.curl("-i", "--noproxy", "*", "-H", "Host: quay.example", f"http://{front['address']}:{plain}/x")
    assert "location: https://quay.example:443/x" in answer.lower()

    groups = aws(edge, "elbv2", "describe-target-groups", "--load-balancer-arn", nlb["LoadBalancerArn"])["TargetGroups"]
    assert [(group["TargetType"], group["Protocol"]) for group in groups] == [("alb", "TCP")] * 2

    def states() -> list[tuple[str, str]]:
        health = [
            aws(edge, "elbv2", "describe-target-health", "--target-group-arn", group["TargetGroupArn"])
            for group in groups
        ]
        targets = [item["TargetHealthDescriptions"][0] for item in health]
        return [(target["Target"]["Id"], target["TargetHealth"]["State"]) for target in targets]

    edge.wait(until=lambda: states() == [(alb["LoadBalancerArn"], "healthy")] * 2, what="healthy targets")

    replace(manifests / "ingress.yaml", ANNOTATIONS.lstrip("\n"), "")
    edge.wait(until=lambda: hostnames(edge) == [alb["DNSName"].lower()], what="one load balancer again")
    assert json.loads(edge.curl("https://quay.example/any/thing"))["service"] == "default/quay-service:8072"
    types = [item["Type"] for item in aws(edge, "elbv2", "describe-load-balancers")["LoadBalancers"]]
    assert types == ["application"]
