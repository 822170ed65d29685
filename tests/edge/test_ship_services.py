"""A Service's network load balancer from an empty account to a request and back; and what one manifest defines for
another: a class and a kind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.edge.conftest import Start, Up
from tests.edge.shipping import calls, planned, ship, uncovered, writes

pytestmark = pytest.mark.edge

MANIFESTS = """
apiVersion: v1
kind: Service
metadata:
  name: front
  namespace: default
  annotations:
    service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip
    service.beta.kubernetes.io/aws-load-balancer-scheme: internet-facing
    service.beta.kubernetes.io/aws-load-balancer-ssl-cert: arn:aws:acm:eu-west-1:123456789012:certificate/placeholder
    service.beta.kubernetes.io/aws-load-balancer-ssl-ports: "443"
    external-dns.alpha.kubernetes.io/hostname: shop.example
spec:
  type: LoadBalancer
  loadBalancerClass: service.k8s.aws/nlb
  selector: {app: web}
  ports: [{name: https, port: 443, targetPort: 8080}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: all, namespace: default}
spec: {podSelector: {}}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: ours}
spec: {controller: ingress.k8s.aws/alb}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: empty
  namespace: default
  annotations: {alb.ingress.kubernetes.io/target-type: ip}
spec:
  ingressClassName: ours
  rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: front, port: {number: 443}}}}]}}]
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.shop.example}
spec:
  group: shop.example
  names: {kind: Widget, plural: widgets, singular: widget, listKind: WidgetList}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: shop.example/v1
kind: Widget
metadata: {name: first, namespace: default}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("manifests")
    (folder / "edge.yaml").write_text(MANIFESTS)
    return folder


@pytest.fixture(scope="module")
def empty(up: Start, folder: Path) -> Up:
    return up(folder, "--empty", name="nlb").ready()


def test_from_nothing_and_back(empty: Up, folder: Path) -> None:
    plan = planned(empty, folder, check=2)
    by_group = {each["group"]: [change["summary"] for change in each["changes"]] for each in plan["loadBalancers"]}
    assert any(each.startswith("create internet-facing network load balancer") for each in by_group["default/front"])
    assert plan["unknownNames"]
    assert [each["object"] for each in plan["objects"] if each["awaits"]] == ["Ingress default/empty"]
    assert not [each for each in plan["findings"] if each["code"] == "LG0016"]  # a cluster enforces NetworkPolicies
    titles = [each["title"] for each in plan["steps"]]
    assert titles.index("create IngressClass ours") < titles.index("create Ingress default/empty")
    (service,) = [each for each in plan["steps"] if each["title"] == "create Service default/front"]
    assert any(each.startswith("issued ") for each in service["after"])
    assert "wait until the targets of Service default/front are healthy" in titles
    assert [each["name"] for each in plan["records"] if each["type"] == "A"] == ["shop.example."]
    assert [each["what"].partition(" ")[0] for each in plan["cost"]["items"]].count("load") == 2
    assert "(known after apply)" in ship(empty, "plan", folder, check=2).stdout

    ship(empty, "apply", folder, "--yes")
    assert '"service": "default/front:443"' in empty.curl("https://shop.example/")
    before = writes(calls(empty))
    assert "Nothing to do" in ship(empty, "apply", folder, "--yes").stdout
    assert writes(calls(empty)) == before

    rows = json.loads(ship(empty, "verify", folder, "--output", "json").stdout)
    assert {"https://shop.example/"} == {each["name"] for each in rows if each["part"] == "host"}
    name = next(each["name"] for each in rows if each["part"] == "load balancer" and "front" in each["name"])
    arn = empty.exec(
        "aws", "elbv2", "describe-load-balancers", "--names", name, "--query", "LoadBalancers[0].LoadBalancerArn"
    )
    listener = json.loads(empty.exec("aws", "elbv2", "describe-listeners", "--load-balancer-arn", json.loads(arn)))
    empty.exec("aws", "elbv2", "modify-listener", "--listener-arn", listener["Listeners"][0]["ListenerArn"],
               "--ssl-policy", "ELBSecurityPolicy-TLS13-1-3-2021-06")  # fmt: skip
    drifted = json.loads(ship(empty, "verify", folder, "--no-probe", "--output", "json", check=1).stdout)
    assert [each["name"] for each in drifted if each["verdict"] == "drift"] == [name]

    policies = planned(empty, folder)["iam"]["destroy"]
    ship(empty, "destroy", folder, "--yes")
    assert json.loads(empty.exec("aws", "elbv2", "describe-load-balancers"))["LoadBalancers"] == []
    groups = json.loads(empty.exec("aws", "ec2", "describe-security-groups"))["SecurityGroups"]
    assert [each["GroupName"] for each in groups] == ["default"]
    assert "Nothing to delete" in ship(empty, "destroy", folder, "--yes").stdout
    allowed = {action for each in policies["Statement"] for action in each["Action"]}
    by_hand = {"elasticloadbalancing:ModifyListener"}
    called = {name.replace("elbv2:", "elasticloadbalancing:") for name in calls(empty) if "kubernetes:" not in name}
    assert called - by_hand - {"sts:GetCallerIdentity"} <= allowed


def test_what_leaves_the_manifests_takes_its_load_balancer_along(empty: Up, folder: Path, tmp_path: Path) -> None:
    ship(empty, "apply", folder, "--yes", "--no-verify")
    rest = [each for each in MANIFESTS.split("---") if "kind: Ingress\n" not in each and "kind: Service\n" not in each]
    (tmp_path / "edge.yaml").write_text("---".join(rest))
    plan = planned(empty, tmp_path, check=2)
    for group in ("default/front", "default/empty"):
        (changes,) = [each["changes"] for each in plan["loadBalancers"] if each["group"] == group]
        made = {each["change"] for each in changes}
        assert {"DeleteLoadBalancer", "DeleteTargetGroup", "DeleteSecurityGroup"} <= made
    assert [each["what"].partition(" ")[0] for each in plan["cost"]["saved"]].count("load") == 2
    assert plan["cost"]["dollarsAMonth"] == 0
    deleted = {(each["name"], each["type"], each["reason"]) for each in plan["records"] if each["action"] == "DELETE"}
    assert {("shop.example.", kind, "Service default/front is gone") for kind in ("A", "AAAA")} <= deleted
    by_hand_and_before = {"elasticloadbalancing:ModifyListener", "acm:RequestCertificate"}
    assert uncovered(empty, plan["iam"]["destroy"]) <= by_hand_and_before
    (writing,) = [each for each in plan["iam"]["apply"]["Statement"] if each["Sid"] == "WriteRecords"]
    zones = {each["zone"] for each in plan["records"]}
    assert {each.rpartition("/")[2] for each in writing["Resource"]} == zones
    assert " $ 16.43" not in (text := ship(empty, "plan", tmp_path, check=2).stdout)
    assert text.count("-$ 16.43 a month  load balancer k8s-") == 2
    assert "503 from the load balancer" not in text
    ship(empty, "apply", tmp_path, "--yes", "--no-verify")
    assert json.loads(empty.exec("aws", "elbv2", "describe-load-balancers"))["LoadBalancers"] == []
    assert not planned(empty, tmp_path, check=0)["changes"]
