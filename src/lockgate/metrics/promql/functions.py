"""Functions of values. Those of ranges are in `windows`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from lockgate.metrics.promql.histograms import histogram_quantile
from lockgate.metrics.promql.model import NAME, Row, Scalar, Steps, Text, Value, Vector
from lockgate.metrics.store import labels_of

Function = Callable[..., Value]


def _round(steps: Steps, vector: Vector, to: Scalar | None = None) -> Vector:
    """To the nearest multiple; halves go up. Prometheus divides by the inverse, which is more exact for 0.001."""
    inverses = [1.0 / each for each in to.values] if to else [1.0] * len(steps)

    def rounded(value: float | None, inverse: float) -> float | None:
        if value is None or not math.isfinite(value):
            return value
        return math.floor(value * inverse + 0.5) / inverse

    return Vector(
        [
            Row(
                row.without(NAME),
                [rounded(value, inverse) for value, inverse in zip(row.values, inverses, strict=True)],
            )
            for row in vector.rows
        ]
    )


def _quantile(_steps: Steps, quantile: Scalar, vector: Vector) -> Vector:
    return histogram_quantile(quantile.values, vector)


def _label_join(_steps: Steps, vector: Vector, target: Text, separator: Text, *sources: Text) -> Vector:
    rows = []
    for row in vector.rows:
        labels = dict(row.labels)
        labels[target.value] = separator.value.join(labels.get(source.value, "") for source in sources)
        rows.append(Row(labels_of(labels.items()), row.values))
    return Vector(rows)


def _sorted(descending: bool) -> Function:
    def sort(_steps: Steps, vector: Vector) -> Vector:
        """Only an instant query has an order; NaN comes last."""

        def rank(row: Row) -> tuple[bool, float]:
            value = row.values[0]
            if value is None or math.isnan(value):
                return True, 0.0
            return False, -value if descending else value

        return Vector(sorted(vector.rows, key=rank) if len(_steps) == 1 else vector.rows)

    return sort


def _vector(_steps: Steps, scalar: Scalar) -> Vector:
    return Vector([Row((), list(scalar.values))])


def _time(steps: Steps) -> Scalar:
    return Scalar([time / 1000 for time in steps])


FUNCTIONS: Final[Mapping[str, Function]] = {
    "round": _round,
    "histogram_quantile": _quantile,
    "label_join": _label_join,
    "sort": _sorted(descending=False),
    "sort_desc": _sorted(descending=True),
    "vector": _vector,
    "time": _time,
}
