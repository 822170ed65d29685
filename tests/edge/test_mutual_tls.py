"""Which Pods take no plain text: every row of `tests/cases/edge/mutual_tls.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lockgate.edge.mutual_tls import PlainTextRules
from lockgate.resources import core, istio, workloads

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "edge" / "mutual_tls.yaml").read_text())
SERVICE = core.Service.model_validate(
    {
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]},
    }
)


def template(case: dict[str, Any]) -> workloads.Deployment:
    labels = {"app": "web", **case.get("labels", {})}
    metadata = {"labels": labels, "annotations": case.get("annotations", {})}
    containers = [{"name": "web", "ports": [{"name": "http", "containerPort": 3000}]}]
    return workloads.Deployment.model_validate(
        {
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"template": {"metadata": metadata, "spec": {"containers": containers}}},
        }
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_row(case: dict[str, Any]) -> None:
    policies = [
        istio.PeerAuthentication.model_validate(
            {"metadata": {"namespace": name.partition("/")[0], "name": name.partition("/")[2]}, "spec": spec}
        )
        for name, spec in case["policies"].items()
    ]
    labels = case.get("namespace", {})
    namespace = core.Namespace.model_validate({"metadata": {"name": "shop", "labels": labels}})
    rules = PlainTextRules(policies, {"shop": namespace}, [template(case)], "istio-system")
    found = rules.refusing(SERVICE, SERVICE.spec.ports[0])
    assert (f"{found.namespace}/{found.name}" if found else None) == case["refuses"]
