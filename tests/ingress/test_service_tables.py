"""The table of Services with a Network Load Balancer: manifests in, stack out."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ingress_cases import CASES, account, at

from lockgate.ingress.annotations.services import SERVICES
from lockgate.ingress.annotations.spec import SERVICE_PREFIX
from lockgate.ingress.flags import read_arguments
from lockgate.ingress.manifests import stack_from_manifests
from lockgate.ingress.services.faults import spec_of
from lockgate.ingress.show import stack_json
from lockgate.ingress.world import Settings
from lockgate.resources import core
from lockgate.resources.faults import Severity

ROWS: list[dict[str, Any]] = yaml.safe_load((CASES / "services.yaml").read_text())
STEM = "aws-load-balancer-"


def name_of(written: str) -> str:
    return written[1:] if written.startswith("/") else STEM + written


def service(row: dict[str, Any]) -> core.Service:
    port = {"name": "http", "port": 80, "targetPort": 8080, "nodePort": 30080}
    spec = {"type": "LoadBalancer", "loadBalancerClass": "service.k8s.aws/nlb", "ports": [port], **row.get("spec", {})}
    noted = {SERVICE_PREFIX + name_of(key): value for key, value in row.get("service", {}).items()}
    metadata = {"namespace": "shop", "name": "web", "uid": "u1", "annotations": noted}
    return core.Service.model_validate({"metadata": metadata, "spec": spec})


def others(row: dict[str, Any]) -> list[core.Service]:
    """Services beside it, by name their ports."""
    return [
        core.Service.model_validate(
            {
                "metadata": {"namespace": "shop", "name": name, "uid": name},
                "spec": {"type": "NodePort" if "nodePort" in ports[0] else "ClusterIP", "ports": ports},
            }
        )
        for name, ports in row.get("others", {}).items()
    ]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_row(row: dict[str, Any]) -> None:
    flags = read_arguments(["--cluster-name=lockgate", *row.get("flags", ())], Settings())
    made = stack_from_manifests(
        [service(row), *others(row)], settings=flags.settings, account=account(row.get("aws", {}))
    )
    errors = [each.message for each in made.faults if each.code.severity is Severity.ERROR]
    assert errors == ([f"Failed build model due to {row['refused']}"] if "refused" in row else [])
    if "faults" in row:
        assert [each.code.id for each in made.faults] == row["faults"]
    shown = [stack_json(stack, lambda origin: None) for stack in made.stacks]
    assert len(shown) == (0 if "refused" in row or row.get("none") else 1)
    for place, expected in row.get("then", {}).items():
        assert at(shown[0], place) == expected, place


def test_every_annotation_has_its_rows() -> None:
    """One that is taken, and one that is refused where it can be."""
    taken: set[str] = set()
    refused: set[str] = set()
    for row in ROWS:
        for key in row.get("service", {}):
            if (spec := spec_of(name_of(key))) is not None:
                (refused if "refused" in row else taken).add(spec.name)
    without = {name for name, spec in SERVICES.items() if spec.limits}
    assert sorted(SERVICES.keys() - taken - without) == []
    parsed = {name for name, spec in SERVICES.items() if spec.values and name not in (f"{STEM}type",)}
    assert sorted(parsed - refused - without) == []
