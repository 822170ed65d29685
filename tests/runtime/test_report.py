"""What an edge says about itself, from values alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml

from lockgate.dataplane.desired import Rejection
from lockgate.gateway.model import Gateway
from lockgate.loadbalancer.model import Listener, LoadBalancer
from lockgate.loadbalancer.waf.reader import References, web_acl
from lockgate.resources.faults import Origin
from lockgate.resources.model import ObjectKey
from lockgate.runtime.observed import Balancing, Proxy, State
from lockgate.runtime.parts import Readiness
from lockgate.runtime.reports.report import report, shortened
from lockgate.runtime.reports.status import status
from lockgate.xds.snapshot import Source
from tests.runtime.states import ABOUT, state

TABLE = yaml.safe_load((Path(__file__).parents[1] / "cases/runtime/report.yaml").read_text())
STANDING = TABLE["standing"]


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: case["name"])
def test_report(case: dict[str, Any]) -> None:
    seen = report(state(case, STANDING))
    lines = [
        f"{line.state} {line.part} {line.name}: {line.detail}" for line in seen.lines if line.part in case["parts"]
    ]
    acm = [line for line in lines if " certificate acm " in line]
    assert [line for line in lines if line not in acm] == case["lines"]
    assert list(seen.shortfall) == case.get("shortfall", [])
    assert list(seen.refused) == case.get("refused-objects", [])
    assert list(seen.urls) == case.get("urls", list(seen.urls))
    waited = any(line.startswith(("waiting", "failed")) for line in lines)
    assert seen.ready is not waited


def test_status_holds_no_secret() -> None:
    reported = status(state({}, STANDING))
    assert "secret" not in str(reported["aws"])
    assert reported["aws"]["access_key_id"] == "AKIA"


def test_hosts_below_others_are_shown_by_their_first_part() -> None:
    assert shortened(["a.example", "b.a.example", "c.b.a.example"]) == "a.example, b, c"
    assert shortened(["b.a.example", "a.example"]) == "b, a.example"
    assert shortened(["notA.example", "A.example"]) == "notA.example, A.example"
    assert shortened([f"{n}.example" for n in range(9)]) == "0.example, 1.example, 2.example, 3.example, 5 more"


def test_the_apis_are_lines() -> None:
    lines = report(state({"refused": {"VirtualService shop/v": "no"}}, STANDING)).lines
    assert [(line.part, line.detail) for line in lines[:2]] == [
        ("kubernetes api", "2 objects from 1 file"),
        ("aws api", "us-east-1 · 123456789012"),
    ]


def test_what_envoy_rejects_is_a_fault() -> None:
    server = Origin(ObjectKey("networking.istio.io", "Gateway", "istio-system", "g"), ("spec", "servers", 0))
    sources = {"alb": Source("listener edge:80"), "gateway": Source(str(server), server)}
    envoys = {
        node: Proxy(rejections=(Rejection(node, "type.googleapis.com/x", "l", source, "no such filter"),))
        for node, source in sources.items()
    }
    seen = status(replace(state({"manifests": GATEWAY}, ""), envoys=envoys))
    found = [each for each in seen["faults"] if each["code"] == "LG9003"]
    assert [each["message"] for each in found] == [
        "Envoy (alb) rejects listener edge:80: no such filter",
        "Envoy (gateway) rejects Gateway istio-system/g: no such filter",
    ]
    assert [each["position"] for each in found] == [None, {"file": "edge.yaml", "line": 7, "column": 13}]


GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: g, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
"""


def test_an_envoy_that_does_not_answer_fails_what_it_serves() -> None:
    envoys = {"alb": Proxy(trouble="its Envoy (pid 7) does not answer"), "gateway": Proxy(trouble="its Envoy ended")}
    balancing = Balancing(load_balancers=(LoadBalancer("edge", (), {}),))
    seen = report(replace(state({}, STANDING), envoys=envoys, balancing=balancing))
    assert [(line.part, line.name, line.detail) for line in seen.failed] == [
        ("load balancer", "edge", "its Envoy (pid 7) does not answer"),
        ("gateway", "gateway", "its Envoy ended"),
    ]


