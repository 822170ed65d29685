"""Queries by table. `test_promql_judge` compares the same engine with Prometheus."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from lockgate.metrics.promql import QueryError, Steps, evaluate
from lockgate.metrics.promql.model import Row, Vector
from lockgate.metrics.store import Labels, Name, Store, labels_of

TABLE = yaml.safe_load((Path(__file__).parents[1] / "cases/metrics/promql.yaml").read_text())
_PAIR = re.compile(r'(\w+)="([^"]*)"')


def _store() -> Store:
    store = Store()
    known = {text: _named(text) for text in TABLE["series"]}
    for number in range(9):
        samples: dict[Labels, dict[Name, float]] = {}
        for text, (labels, name) in known.items():
            value = TABLE["series"][text][number]
            if value != "_":
                samples.setdefault(labels, {})[name] = float(value)
        store.append(number * 15.0, samples)
    return store


def _named(text: str) -> tuple[Labels, Name]:
    labels = dict(_PAIR.findall(text))
    name = Name(text.partition("{")[0], labels.pop("le", ""))
    return labels_of(labels.items()), name


STORE = _store()


def _rows(query: str, steps: Steps) -> list[Row]:
    found = evaluate(query, STORE, steps).value
    assert isinstance(found, Vector)
    return sorted(found.rows, key=lambda row: row.labels)


def _labels(row: Row) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in row.labels) + "}"


def _value(value: float) -> str:
    return "NaN" if math.isnan(value) else f"{value:g}"


@pytest.mark.parametrize("row", TABLE["queries"], ids=lambda row: row["query"])
def test_an_instant_query(row: dict[str, Any]) -> None:
    if "error" in row:
        with pytest.raises(QueryError) as raised:
            evaluate(row["query"], STORE, Steps.at(120))
        assert row["error"] in str(raised.value)
        return
    rows = [(each, each.values[0]) for each in _rows(row["query"], Steps.at(120))]
    assert [f"{_labels(each)} {_value(value)}" for each, value in rows if value is not None] == row["result"]


@pytest.mark.parametrize("row", TABLE["ranges"], ids=lambda row: row["query"])
def test_a_range_query(row: dict[str, Any]) -> None:
    steps = Steps.over(0, 120, 60)
    found = []
    for each in _rows(row["query"], steps):
        points = [
            f"[{time // 1000}, {_value(value)}]"
            for time, value in zip(steps, each.values, strict=True)
            if value is not None
        ]
        found.append(" ".join((_labels(each), *points)))
    assert found == row["result"]


@pytest.mark.parametrize(
    ("query", "error"),
    [("(" * 101 + "1" + ")" * 101, "nests deeper than 100 levels"), ("1" * 70_000, "has 70000 characters")],
    ids=["deep", "long"],
)
def test_a_query_has_limits(query: str, error: str) -> None:
    with pytest.raises(QueryError, match=error):
        evaluate(query, STORE, Steps.at(0))


@pytest.mark.parametrize(
    ("start", "end", "step", "error"),
    [(0, 10, 0, "step must be"), (10, 0, 1, "end must not"), (0, 20_000, 1, "more than 11000 points")],
)
def test_a_range_has_limits(start: float, end: float, step: float, error: str) -> None:
    with pytest.raises(QueryError, match=error):
        Steps.over(start, end, step)
