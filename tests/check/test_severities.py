"""What is wrong in a cluster counts, and what is only so on this machine, or in a file of another tool, does not."""

from __future__ import annotations

import pytest

from lockgate.check.findings import check, findings
from lockgate.edge.from_manifests import from_manifests
from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.resources.codes import reading
from lockgate.resources.faults import Severity
from lockgate.resources.reader import read


@pytest.mark.parametrize(
    ("file", "text", "code", "severity"),
    [
        ("package.json", '{"name": "web", "version": "1.0.0"}', "LG0006", Severity.INFO),
        ("chart/values.yaml", "image: web", "LG0006", Severity.INFO),
        ("web.yaml", "metadata: {name: web}", "LG0006", Severity.WARNING),
        ("web.yaml", "name: web", "LG0006", Severity.WARNING),
        (
            "scaler.yaml",
            "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: a}\n"
            "spec: {maxReplicas: 2, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: a}}",
            "LG0009",
            Severity.INFO,
        ),
        ("cron.yaml", "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: A_b}\n", "LG0103", Severity.ERROR),
    ],
)
def test_severity(file: str, text: str, code: str, severity: Severity) -> None:
    reading = read(text, file)
    manifests = Manifests(reading.documents, reading.faults, (file,), frozenset(), {})
    found = check(from_manifests(manifests, Options(())), manifests.positions())
    assert {each.code: each.severity for each in found}.get(code) is severity, [str(each.diagnostic) for each in found]
    assert all(each.severity is each.diagnostic.severity for each in found)


def test_many_files_of_other_tools_are_told_as_one() -> None:
    found = findings([reading.MORE_OTHER_FILES.at(None, count="12")], lambda origin: None)
    assert [(each.code, each.severity) for each in found] == [("LG0006", Severity.INFO)]