@pytest.mark.parametrize(
    ("settled", "current", "waiting"),
    [(True, True, []), (False, True, ["gateway"]), (True, False, ["load balancer"])],
)
def test_nothing_is_ready_before_its_envoy_serves_the_latest_change(
    settled: bool, current: bool, waiting: list[str]
) -> None:
    served = Gateway("istio-system/gateway", "istio-system")
    envoys = {"alb": Proxy(settled=True), "gateway": Proxy(settled=settled, gateway=served)}
    balancer = LoadBalancer("edge", (), {}, dns_name="edge.elb.example")
    balancing = Balancing((balancer,), addresses={"edge.elb.example": "127.0.0.2"}, current=current)
    seen = report(replace(state({}, ""), envoys=envoys, balancing=balancing))
    assert [line.part for line in seen.lines if line.state is Readiness.WAITING] == waiting
    assert seen.ready is not bool(waiting)


OPERATOR = """
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
metadata: {name: edge, namespace: istio-system}
spec: {profile: default}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: g, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [www.quay.example]}]
"""


def test_a_gateway_that_an_istio_operator_is_about_to_install_is_waited_for() -> None:
    early = state({"manifests": OPERATOR, "gone": ["Service istio-system/istio-ingressgateway"]})
    seen = report(replace(early, envoys={}))
    assert [(line.state, line.name, line.detail) for line in seen.lines if line.part in ("gateway", "dns")] == [
        ("waiting", "istio-ingressgateway", "its Pod is being made"),
        ("waiting", "www.quay.example", "its gateway's Service gets an address"),
    ]


def test_rules_of_a_web_acl_that_are_not_evaluated_are_reported_once() -> None:
    answer = {"Name": "lab", "ARN": "arn:lab", "DefaultAction": {"Allow": {}}, "Rules": [SQL]}
    balancers = [LoadBalancer(name, (), {}, web_acl=web_acl(answer, References())) for name in ("a", "b")]
    balancing = Balancing(load_balancers=tuple(balancers))
    seen = status(replace(state({}, STANDING), balancing=balancing))
    (fault,) = (each for each in seen["faults"] if each["code"] == "LG9005")
    assert fault["message"].startswith("rule sql of web ACL lab is not evaluated: ")


SQL = {
    "Name": "sql",
    "Priority": 1,
    "Statement": {"SqliMatchStatement": {"FieldToMatch": {"QueryString": {}}}},
    "Action": {"Block": {}},
}


def test_an_object_deleted_by_another_client_is_not_applied() -> None:
    reported = status(state({"gone": ["VirtualService shop/v"]}, STANDING))
    (fault,) = (each for each in reported["faults"] if each["code"] == "LG9007")
    assert fault["message"].startswith("VirtualService shop/v was deleted")
    assert {each["name"]: each["state"] for each in reported["objects"]} == {
        "g": "served",
        "gateway": "applied",
        "v": "deleted",
    }


def test_what_the_api_refuses_is_one_fault() -> None:
    """The Ingress as it was before would be refused by the controller, too."""
    ingress = next(case for case in TABLE["cases"] if case["name"] == "an Ingress that cannot be built")
    case = {**ingress, "refused": {"Ingress istio-system/edge": "a webhook says no"}}
    assert [fault.code.id for fault in report(state(case, STANDING)).faults] == ["LG9002"]


@pytest.mark.parametrize(
    ("case", "complete"),
    [
        ({"resolved": ["www.quay.example"]}, True),
        ({}, True),  # a host without a load balancer
        ({"refused": {"VirtualService shop/v": "no"}}, False),
    ],
)
def test_complete(case: dict[str, Any], complete: bool) -> None:
    reported = status(state(case, STANDING))
    assert (reported["ready"], reported["complete"]) == (True, complete)


def test_a_rejected_rule_of_a_load_balancer_is_found_in_its_ingress() -> None:
    """The load balancer is made from ELBv2's state; the manifests that lead to it know where its rules come from."""
    source = Source("rule 2", balancer="k8s-shop-web-1", port=80, priority=2)
    rejection = Rejection("alb", "type.googleapis.com/x", "l", source, "no", left_out=True)
    edge = state({"manifests": INGRESS}, "")
    (stack,) = edge.stacks.stacks if edge.stacks else ()
    assert stack.load_balancer is not None
    name = stack.load_balancer.name
    rejection = replace(rejection, source=replace(source, balancer=name))
    seen = status(replace(edge, envoys={"alb": Proxy(rejections=(rejection,))}))
    (fault,) = (each for each in seen["faults"] if each["code"] == "LG9003")
    assert fault["message"] == "Envoy (alb) rejects rule 2, which is left out: no"
    assert (fault["position"]["file"], fault["position"]["line"]) == ("edge.yaml", 16)


