"""What kubectl's client-side apply has made is taken over, with its fields."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from lockgate.deploy.planning.adopting import LAST_APPLIED, handed_over, handover
from lockgate.deploy.planning.objects import field_changes
from lockgate.resources.model import JsonObject

KUBECTL = "kubectl-client-side-apply"
ANNOTATED: Final[JsonObject] = {"f:metadata": {"f:annotations": {f"f:{LAST_APPLIED}": {}}}}


def entry(manager: str, operation: str, fields: JsonObject, **more: str) -> JsonObject:
    return {"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields, **more}


def obj(*entries: JsonObject, **more: Any) -> JsonObject:
    return {"metadata": {"resourceVersion": "7", "managedFields": list(entries)}, **more}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([entry("lockgate", "Apply", {"f:a": {}})], None),
        ([entry("helm", "Update", {"f:a": {}})], None),
        ([entry(KUBECTL, "Update", {"f:a": {}}, subresource="status")], None),
        ([entry(KUBECTL, "Update", {"f:a": {}})], [entry("lockgate", "Apply", {"f:a": {}})]),
        ([entry("ours-too", "Update", ANNOTATED)], [entry("lockgate", "Apply", ANNOTATED)]),  # --field-manager
        (
            [entry("helm", "Update", {"f:c": {}}), entry(KUBECTL, "Update", {"f:a": {}, "f:m": {"f:x": {}}}),
             entry("lockgate", "Apply", {"f:b": {}, "f:m": {}})],
            [entry("helm", "Update", {"f:c": {}}),
             entry("lockgate", "Apply", {"f:a": {}, "f:b": {}, "f:m": {".": {}, "f:x": {}}})],
        ),
        (
            [entry(KUBECTL, "Update", {"f:a": {}}, apiVersion="v1beta1"), entry("lockgate", "Apply", {"f:b": {}})],
            [entry("lockgate", "Apply", {"f:b": {}})],
        ),
    ],
)  # fmt: skip
def test_entries_of_kubectl_become_ours(before: list[JsonObject], after: list[JsonObject] | None) -> None:
    patch = handover(obj(*before))
    if after is None:
        assert patch is None
        return
    assert patch is not None
    assert {each["path"]: each["value"] for each in patch} == {
        "/metadata/managedFields": after,
        "/metadata/resourceVersion": "7",
    }


ITEM: Final[JsonObject] = {".": {}, "f:n": {}}


@pytest.mark.parametrize(
    ("theirs", "others", "spec", "left"),
    [
        ({"f:a": {}, "f:b": {}}, {"f:a": {}}, {"a": 1, "b": 2, "c": 3}, {"a": 1, "c": 3}),
        ({"f:m": {"f:x": {}}}, {}, {"m": {"x": 1, "y": 2}}, {"m": {"y": 2}}),
        ({"f:m": {".": {}, "f:x": {}}}, {"f:m": {"f:y": {}}}, {"m": {"x": 1, "y": 2}}, {"m": {"y": 2}}),
        ({"f:l": {'k:{"n":1}': ITEM, 'k:{"n":2}': ITEM}}, {"f:l": {'k:{"n":2}': ITEM}},
         {"l": [{"n": 1, "default": 0}, {"n": 2}]}, {"l": [{"n": 2}]}),
        ({"f:l": {'k:{"n":1}': {"f:t": {}}}}, {"f:l": {'k:{"n":1}': ITEM}}, {"l": [{"n": 1, "t": 1}]},
         {"l": [{"n": 1}]}),
        ({"f:s": {'v:"a"': {}, 'v:"b"': {}}}, {"f:s": {'v:"b"': {}}}, {"s": ["a", "b"]}, {"s": ["b"]}),
        ({"f:gone": {"f:x": {}}}, {}, {"a": 1}, {"a": 1}),
    ],
)  # fmt: skip
def test_only_what_nobody_else_has_goes(theirs: Any, others: Any, spec: JsonObject, left: JsonObject) -> None:
    entries = entry(KUBECTL, "Update", {"f:spec": theirs}), entry("lockgate", "Apply", {"f:spec": others})
    before = obj(*entries, spec=spec)
    before["metadata"]["annotations"] = {LAST_APPLIED: json.dumps({"spec": spec})}
    assert handed_over(before)["spec"] == left
    before["metadata"]["annotations"] = {LAST_APPLIED: json.dumps({"spec": {}})}  # all are defaults
    assert handed_over(before)["spec"] == spec


def test_the_annotation_of_a_secret_stays_hidden() -> None:
    before = {"metadata": {"annotations": {LAST_APPLIED: "b2xk"}}}
    assert "b2xk" not in repr(list(field_changes(before, {"metadata": {"annotations": {}}}, secret=True)))
