"""Deployments for Services whose Pods nothing brings."""

from __future__ import annotations

from typing import Any

import pytest

from lockgate.edge.objects import Objects
from lockgate.edge.supply.workloads import MOST, deployments
from lockgate.resources import core, istio, workloads
from lockgate.resources.model import JsonObject, Resource


def service(name: str = "web", selector: dict[str, str] | None = None, **more: Any) -> Resource:
    spec = {"selector": {"app": name} if selector is None else selector, "ports": [{"port": 80, "targetPort": 8080}]}
    return core.Service.model_validate({"metadata": {"name": name, "namespace": "shop"}, "spec": {**spec, **more}})


def rule(host: str, **subsets: dict[str, str]) -> Resource:
    listed = [{"name": name, "labels": labels} for name, labels in subsets.items()]
    return istio.DestinationRule.model_validate(
        {"metadata": {"name": "rule", "namespace": "shop"}, "spec": {"host": host, "subsets": listed}}
    )


def workload(kind: type[Resource], **labels: str) -> Resource:
    template = {"metadata": {"labels": labels}, "spec": {"containers": []}}
    return kind.model_validate({"metadata": {"name": "own", "namespace": "shop"}, "spec": {"template": template}})


def made(*resources: Resource) -> dict[str, JsonObject]:
    found = [each.manifest for each in deployments(Objects(resources))]
    return {each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"] for each in found}


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([service()], {"web": {"app": "web"}}),
        ([service(selector={"k8s-app": "web"})], {"web": {"app": "web", "k8s-app": "web"}}),
        ([service(selector={})], {}),
        ([service(type="ExternalName", externalName="db.example")], {}),
        ([service(), workload(workloads.Deployment, app="web", version="v1")], {}),
        ([service(), workload(workloads.DaemonSet, app="web")], {}),
        ([service(), workload(workloads.StatefulSet, app="other")], {"web": {"app": "web"}}),
        ([service(selector={"istio": "ingressgateway"})], {}),
        (
            [service(), rule("web", stable={"version": "v1"}, next={"version": "v2"}, all={})],
            {"web-v1": {"app": "web", "version": "v1"}, "web-v2": {"app": "web", "version": "v2"}},
        ),
        (
            [service(), rule("web.shop.svc.cluster.local", same={"tier": "A b"}, again={"tier": "A b"})],
            {"web-same": {"app": "web", "tier": "A b"}},
        ),
        ([service(), rule("web", wrong={"app": "other"})], {"web": {"app": "web"}}),
    ],
)
def test_services_without_pods_get_deployments(resources: list[Resource], expected: dict[str, dict[str, str]]) -> None:
    assert made(*resources) == expected


def test_a_service_with_endpoints_of_its_own_gets_none() -> None:
    metadata = {"name": "web", "namespace": "shop"}
    assert made(service(), core.Endpoints.model_validate({"metadata": metadata})) == {}


def test_the_number_of_services_is_bounded() -> None:
    assert len(made(*(service(f"web-{number}") for number in range(MOST + 50)))) == MOST