INGRESS = """
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: alb}
spec: {controller: ingress.k8s.aws/alb}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop}
spec:
  ingressClassName: alb
  rules:
    - http:
        paths:
          - {path: /a, pathType: Exact, backend: {service: {name: web, port: {number: 80}}}}
          - {path: /b, pathType: Exact, backend: {service: {name: web, port: {number: 80}}}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {type: NodePort, ports: [{port: 80}]}
"""


def balancer(name: str, *ports: tuple[Literal["HTTP", "HTTPS"], int]) -> LoadBalancer:
    listeners = tuple(Listener(port=port, protocol=protocol, default_actions=()) for protocol, port in ports)
    return LoadBalancer(name, listeners, {}, dns_name=f"{name}.elb.amazonaws.com")


def test_the_urls_of_a_host_are_those_of_its_own_load_balancer() -> None:
    case = {"manifests": INSIDE, "resolved": ["www.quay.example", "inside.example"]}
    balancing = Balancing(
        load_balancers=(balancer("outer", ("HTTP", 80), ("HTTPS", 443)), balancer("inner", ("HTTP", 8080))),
        addresses={"outer.elb.amazonaws.com": "127.0.0.2", "inner.elb.amazonaws.com": "127.0.0.3"},
    )
    resolved = {"www.quay.example": ("127.0.0.2",), "inside.example": ("127.0.0.3",)}
    seen = report(replace(state(case, STANDING), balancing=balancing, resolved=resolved))
    assert seen.urls == ("https://www.quay.example/", "http://www.quay.example/", "http://inside.example:8080/")


INSIDE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: inside, namespace: shop}
spec: {hosts: [inside.example], gateways: [istio-system/g], http: [{route: [{destination: {host: web}}]}]}
"""


def test_without_hosts_a_load_balancer_is_reached_by_its_own_name() -> None:
    balancing = Balancing(load_balancers=(balancer("outer", ("HTTPS", 443), ("HTTP", 80)),))
    seen = report(State(about=ABOUT, balancing=balancing))
    assert seen.urls == ("http://outer.elb.amazonaws.com/", "https://outer.elb.amazonaws.com/")


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("a Certificate that is issued", "ready"),
        ("the reason of the Challenge goes before what the objects above it say", "failed"),
        ("the issuer does not exist", "unserved"),
        ("another controller's Ingress", "unserved"),
        ("an Ingress that cannot be built", "refused"),
        ("a load balancer that AWS refuses is tried again, and says why", "failed"),
        ("the load balancer is being made", "waiting"),
        ("an object that the API refuses", "refused"),
    ],
)
def test_an_object_is_as_its_part_is(case: str, expected: str) -> None:
    row = next(each for each in TABLE["cases"] if each["name"] == case)
    shown = status(state(row, STANDING))["objects"]
    kinds = ("Certificate", "Ingress", "ConfigMap")
    assert [each["state"] for each in shown if each["kind"] in kinds] == [expected]


REFUSED = Rejection("gateway", "type.googleapis.com/x", "", Source("its listeners"), "no")


@pytest.mark.parametrize(
    ("proxy", "expected", "ready"),
    [
        ({"istiod": "configured by your istiod", "settled": True}, "ready: configured by your istiod", True),
        ({"istiod": "not configured yet; it waits for your istiod at 127.0.0.1:1"}, None, True),
        ({"istiod": "yours", "rejections": (REFUSED,)}, "failed: Envoy (gateway) rejects its listeners: no", False),
    ],
)
def test_a_gateway_that_the_users_istiod_configures(proxy: dict[str, Any], expected: str | None, ready: bool) -> None:
    """What it waits for is not waited for, and so is a load balancer whose targets it leaves unhealthy. A rejection by
    Envoy is no fault of Lockgate."""
    gateway = Proxy(gateway=Gateway("istio-system/gateway", "istio-system"), **proxy)
    balancer = LoadBalancer("edge", (), {}, dns_name="edge.elb.example")
    balancing = Balancing((balancer,), addresses={"edge.elb.example": "127.0.0.2"}, current=False)
    seen = report(
        replace(
            state({}, ""),
            envoys={"alb": Proxy(settled=True), "gateway": gateway},
            balancing=balancing if expected is None else Balancing(),
            controllers={"istiod": "external"},
        )
    )
    lines = [(line.part, f"{line.state}: {line.detail}") for line in seen.lines if line.part != "kubernetes api"]
    found = dict(lines)
    assert found["gateway"] == (expected or f"external: {proxy['istiod']}")
    if expected is None:
        assert found["load balancer"].startswith("external: ") and found["load balancer"].endswith(
            "waits for your istiod"
        )
    assert seen.ready is ready
    assert not [fault for fault in seen.faults if fault.code.id == "LG9003"]
