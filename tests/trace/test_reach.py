"""What no request can reach: `tests/cases/trace/reach.yaml`, and a property against the real matching."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from trace_cases import edge

from lockgate.loadbalancer.shadowing import glob_within
from lockgate.trace.table import tables

CASES = Path(__file__).parents[1] / "cases" / "trace"
patterns = st.text("ab*?", max_size=6)


@pytest.mark.parametrize("row", yaml.safe_load((CASES / "reach.yaml").read_text()), ids=lambda row: row["name"])
def test_what_no_request_can_reach(row: dict[str, Any]) -> None:
    found = {each.match: each.taken_by for table in tables(edge(row["change"])) for each in table.rows if each.taken_by}
    assert found == row["unreachable"]


@given(patterns, patterns, st.text("ab", max_size=6))
def test_a_pattern_within_another_matches_nothing_that_the_other_does_not(narrow: str, wide: str, text: str) -> None:
    if glob_within(narrow, wide) and fnmatchcase(text, narrow):
        assert fnmatchcase(text, wide)
