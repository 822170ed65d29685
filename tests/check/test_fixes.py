"""Fixes: the text changes in the field alone, the finding is gone, and the request goes where the finding promises."""

from __future__ import annotations

from difflib import unified_diff
from pathlib import Path
from typing import Any

import pytest
import yaml

from lockgate.check.analyzers import ANALYZERS
from lockgate.check.fixing import fix
from lockgate.check.outcome import Outcome, outcome
from lockgate.edge.from_manifests import from_manifests
from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.resources.reader import read
from lockgate.trace.model import Request
from lockgate.trace.walk import trace

FOLDER = Path(__file__).parents[1] / "cases" / "check_fixes"
CASES = [case for file in sorted(FOLDER.glob("*.yaml")) for case in yaml.safe_load(file.read_text())]
FILE = "a.yaml"


def manifests(text: str) -> Manifests:
    reading = read(text, FILE)
    return Manifests(reading.documents, reading.faults, (FILE,), frozenset(), {FILE: (b"", reading)})


def check(given: Manifests) -> Outcome:
    return outcome(from_manifests(given, Options(())), given)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_fix(case: dict[str, Any]) -> None:
    text = case["manifests"]
    before = manifests(text)
    made = fix(before, {FILE: text}, check)
    assert [each.code for each in made.fixed] == case["fixes"]
    after = made.texts.get(FILE, text)
    lines = [
        line for line in unified_diff(text.splitlines(), after.splitlines(), n=0) if line[:3] not in ("---", "+++")
    ]
    assert [line for line in lines if not line.startswith("@@")] == case["changes"]
    assert _sent(text, case["request"]) == case["before"]
    assert _sent(after, case["request"]) == case["after"]
    if "healthy" in case:
        assert [_healthy(text, case["request"]), _healthy(after, case["request"])] == case["healthy"]
    known = {each.code for each in check(before).findings}
    left = check(manifests(after))
    assert {each.code for each in left.findings} <= known
    assert not {each.fingerprint for each in made.fixed} & {each.fingerprint for each in left.findings}
    again = fix(manifests(after), {FILE: after}, check)
    assert not again.texts
    assert not again.fixed
    assert made.outcome == left


def _healthy(text: str, url: str) -> object:
    hop = trace(from_manifests(manifests(text), Options(())), Request.of(url)).hop("target group")
    return hop.data["healthy"] if hop else None


def _sent(text: str, url: str) -> str:
    ending = trace(from_manifests(manifests(text), Options(())), Request.of(url)).ending
    return ending.backend or f"{ending.status} {ending.by}{f' {ending.location}' if ending.location else ''}"


def test_what_is_in_no_file_of_the_user_is_not_fixed() -> None:
    text = CASES[0]["manifests"]
    assert not fix(manifests(text), {}, check).fixed


def test_every_document_of_a_file_and_every_item_of_a_list_is_fixed() -> None:
    documents = [each.manifest for each in read(CASES[0]["manifests"], FILE).documents]
    text = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": documents})
    made = fix(manifests(text), {FILE: text}, check)
    assert [each.code for each in made.fixed] == ["LG5001"]
    assert yaml.safe_load(made.texts[FILE])["items"][0]["spec"]["servers"][0]["hosts"] == ["*"]


def test_each_code_with_a_fix_has_a_row() -> None:
    every = [
        case["manifests"] for file in FOLDER.parent.glob("check/*.yaml") for case in yaml.safe_load(file.read_text())
    ]
    edges = [from_manifests(manifests(text), Options(())) for text in every]
    faults = (fault for edge in edges for analyzer in ANALYZERS for fault in analyzer.analyze(edge))
    assert {fault.code.id for fault in faults if fault.edits} <= {code for case in CASES for code in case["fixes"]}


def test_of_two_definitions_the_one_that_counts_is_fixed() -> None:
    """The second one is refused, so the first one is in the edge."""
    refused = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: edge, namespace: istio-system}\n"
    text = f"{CASES[0]['manifests']}---\n{refused}spec: {{servers: [{{hosts: [shop.example]}}]}}\n"
    made = fix(manifests(text), {FILE: text}, check)
    assert [each.code for each in made.fixed] == ["LG5001"]
    assert made.texts[FILE].endswith("hosts: [shop.example]}]}\n")
    assert made.texts[FILE].count('"*"') == 1
