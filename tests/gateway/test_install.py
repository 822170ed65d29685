"""IstioOperator in, the gateways that istioctl makes out: every row of `tests/cases/gateway/install`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lockgate.gateway.install import install
from lockgate.resources import istio

FILE = Path(__file__).parents[1] / "cases" / "gateway" / "install" / "operators.yaml"


@pytest.mark.parametrize("row", [pytest.param(row, id=row["case"]) for row in yaml.safe_load(FILE.read_text())])
def test_row(row: dict[str, Any]) -> None:
    operator = istio.IstioOperator.model_validate(
        {"metadata": {"name": "installed", "namespace": "istio-system"}, "spec": row["operator"]}
    )
    installed = install(operator)
    found = {one.service["metadata"]["name"]: one for one in installed.gateways}
    assert list(found) == list(row["services"])
    for name, wanted in row["services"].items():
        service = found[name].service
        for field, value in wanted.items():
            match field:
                case "ports":
                    assert [_port(port) for port in service["spec"]["ports"]] == value
                case "namespace" | "annotations":
                    assert service["metadata"][field] == value
                case "labels":
                    assert value.items() <= service["metadata"]["labels"].items()
                case "secret volumes":
                    assert found[name].secret_volumes == value
                case "pod annotations":
                    assert found[name].pod_annotations == value
                case _:
                    assert service["spec"][field] == value
    for field, value in row.get("mesh", {}).items():
        assert getattr(installed.mesh, field) == value
    for field, value in row.get("http", {}).items():
        assert getattr(installed.mesh.http, field) == value


def _port(port: dict[str, Any]) -> str:
    node = f" node {port['nodePort']}" if "nodePort" in port else ""
    return f"{port['name']} {port['port']}->{port['targetPort']}{node}"
