"""What the load balancer controller's webhooks say: `tests/cases/ingress/{admission,readiness_gates}.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lockgate.ingress import admission, readiness_gates
from lockgate.ingress.world import Settings
from lockgate.resources import core, elbv2, networking

CASES = Path(__file__).parents[1] / "cases" / "ingress"
PREFIX = "alb.ingress.kubernetes.io/"
ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/1"


def rows(name: str) -> list[Any]:
    return [pytest.param(row, id=row["name"]) for row in yaml.safe_load((CASES / name).read_text())]


@pytest.mark.parametrize("row", rows("admission.yaml"))
def test_ingresses(row: dict[str, Any]) -> None:
    written = {key if "/" in key else PREFIX + key: value for key, value in row.get("annotations", {}).items()}
    backend = row.get("backend", {"service": {"name": "web", "port": {"number": 80}}})
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    ingress = networking.Ingress.model_validate(
        {
            "metadata": {"name": "web", "namespace": "default", "annotations": written},
            "spec": {
                "ingressClassName": row.get("class"),
                "rules": [{"host": "a.example"}, {"http": {"paths": paths}}],
            },
        }
    )
    classes = {
        name: _class(name, controller, default=name in row.get("defaults", ()))
        for name, controller in row.get("classes", {}).items()
    }
    fault = admission.ingress(ingress, classes, Settings())
    assert (fault.message if fault else None) == row.get("denied")
    assert fault is None or fault.webhook == "vingress.elbv2.k8s.aws"


def test_a_target_group_is_shared_only_if_all_bindings_allow_it() -> None:
    one, two, three = _binding("one"), _binding("two", shared=True), _binding("three", shared=True)
    elsewhere = _binding("four", arn=ARN + "2")
    assert admission.target_group_binding(one, [one, elsewhere]) is None
    assert admission.target_group_binding(two, [two, three, elsewhere]) is None
    denied = admission.target_group_binding(two, [one, two, three])
    assert denied is not None
    assert denied.message == (
        f"TargetGroup {ARN} is already bound to following TargetGroupBindings [default/one default/three]. Please "
        f"enable MultiCluster mode on all TargetGroupBindings referencing {ARN} or choose a different Target Group ARN."
    )
    assert admission.target_group_binding(one, [two]) is not None


def test_bindings_by_name_are_compared_once_resolved() -> None:
    by_name = [_binding(name, arn="") for name in ("one", "two")]
    assert admission.target_group_binding(by_name[0], by_name) is None


@pytest.mark.parametrize("row", rows("readiness_gates.yaml"))
def test_readiness_gates(row: dict[str, Any]) -> None:
    services = {
        name: core.Service.model_validate({"metadata": {"name": name}, "spec": {"selector": selector}})
        for name, selector in row["services"].items()
    }
    bindings = [_binding(name, target, service) for name, (target, service) in row["bindings"].items()]
    found = readiness_gates.with_gates(row.get("own", ()), row["labels"], bindings, services)
    assert list(found) == row["gates"]


def test_namespaces_ask_for_gates_by_a_label() -> None:
    assert readiness_gates.injected({"elbv2.k8s.aws/pod-readiness-gate-inject": "enabled"})
    assert not readiness_gates.injected({"elbv2.k8s.aws/pod-readiness-gate-inject": "true"})
    assert not readiness_gates.injected({})


def _class(name: str, controller: str, *, default: bool) -> networking.IngressClass:
    annotations = {"ingressclass.kubernetes.io/is-default-class": "true"} if default else {}
    return networking.IngressClass.model_validate(
        {"metadata": {"name": name, "annotations": annotations}, "spec": {"controller": controller}}
    )


def _binding(
    name: str, target: str | None = "ip", service: str = "web", *, arn: str = ARN, shared: bool = False
) -> elbv2.TargetGroupBinding:
    spec = {
        "targetGroupARN": arn,
        "targetType": target,
        "serviceRef": {"name": service, "port": 80},
        "multiClusterTargetGroup": shared,
    }
    return elbv2.TargetGroupBinding.model_validate(
        {"metadata": {"name": name, "namespace": "default", "uid": name}, "spec": spec}
    )
