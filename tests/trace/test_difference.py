"""Which requests differ: `tests/cases/trace/difference.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from trace_cases import edge

from lockgate.trace.difference import difference, text

CASES = Path(__file__).parents[1] / "cases" / "trace" / "difference.yaml"


@pytest.mark.parametrize("row", yaml.safe_load(CASES.read_text()), ids=lambda row: row["name"])
def test_which_requests_differ(row: dict[str, Any]) -> None:
    found = difference(edge(row.get("old")), edge(row.get("new")))
    shown = text.as_json(found, lambda _: None, lambda _: None)
    assert [_short(each) for each in shown["classes"]] == row.get("differ", [])
    assert shown["undecided"] == row.get("undecided", [])
    assert shown["equal"] == (not row.get("differ") and not row.get("undecided"))


def _short(each: dict[str, Any]) -> dict[str, Any]:
    changes = {change["aspect"]: f"{change['old']} → {change['new']}" for change in each["changes"]}
    asked = f"{', '.join(each['ports'])} {each['requests']}"
    return {"requests": asked, "curl": each["witness"]["curl"].removeprefix("curl -i "), "changes": changes}
