"""Targets of bindings by table, and what is registered and deregistered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lockgate.ingress.refusal import Refused
from lockgate.ingress.targets import instance_targets, pod_targets, registration
from lockgate.loadbalancer.model import Target
from lockgate.resources import core
from lockgate.resources.meta import LabelSelector

ROWS = yaml.safe_load((Path(__file__).parents[1] / "cases/ingress/targets.yaml").read_text())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_targets(row: dict[str, Any]) -> None:
    if "ip" in row:
        assert _ip(row) == row["ip"]
    elif "refused" in row:
        with pytest.raises(Refused) as caught:
            _instance(row)
        assert caught.value.message == row["refused"]
    else:
        assert _instance(row) == row["instance"]


def _instance(row: dict[str, Any]) -> list[str]:
    service = _service(row)
    selector = LabelSelector(match_labels=row["selector"]) if "selector" in row else None
    targets = instance_targets(service, service.spec.ports[0], _nodes(row), selector)
    return [f"{target.id} {target.port}" for target in targets]


def _ip(row: dict[str, Any]) -> list[str]:
    pods = {}
    for item in row.get("pods", ()):
        conditions = [{"type": "ContainersReady", "status": item.get("containers", "False")}]
        manifest = {
            "metadata": {"name": item["name"], "namespace": "default"},
            "spec": {"nodeName": item.get("node", ""), "containers": [{"name": "c"}]},
            "status": {"conditions": conditions},
        }
        pods[("default", item["name"])] = core.Pod.model_validate(manifest)
    endpoints = []
    for item in row["slice"]:
        endpoint: dict[str, Any] = {
            "addresses": [item["ip"]],
            "conditions": {key: item[key] for key in ("ready", "terminating") if key in item},
        }
        if "pod" in item:
            endpoint["targetRef"] = {"kind": "Pod", "name": item["pod"], "namespace": "default"}
        endpoints.append(endpoint)
    labels = {"kubernetes.io/service-name": "web"}
    if row.get("local"):
        labels["endpointslice.kubernetes.io/managed-by"] = "nodes.lockgate.dev"
    slice_ = core.EndpointSlice.model_validate(
        {
            "metadata": {"name": "web-1", "namespace": "default", "labels": labels},
            "addressType": row.get("family", "IPv4"),
            "endpoints": endpoints,
            "ports": row.get("slice_ports", [{"name": "http", "port": 8080}]),
        }
    )
    nodes = {node.name: node for node in _nodes(row)}
    found = pod_targets(_service(row).spec.ports[0], [slice_], pods, nodes)
    return [f"{item.target.id} {item.target.port}" for item in found]


def _nodes(row: dict[str, Any]) -> list[core.Node]:
    return [
        core.Node.model_validate(
            {
                "metadata": {"name": item.get("name", item.get("id", "n")), "labels": item.get("labels", {})},
                "spec": {
                    "providerID": item.get("provider", f"aws:///zone-a/{item.get('id')}"),
                    "taints": item.get("taints", []),
                    "unschedulable": item.get("unschedulable", False),
                },
                "status": {"conditions": [{"type": "Ready", "status": item.get("ready", "True")}]},
            }
        )
        for item in row.get("nodes", ())
    ]


def _service(row: dict[str, Any]) -> core.Service:
    default = {"type": "NodePort", "ports": [{"name": "http", "port": 80, "nodePort": 30080}]}
    return core.Service.model_validate(
        {"metadata": {"name": "web", "namespace": "default"}, "spec": default | row.get("service", {})}
    )


def _targets(*texts: str) -> list[Target]:
    return [Target(text.partition(":")[0], int(text.partition(":")[2])) for text in texts]


def test_registration_matches_by_id_and_port() -> None:
    plan = registration(_targets("a:1", "a:2"), _targets("a:1", "a:3"), [])
    assert (plan.deregister, plan.register) == (tuple(_targets("a:3")), tuple(_targets("a:2")))


def test_draining_targets_are_left_alone_or_registered_again() -> None:
    plan = registration(_targets("a:1"), _targets("a:1", "b:1"), _targets("a:1", "b:1"))
    assert (plan.deregister, plan.register) == ((), tuple(_targets("a:1")))


def test_in_a_shared_target_group_only_own_targets_are_removed() -> None:
    registered = _targets("ours:1", "theirs:1")
    plan = registration([], registered, [], owned=frozenset({("ours", 1)}))
    assert plan.deregister == tuple(_targets("ours:1"))
    assert registration([], registered, [], owned=frozenset()).deregister == ()
