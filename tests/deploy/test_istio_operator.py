"""IstioOperators as Helm values: `tests/cases/deploy/istio_operator.yaml`, and the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from lockgate.cli.convert import convert as command
from lockgate.deploy.istio_operator import convert

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "deploy" / "istio_operator.yaml").read_text())
EXAMPLE = Path(__file__).parents[2] / "examples" / "edge" / "20-istio.yaml"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_values(case: dict[str, Any]) -> None:
    found = convert({"spec": case["spec"]})
    assert {each.name: each.values for each in found.releases} == case["releases"]
    assert {each.namespace for each in found.releases} == {case.get("namespace", "istio-system")}
    notes = [f"{'!' if each.lost else ''}{'.'.join(map(str, each.path))}" for each in found.notes]
    assert notes == case["notes"]


def test_the_command_prints_values_and_notes_with_their_lines() -> None:
    done = CliRunner().invoke(command, ["istio-operator", str(EXAMPLE)])
    assert done.exit_code == 0, done.output
    assert "# helm upgrade --install istiod istio/istiod -n istio-system" in done.output
    printed = CliRunner().invoke(command, ["istio-operator", str(EXAMPLE), "--output", "json"])
    assert [each["chart"] for each in json.loads(printed.stdout)["releases"]] == ["base", "istiod", "gateway"]


def test_the_command_writes_values_files(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, ["istio-operator", str(EXAMPLE), "--out", str(tmp_path / "helm")])
    assert done.exit_code == 0, done.output
    files = sorted(path.name for path in (tmp_path / "helm").iterdir())
    assert files == ["istio-base.yaml", "istio-ingressgateway.yaml", "istiod.yaml"]
    assert yaml.safe_load((tmp_path / "helm" / "istiod.yaml").read_text()) is not None


def test_a_file_without_an_operator() -> None:
    done = CliRunner().invoke(command, ["istio-operator", str(EXAMPLE.with_name("40-gateway.yaml"))])
    assert "has no IstioOperator" in str(done.exception)
