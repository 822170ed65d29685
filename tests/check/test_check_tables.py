"""What `check` finds: manifests in, findings with their lines out, as in tests/cases/check/*.yaml.

A row's `codes` are the ones that it is about: other findings do not count. Without them, all count but infos.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from lockgate.check.analyzers import ANALYZERS
from lockgate.check.findings import Finding
from lockgate.check.outcome import outcome
from lockgate.edge.edge import Edge
from lockgate.edge.from_manifests import from_manifests
from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.resources.codes import CODES
from lockgate.resources.faults import Severity
from lockgate.resources.reader import read

FOLDER = Path(__file__).parents[1] / "cases" / "check"
CASES = [case for file in sorted(FOLDER.glob("*.yaml")) for case in yaml.safe_load(file.read_text())]


@cache
def built(text: str) -> tuple[Edge, Manifests]:
    reading = read(text, "a.yaml")
    manifests = Manifests(reading.documents, reading.faults, ("a.yaml",), frozenset(), {})
    return from_manifests(manifests, Options(())), manifests


def found(text: str, *, strict: bool = False) -> tuple[Finding, ...]:
    edge, manifests = built(text)
    return outcome(edge, manifests, strict=strict).findings


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_check(case: dict[str, Any]) -> None:
    wanted = case.get("codes")
    findings = [
        each
        for each in found(case["manifests"], strict=case.get("strict", False))
        if (each.code in wanted if wanted else each.severity is not Severity.INFO)
    ]
    lines = [f"{each.code} {each.position.line if each.position else '-'} {each.fault.message}" for each in findings]
    assert lines == case["expected"]


@pytest.mark.parametrize("analyzer", ANALYZERS, ids=lambda analyzer: analyzer.__name__.rpartition(".")[2])
def test_an_analyzer_finds_only_its_codes(analyzer: Any) -> None:
    """Each code has an example that it is found in: tests/edge/test_code_examples.py."""
    codes = {code.id for code in analyzer.CODES}
    for case in CASES:
        edge, _ = built(case["manifests"])
        assert {fault.code.id for fault in analyzer.analyze(edge)} <= codes


def test_the_registry_is_in_the_order_of_the_alphabet() -> None:
    names = [analyzer.__name__ for analyzer in ANALYZERS]
    assert names == sorted(names)


def test_the_table_of_problems_names_codes_that_exist() -> None:
    named = set(re.findall(r"\b(?:LG|IST)\d{4}\b", (Path(__file__).parents[2] / "docs" / "check.md").read_text()))
    assert named - set(CODES) == set()
