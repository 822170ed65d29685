"""`tests/cases/resources/defaults.yaml`: what is stored of what was written."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from lockgate.resources import kinds as _kinds  # noqa: F401  # registers them
from lockgate.resources.defaults import with_defaults
from lockgate.resources.model import kinds
from lockgate.resources.validation import validate
from tests.resources.cases import rows


@pytest.mark.parametrize("row", rows("defaults.yaml"))
def test_defaults(row: dict[str, Any]) -> None:
    manifest = row["manifest"]
    before = copy.deepcopy(manifest)
    stored = with_defaults(manifest)
    assert manifest == before
    for field, value in row["stored"].items():
        assert stored[field] == value
    assert not set(row.get("absent", ())) & set(stored)
    assert with_defaults(stored) == stored
    assert {field for field in manifest if field not in row.get("absent", ())} <= set(stored)
    if manifest["kind"] == "Service":
        faults = {fault.field for fault in validate(kinds()[("", "Service")], stored)}
        assert faults <= {"spec.ports", "spec.ports[0].name", "spec.ports[1].name"}


def test_an_unknown_kind_is_left_alone() -> None:
    manifest = {"apiVersion": "a.example/v1", "kind": "Thing", "metadata": {"name": "a"}}
    assert with_defaults(manifest) is manifest
