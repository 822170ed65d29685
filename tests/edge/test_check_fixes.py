"""`lockgate check --fix` beside a running edge: requests fail as the finding says, and then go as the fix promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.edge.conftest import ROOT, Start, Up

pytestmark = pytest.mark.edge

CASES = [
    case
    for file in sorted((ROOT / "tests" / "cases" / "check_fixes").glob("*.yaml"))
    for case in yaml.safe_load(file.read_text())
    if case.get("served")
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_fixed_edge_behaves_as_the_finding_promises(up: Start, tmp_path: Path, case: dict[str, Any]) -> None:
    """`served` in the row has the statuses before and after, from a real load balancer and gateway."""
    file = tmp_path / "edge.yaml"
    file.write_text(case["manifests"])
    edge = up(file)
    edge.until("files are watched")

    def status() -> str:
        return edge.exec("curl", "-sSo", "/dev/null", "-w", "%{http_code}", "--max-time", "20", case["request"])

    before, after = case["served"]
    edge.wait(until=lambda: status() == str(before), what=f"{before} before the fix")
    edge.until(" ! check finds ")
    for code in case["fixes"]:
        assert f"{file}:" in edge.until(f"[{code}]")
    assert _found(edge) >= set(case["fixes"])
    assert f"[{case['fixes'][0]}]" in (shown := edge.lockgate("status", check=False)).stderr, shown
    fixed = subprocess.run(
        [sys.executable, "-m", "lockgate", "check", "--fix", str(file)], capture_output=True, text=True
    )
    assert fixed.stderr.count("fixed ") == len(case["fixes"]), fixed
    edge.wait(until=lambda: status() == str(after), what=f"{after} after the fix")
    edge.wait(until=lambda: not _found(edge) & set(case["fixes"]), what="no such finding in the status")
    assert edge.stop() == 0


def _found(edge: Up) -> set[str]:
    return {each["code"] for each in edge.status()["findings"]}
