from __future__ import annotations

import pytest

from lockgate.loadbalancer.standard_metrics import objects, reports, workload_name
from lockgate.metrics.flows import Flow
from lockgate.metrics.labels import NOBODY, NOWHERE, Peer, Service

GATEWAY = Peer("istio-ingressgateway", "istio-system")
BEHIND = Service("istio-ingressgateway.istio-system.svc.cluster.local", "istio-ingressgateway", "istio-system")


@pytest.mark.parametrize(
    ("listener", "name"),
    [("app/shop/50dc6c495c0c9188:443", "alb-shop"), ("net/front/0123456789abcdef:443", "nlb-front")],
)
def test_the_name_of_a_load_balancer(listener: str, name: str) -> None:
    assert workload_name(listener) == name


def test_a_forwarded_request_is_reported_on_both_sides() -> None:
    flow = Flow("alb", "app/shop/1:443", 200, cluster="targetgroup/a/1", upstream="127.0.0.1:8443")
    into, out = (dict(each.request(flow)) for each in reports(flow, "istio-system", GATEWAY, BEHIND))
    assert (into["reporter"], into["source_workload"], into["destination_workload"]) == (
        "destination",
        "unknown",
        "alb-shop",
    )
    assert (into["destination_service_name"], into["connection_security_policy"]) == ("alb-shop", "none")
    assert (out["reporter"], out["source_workload"], out["destination_workload"]) == (
        "source",
        "alb-shop",
        "istio-ingressgateway",
    )
    assert out["destination_service_name"] == "istio-ingressgateway"
    assert all((*into.values(), *out.values()))


def test_the_load_balancers_own_answer_goes_nowhere() -> None:
    flow = Flow("alb", "app/shop/1:80", 301)
    (into,) = (dict(each.request(flow)) for each in reports(flow, "istio-system", NOBODY, NOWHERE))
    assert (into["reporter"], into["response_code"]) == ("destination", "301")


def test_connections_of_a_network_load_balancer() -> None:
    flow = Flow("alb", "net/front/1:443", cluster="targetgroup/a/1", upstream="127.0.0.1:8443")
    labels = [dict(each.connection(flow)) for each in reports(flow, "istio-system", GATEWAY, BEHIND)]
    assert [each["request_protocol"] for each in labels] == ["tcp", "tcp"]
    assert labels[1]["source_workload"] == "nlb-front"


def test_its_objects_select_each_other() -> None:
    service, deployment = objects("alb-shop", "istio-system")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert {each["metadata"]["labels"]["lockgate.dev/load-balancer"] for each in (service, deployment)} == {"true"}
