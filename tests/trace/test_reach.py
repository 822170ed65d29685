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

from lockgate.gateway.compare import holds
from lockgate.gateway.model import Exact, Prefix, Regex, Suffix, TextMatch
from lockgate.gateway.shadowing import path_within, text_within
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


texts = st.text("ab/", max_size=4)
conditions: st.SearchStrategy[TextMatch] = st.one_of(
    st.builds(Exact, texts, st.booleans()),
    st.builds(Prefix, texts, st.booleans()),
    st.builds(Suffix, texts, st.booleans()),
    st.builds(Regex, st.sampled_from(("a.*", "[ab]+", ".*b", "(?i)A/?", "/.*", "a|b", "(", ".*"))),
)


@given(conditions, conditions, st.text("abAB/", max_size=5))
def test_a_condition_within_another_matches_nothing_that_the_other_does_not(
    narrow: TextMatch, wide: TextMatch, text: str
) -> None:
    if text_within(narrow, wide) and holds(narrow, text):
        assert holds(wide, text)
    if path_within(narrow, wide) and holds(narrow, f"/{text}"):
        assert holds(wide, f"/{text}")
