"""What an edge says about itself, from values alone."""

from __future__ import annotations

from dataclasses import replace

from lockgate.dataplane.stream import Rejection
from lockgate.loadbalancer.model import LoadBalancer
from lockgate.loadbalancer.waf.reader import References, web_acl
from lockgate.runtime.observed import Balancing, Proxy
from lockgate.runtime.report import report, shortened
from lockgate.runtime.status import status
from tests.runtime.states import state

GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: g, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v, namespace: shop}
spec:
  hosts: [a.example, b.a.example]
  gateways: [istio-system/g]
  http: [{route: [{destination: {host: web, port: {number: 80}}}]}]
"""


def test_status_holds_no_secret() -> None:
    told = status(state({"manifests": GATEWAY}))
    assert "secret" not in str(told["aws"])
    assert told["aws"]["access_key_id"] == "AKIA"


def test_hosts_below_others_are_shown_by_their_first_part() -> None:
    assert shortened(["a.example", "b.a.example", "c.b.a.example"]) == "a.example, b, c"
    assert shortened(["b.a.example", "a.example"]) == "b, a.example"
    assert shortened(["notA.example", "A.example"]) == "notA.example, A.example"
    assert shortened([f"{n}.example" for n in range(9)]) == "0.example, 1.example, 2.example, 3.example, 5 more"


def test_a_part_is_a_line() -> None:
    seen = report(state({"manifests": GATEWAY}))
    assert [(line.part, line.detail) for line in seen.lines] == [
        ("kubernetes api", "2 objects from 1 file"),
        ("aws api", "us-east-1 · 123456789012"),
        ("dns", "alias to the load balancer"),
    ]


def test_what_envoy_rejects_is_a_fault() -> None:
    rejection = Rejection("alb", "type.googleapis.com/x", ("l",), ("listener edge:80",), "no such filter")
    seen = status(replace(state({"manifests": GATEWAY}), envoys={"alb": Proxy(rejections=(rejection,))}))
    (fault,) = (each for each in seen["faults"] if each["code"] == "LG9003")
    assert fault["message"] == "Envoy (alb) rejected listener edge:80: no such filter"


def test_rules_of_a_web_acl_that_are_not_evaluated_are_reported_once() -> None:
    answer = {"Name": "lab", "ARN": "arn:lab", "DefaultAction": {"Allow": {}}, "Rules": [SQL]}
    balancers = [LoadBalancer(name, (), {}, web_acl=web_acl(answer, References())) for name in ("a", "b")]
    balancing = Balancing(load_balancers=tuple(balancers))
    seen = status(replace(state({"manifests": GATEWAY}), balancing=balancing))
    (fault,) = (each for each in seen["faults"] if each["code"] == "LG9005")
    assert fault["message"].startswith("rule sql of web ACL lab is not evaluated: ")


SQL = {
    "Name": "sql",
    "Priority": 1,
    "Statement": {"SqliMatchStatement": {"FieldToMatch": {"QueryString": {}}}},
    "Action": {"Block": {}},
}


def test_an_object_that_somebody_deleted_is_not_applied() -> None:
    told = status(state({"manifests": GATEWAY, "gone": ["VirtualService shop/v"]}))
    assert {each["name"]: each["state"] for each in told["objects"]} == {"g": "waiting", "v": "deleted"}
