"""Aggregations: of many rows, one for each group."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping
from typing import Final

from lockgate.metrics.promql.model import Row, Vector
from lockgate.metrics.store import Labels


def _variance(values: list[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values) / len(values)


def _least(values: list[float]) -> float:
    return min((value for value in values if not math.isnan(value)), default=math.nan)


def _greatest(values: list[float]) -> float:
    return max((value for value in values if not math.isnan(value)), default=math.nan)


AGGREGATIONS: Final[Mapping[str, Callable[[list[float]], float]]] = {
    "sum": sum,
    "count": len,
    "min": _least,
    "max": _greatest,
    "avg": lambda values: sum(values) / len(values),
    "stddev": lambda values: math.sqrt(_variance(values)),
    "stdvar": _variance,
    "group": lambda values: 1.0,
}


def aggregated(name: str, groups: Mapping[Labels, list[Row]], steps: int) -> Vector:
    apply = AGGREGATIONS[name]
    rows = []
    for labels, members in groups.items():
        made = Row(labels, [None] * steps)
        for step in range(steps):
            found = [value for row in members if (value := row.values[step]) is not None]
            if found:
                made.values[step] = float(apply(found))
        rows.append(made)
    return Vector(rows)


def extremes(counts: list[float], groups: Mapping[Labels, list[Row]], *, largest: bool) -> Vector:
    """`topk` and `bottomk`: at each step the rows with the extreme values, in that order if there is one step."""
    rows = []
    for members in groups.values():
        kept = {id(row): Row(row.labels, [None] * len(counts)) for row in members}
        order: dict[int, None] = {}
        for step, count in enumerate(counts):
            present = [(value, row) for row in members if (value := row.values[step]) is not None]
            if not count >= 1:
                continue
            for value, row in heapq.nsmallest(
                int(min(count, len(present))), present, key=lambda one: _rank(one, largest)
            ):
                kept[id(row)].values[step] = value
                order[id(row)] = None
        rows += [kept[each] for each in order]
    return Vector(rows)


def _rank(one: tuple[float, Row], largest: bool) -> tuple[bool, float]:
    """NaN comes last."""
    value = one[0]
    return math.isnan(value), -value if largest else value
