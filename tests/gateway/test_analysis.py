"""Faults between resources: every row of `tests/cases/gateway/analysis`."""

from __future__ import annotations

import pytest
from gateway_cases import Case, load, load_objects, sources, the_pod

from lockgate.gateway.analysis import analyse
from lockgate.gateway.workload import workload
from lockgate.resources.faults import Origin


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in load("analysis/faults.yaml")])
def test_row(case: Case) -> None:
    objects = load_objects(case.manifests)
    found = analyse(sources(objects), [workload(the_pod(objects), [])], mesh=case.mesh)
    assert sorted(f"{fault.code.id} {fault.subject}" for fault in found) == sorted(case.expected)


def test_a_fault_stands_where_the_field_is() -> None:
    case = load("analysis/faults.yaml")[0]
    objects = load_objects(case.manifests)
    found = analyse(sources(objects), [workload(the_pod(objects), [])])
    origins = [fault.origin for fault in found if isinstance(fault.origin, Origin)]
    places = {f"{origin}: {'.'.join(map(str, origin.path))}" for origin in origins}
    assert places == {"Gateway default/g: spec.selector", "VirtualService default/v: spec.gateways.2"}
