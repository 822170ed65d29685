"""`histogram_quantile` over classic histograms."""

from __future__ import annotations

import math
from bisect import bisect_left

from lockgate.metrics.promql.model import NAME, Row, Values, Vector
from lockgate.metrics.store import Labels


def histogram_quantile(quantiles: list[float], vector: Vector) -> Vector:
    groups: dict[Labels, list[tuple[float, Values]]] = {}
    for row in vector.rows:
        bound = _bound(dict(row.labels).get("le", ""))
        if bound is not None:
            groups.setdefault(row.without(NAME, "le"), []).append((bound, row.values))
    rows = []
    for labels, buckets in groups.items():
        buckets.sort(key=lambda bucket: bucket[0])
        values: Values = []
        for step, quantile in enumerate(quantiles):
            now = [(bound, value) for bound, counts in buckets if (value := counts[step]) is not None]
            values.append(_quantile(quantile, now) if now else None)
        rows.append(Row(labels, values))
    return Vector(rows)


def _bound(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _quantile(quantile: float, buckets: list[tuple[float, float]]) -> float:
    if math.isnan(quantile):
        return math.nan
    if quantile < 0 or quantile > 1:
        return math.copysign(math.inf, quantile)
    bounds, counts = _merged(buckets)
    if not math.isinf(bounds[-1]) or len(bounds) < 2 or not counts[-1] > 0:
        return math.nan
    rank = quantile * counts[-1]
    place = bisect_left(counts, rank, 0, len(counts) - 1)
    if place == len(bounds) - 1:
        return bounds[-2]
    if place == 0 and bounds[0] <= 0:
        return bounds[0]
    below = counts[place - 1] if place else 0.0
    start = bounds[place - 1] if place else 0.0
    inside = counts[place] - below
    return start + (bounds[place] - start) * ((rank - below) / inside) if inside else math.nan


def _merged(buckets: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Adds the counts of equal bounds, and raises counts that are lower than those of a smaller bound."""
    merged: dict[float, float] = {}
    for bound, count in buckets:
        merged[bound] = merged.get(bound, 0.0) + count
    counts: list[float] = []
    for count in merged.values():
        counts.append(max(count, counts[-1]) if counts else count)
    return list(merged), counts
