"""The tables of `tests/cases/ingress`, row by row."""

from __future__ import annotations

import pytest
import yaml
from ingress_cases import CASES, Row, load

from lockgate.ingress.annotations.registry import REGISTRY
from lockgate.ingress.annotations.spec import Merge
from lockgate.ingress.faults import spec_of
from lockgate.resources import eks, elbv2

ANNOTATIONS = (
    "annotations_frontend",
    "annotations_group",
    "annotations_listeners",
    "annotations_targets",
    "annotations_rules",
    "as_the_controller",
)
TABLES = (*ANNOTATIONS, "ownership", "rules", "actions", "conditions", "subnets", "flags", "class_params", "auto_mode")


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
                assert row.data["faults"] == ["LG1101"], name
                continue
            (refused if "refused" in row.data else taken).add(spec.name)
            if "group" in row.data:
                grouped.add(spec.name)
    for other in (*load(*set(TABLES) - set(ANNOTATIONS)), *_refused_by_aws()):
        if "refused" in other.data:
            refused |= {spec.name for key in other.data.get("ingress", {}) if (spec := spec_of(key))}
    combined = {spec.name for spec in REGISTRY.values() if spec.merge in (Merge.SAME, Merge.SAME_PER_PORT, Merge.UNION)}
    assert sorted(REGISTRY.keys() - taken) == []
    assert sorted(REGISTRY.keys() - refused) == [
        "acm-pca-arn",  # ACM's to refuse
        "auth-on-unauthenticated-request",  # these three are passed on as they are; tests/cases/aws has ELBv2's answers
        "auth-scope",
        "auth-session-cookie",
        "dry-run-plan",  # never read
        "frontend-nlb-healthcheck-success-codes",  # passed on, as success-codes
    ]
    assert sorted(combined - grouped) == []


def _refused_by_aws() -> list[Row]:
    rows = yaml.safe_load((CASES.parent / "loadbalancer" / "refused_by_aws.yaml").read_text())
    return [Row("refused_by_aws", {"ingress": row["annotations"], "refused": row["refused"]}) for row in rows]


def test_every_field_of_ingress_class_params_has_its_row() -> None:
    rows = {field for row in load("class_params") for field in row.data.get("params", {})}
    spec = elbv2.IngressClassParamsSpec.model_fields
    assert {field.alias or name for name, field in spec.items()} == rows
    rows = {field for row in load("auto_mode") for field in row.data.get("auto", {})}
    assert {field.alias or name for name, field in eks.AutoIngressClassParamsSpec.model_fields.items()} == rows
