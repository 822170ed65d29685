"""The layered layout, by a table and by properties: order, distances, and the same picture every time."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lockgate.console.layout import Layout, crossings, layout

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "console" / "layout.yaml").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_table(case: Mapping[str, Any]) -> None:
    column_of = {node: place for place, column in enumerate(case["columns"]) for node in column}
    links = [tuple(link.split()) for link in case["links"]]
    found = layout(column_of, links)
    assert order(found) == case["order"]
    after: dict[str, list[str]] = {}
    for source, target in links:
        after.setdefault(source, []).append(target)
    assert crossings(order(found), after) == case["crossings"]
    for line in case.get("level", ()):
        assert len({found.place[node][1] for node in line.split()}) == 1


def order(found: Layout) -> list[list[str]]:
    columns: list[list[str]] = [[] for _ in range(found.columns)]
    for node, (column, _) in sorted(found.place.items(), key=lambda item: item[1]):
        columns[column].append(node)
    return columns


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, int], list[tuple[str, str]]]:
    column_of = {f"n{number}": draw(st.integers(0, 5)) for number in range(draw(st.integers(0, 25)))}
    pairs = [(one, other) for one in column_of for other in column_of if column_of[one] < column_of[other]]
    return column_of, draw(st.lists(st.sampled_from(pairs), max_size=40)) if pairs else []


@given(graphs())
def test_nodes_of_a_column_keep_their_distance_and_the_picture_is_always_the_same(
    graph: tuple[dict[str, int], list[tuple[str, str]]],
) -> None:
    column_of, links = graph
    found = layout(column_of, links)
    assert found == layout(column_of, links)
    assert found.place.keys() == column_of.keys()
    for column in order(found):
        for one, other in pairwise(column):
            assert found.place[other][1] - found.place[one][1] >= 0.999
    assert all(0 <= height <= found.rows - 0.999 for _, height in found.place.values())


@given(graphs())
def test_a_link_bends_in_every_column_that_it_skips_and_not_in_a_node(
    graph: tuple[dict[str, int], list[tuple[str, str]]],
) -> None:
    column_of, links = graph
    found = layout(column_of, links)
    for (source, target), bends in found.bends.items():
        columns = [column for column, _ in bends]
        assert columns == list(range(found.place[source][0] + 1, found.place[target][0]))
        for column, height in bends:
            near = [at for other, at in found.place.values() if other == column]
            assert all(abs(height - each) > 0.5 for each in near)


@given(graphs())
def test_never_more_crossings_than_in_the_order_that_was_given(
    graph: tuple[dict[str, int], list[tuple[str, str]]],
) -> None:
    column_of, links = graph
    links = [link for link in links if _neighbours(column_of, link)]
    after: dict[str, list[str]] = {}
    for source, target in dict.fromkeys(links):
        after.setdefault(source, []).append(target)
    used = sorted(set(column_of.values()))
    before = [[node for node, column in column_of.items() if column == each] for each in used]
    assert crossings(order(layout(column_of, links)), after) <= crossings(before, after)


def _neighbours(column_of: Mapping[str, int], link: tuple[str, str]) -> bool:
    used = sorted(set(column_of.values()))
    return used.index(column_of[link[1]]) - used.index(column_of[link[0]]) == 1
