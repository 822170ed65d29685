from __future__ import annotations

import pytest

from lockgate.gateway.standard_metrics import Destinations, destinations, peer, report
from lockgate.metrics.flows import Flow
from lockgate.metrics.labels import Peer, Service
from lockgate.resources import core, istio

GATEWAY = Peer("istio-ingressgateway", "istio-system")
WEB_SERVICE = Service("web.shop.svc.cluster.local", "web", "shop")
WEB = "outbound|80|v1|web.shop.svc.cluster.local"


def pod(labels: dict[str, str], owner: dict[str, object] | None = None) -> core.Pod:
    owners = [{"apiVersion": "apps/v1", "controller": True, "uid": "1", **owner}] if owner else []
    metadata = {"name": "web-1", "namespace": "shop", "labels": labels, "ownerReferences": owners}
    return core.Pod.model_validate({"metadata": metadata, "spec": {"containers": []}})


@pytest.mark.parametrize(
    ("labels", "owner", "expected"),
    [
        ({}, None, ("web-1", "unknown", "unknown", "web-1", "latest")),
        (
            {"app": "web", "version": "v1", "pod-template-hash": "5d"},
            {"kind": "ReplicaSet", "name": "web-5d"},
            ("web", "web", "v1", "web", "v1"),
        ),
        (
            {"app": "a", "app.kubernetes.io/name": "b", "app.kubernetes.io/version": "2"},
            {"kind": "StatefulSet", "name": "store"},
            ("store", "a", "unknown", "b", "2"),
        ),
        (
            {"service.istio.io/canonical-name": "c", "service.istio.io/canonical-revision": "r", "app": "a"},
            {"kind": "ReplicaSet", "name": "bare"},
            ("bare", "a", "unknown", "c", "r"),
        ),
    ],
)
def test_a_pods_workload(
    labels: dict[str, str], owner: dict[str, object] | None, expected: tuple[str, str, str, str, str]
) -> None:
    found = peer(pod(labels, owner))
    assert (found.workload, found.app, found.version, found.canonical_service, found.canonical_revision) == expected
    assert (found.namespace, found.cluster) == ("shop", "lockgate")


def test_destinations() -> None:
    service = core.Service.model_validate({"metadata": {"name": "web", "namespace": "shop"}})
    entry = istio.ServiceEntry.model_validate(
        {"metadata": {"name": "outside", "namespace": "shop"}, "spec": {"hosts": ["api.example"]}}
    )
    endpoints = [
        {"addresses": ["127.0.0.1"], "targetRef": {"kind": "Pod", "name": "web-1"}},
        {"addresses": ["127.0.0.2"]},
    ]
    one = core.EndpointSlice.model_validate(
        {
            "metadata": {
                "name": "web-x",
                "namespace": "shop",
                "labels": {"kubernetes.io/service-name": "web"},
            },
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": [{"name": "http", "port": 8080}],
        }
    )
    found = destinations([service], [entry], [one], [pod({"app": "web"})], "cluster.local")
    web = Service("web.shop.svc.cluster.local", "web", "shop")
    assert found.services == {web.host: web, "api.example": Service("api.example", "api.example", "shop")}
    assert found.behind == {"127.0.0.1:8080": web, "127.0.0.2:8080": web}
    assert {at: each.workload for at, each in found.workloads.items()} == {"127.0.0.1:8080": "web-1"}


@pytest.mark.parametrize(
    ("flow", "service", "workload"),
    [
        (Flow("g", "l", 200, cluster=WEB, upstream="127.0.0.1:8080"), ("web", "shop"), "web"),
        (Flow("g", "l", 200, cluster=WEB, upstream="127.0.0.1:9"), ("web", "shop"), "unknown"),
        (Flow("g", "l", 404, "NR"), ("unknown", "unknown"), "unknown"),
        (Flow("g", "l", 503, "NC", cluster="outbound|80||gone.shop.svc.cluster.local"), ("gone", "unknown"), "unknown"),
    ],
)
def test_a_destination(flow: Flow, service: tuple[str, str], workload: str) -> None:
    to = Destinations({WEB_SERVICE.host: WEB_SERVICE}, {"127.0.0.1:8080": Peer("web", "shop")})
    labels = dict(report(flow, GATEWAY, to).request(flow))
    assert (labels["destination_service_name"], labels["destination_service_namespace"]) == service
    assert labels["destination_workload"] == workload
    assert "grpc_response_status" not in labels
    assert (labels["source_workload"], labels["reporter"]) == ("istio-ingressgateway", "source")


def test_protocols() -> None:
    flow = Flow("g", "l", 200, grpc="14", cluster=WEB)
    grpc = dict(report(flow, GATEWAY, Destinations()).request(flow))
    assert (grpc["request_protocol"], grpc["grpc_response_status"], grpc["response_code"]) == ("grpc", "14", "200")
    flow = Flow("g", "l", flags="UF", cluster=WEB)
    tcp = dict(report(flow, GATEWAY, Destinations()).connection(flow))
    assert (tcp["request_protocol"], tcp["response_flags"], tcp.get("response_code")) == ("tcp", "UF", None)
