"""The tables of `tests/cases/loadbalancer/ingress`, row by row."""

from __future__ import annotations

import pytest
from ingress_cases import Row, load

from lockgate.loadbalancer.annotations import REGISTRY
from lockgate.loadbalancer.annotations_spec import Merge
from lockgate.loadbalancer.ingress.findings import spec_of
from lockgate.resources.elbv2 import IngressClassParamsSpec

ANNOTATIONS = (
    "annotations_frontend",
    "annotations_group",
    "annotations_listeners",
    "annotations_targets",
    "annotations_rules",
)
TABLES = (*ANNOTATIONS, "ownership", "rules", "actions", "conditions", "subnets", "flags", "class_params")


@pytest.mark.parametrize("row", load(*TABLES), ids=lambda row: row.name)
def test_row(row: Row) -> None:
    row.check()


def test_every_annotation_has_its_rows() -> None:
    """One that is taken, one that is refused where it can be, one in a group where members combine it."""
    taken: set[str] = set()
    refused: set[str] = set()
    grouped: set[str] = set()
    for row in load(*ANNOTATIONS):
        if "group" in row.data:
            taken.add("group.name")
        sets = [*row.data.get("group", ()), row.data.get("ingress", {}), row.data.get("service", {})]
        for name in {key for written in sets for key in written}:
            spec = spec_of(name)
            if spec is None:
                assert row.data["findings"] == ["LG1101"], name
                continue
            (refused if "refused" in row.data else taken).add(spec.name)
            if "group" in row.data:
                grouped.add(spec.name)
    combined = {spec.name for spec in REGISTRY.values() if spec.merge in (Merge.SAME, Merge.SAME_PER_PORT, Merge.UNION)}
    checked = {
        spec.name
        for spec in REGISTRY.values()
        if spec.values or spec.type.name in ("bool", "int32", "int64", "stringMap")
    }
    left_out = {spec.name for spec in REGISTRY.values() if spec.limits and "frontend-nlb" in spec.name}
    unchecked = {"auth-on-unauthenticated-request", "create-acm-cert"}  # passed on; read as unset where it is malformed
    assert sorted(REGISTRY.keys() - taken) == []
    assert sorted(checked - refused - left_out - unchecked) == []
    assert sorted(combined - grouped - left_out) == []


def test_every_field_of_ingress_class_params_has_its_row() -> None:
    rows = {field for row in load("class_params") for field in row.data.get("params", {})}
    spec = IngressClassParamsSpec.model_fields
    assert {field.alias or name for name, field in spec.items()} == rows
