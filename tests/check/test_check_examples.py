"""No false alarm: everything that `check` finds in the examples, and whoever reads the list can judge it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lockgate.check.findings import Finding
from lockgate.check.outcome import outcome
from lockgate.edge.from_manifests import from_manifests
from lockgate.edge.options import Options
from lockgate.runtime.reading import files

ROOT = Path(__file__).parents[2]
FOUND = yaml.safe_load((ROOT / "tests" / "cases" / "check" / "of_examples" / "found.yaml").read_text())


@pytest.mark.parametrize("name", [folder.name for folder in sorted((ROOT / "examples").iterdir())])
def test_what_check_finds_in_an_example(name: str) -> None:
    manifests = files.load([str(ROOT / "examples" / name)])
    findings = outcome(from_manifests(manifests, Options(())), manifests).findings
    assert [_line(finding) for finding in findings] == FOUND[name]


def _line(finding: Finding) -> str:
    place = finding.position
    return f"{finding.code} {Path(place.file).name}:{place.line}" if place else finding.code
