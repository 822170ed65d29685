"""Faults between resources: every row of `tests/cases/gateway/analysis`."""

from __future__ import annotations

import pytest
from gateway_cases import Case, load, load_objects, sources, the_pod

from lockgate.gateway.analysis import analyse
from lockgate.gateway.workload import workload
from lockgate.resources.finding import Position
from lockgate.resources.model import ObjectKey


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in load("analysis/faults.yaml")])
def test_row(case: Case) -> None:
    objects = load_objects(case.manifests)
    found = analyse(sources(objects), [workload(the_pod(objects), [])])
    assert sorted(f"{finding.code} {finding.subject}" for finding in found) == sorted(case.expected)


def test_a_finding_stands_where_the_field_is() -> None:
    case = load("analysis/faults.yaml")[0]
    objects = load_objects(case.manifests)

    def locate(key: ObjectKey, path: tuple[str | int, ...]) -> Position:
        return Position(f"{key}: {'.'.join(map(str, path))}", 7)

    found = analyse(sources(objects), [workload(the_pod(objects), [])], locate=locate)
    places = {finding.position.file for finding in found if finding.position}
    assert places == {"Gateway default/g: spec.selector", "VirtualService default/v: spec.gateways.2"}
