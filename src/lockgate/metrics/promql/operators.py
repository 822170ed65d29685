"""Operators between two values. Vectors match one to one, by all labels, or by those of `on` and `ignoring`."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from lockgate.metrics.promql.model import NAME, QueryError, Row, Scalar, Value, Values, Vector
from lockgate.metrics.store import Labels

Binary = Callable[[float, float], float]
Comparison = Callable[[float, float], bool]


def _divided(left: float, right: float) -> float:
    if right:
        return left / right
    if math.isnan(left) or math.isnan(right) or left == 0:
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def _remainder(left: float, right: float) -> float:
    return math.fmod(left, right) if right and not math.isinf(left) else math.nan


def _power(left: float, right: float) -> float:
    try:
        return math.pow(left, right)
    except (OverflowError, ValueError):
        if left < 0 and right != int(right):
            return math.nan
        return math.copysign(math.inf, left) if math.fmod(right, 2) else math.inf  # too large, or 0 to a negative power


ARITHMETIC: Final[Mapping[str, Binary]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divided,
    "%": _remainder,
    "^": _power,
}
COMPARISONS: Final[Mapping[str, Comparison]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
SETS: Final = ("and", "or", "unless")


@dataclass(frozen=True, slots=True)
class Matching:
    """The labels that identify a pair: `labels`, or all others if `excluded`."""

    labels: tuple[str, ...] = ()
    excluded: bool = True

    def of(self, row: Row) -> Labels:
        return row.without(NAME, *self.labels) if self.excluded else row.only(list(self.labels))


def combined(name: str, left: Value, right: Value, matching: Matching, *, as_bool: bool) -> Value:
    """The value of ``left name right``."""
    match left, right:
        case Vector(), Vector() if name in SETS:
            return Vector(_set(name, left.rows, right.rows, matching))
        case Vector(), Vector():
            return Vector(_paired(name, left.rows, right.rows, matching, as_bool))
        case Vector(), Scalar():
            apply = _operation(name, as_bool)
            return Vector([_row(name, row, row.values, right.values, row, apply, as_bool) for row in left.rows])
        case Scalar(), Vector():
            apply = _operation(name, as_bool)
            return Vector([_row(name, row, left.values, row.values, row, apply, as_bool) for row in right.rows])
        case Scalar(), Scalar():
            apply = _operation(name, True)
            found = [apply(one, other) for one, other in zip(left.values, right.values, strict=True)]
            return Scalar([math.nan if each is None else each for each in found])
        case _:
            raise QueryError(f"operator {name} is not defined for these operands")


def _operation(name: str, as_bool: bool) -> Callable[[float, float], float | None]:
    if name in ARITHMETIC:
        return ARITHMETIC[name]
    compare = COMPARISONS.get(name)
    if compare is None:
        raise QueryError(f"operator {name} is not supported by Lockgate")
    if as_bool:
        return lambda left, right: float(compare(left, right))
    return lambda left, right: left if compare(left, right) else None


def _row(
    name: str,
    row: Row,
    left: Values | list[float],
    right: Values | list[float],
    vector: Row,
    apply: Callable[[float, float], float | None],
    as_bool: bool,
) -> Row:
    """One row of a vector and a scalar. A comparison that filters keeps the vector's value and its name."""
    filters = name in COMPARISONS and not as_bool
    values: Values = []
    for place, (one, other) in enumerate(zip(left, right, strict=True)):
        if one is None or other is None:
            values.append(None)
        else:
            found = apply(one, other)
            values.append(vector.values[place] if filters and found is not None else found)
    return Row(row.labels if filters else row.without(NAME), values)


def _paired(name: str, left: list[Row], right: list[Row], matching: Matching, as_bool: bool) -> list[Row]:
    apply = _operation(name, as_bool)
    others = _by_labels(right, matching)
    filters = name in COMPARISONS and not as_bool
    rows = []
    for labels, row in _by_labels(left, matching).items():
        other = others.get(labels)
        if other is None:
            continue
        pairs = zip(row.values, other.values, strict=True)
        values = [None if one is None or two is None else apply(one, two) for one, two in pairs]
        kept = row.labels if filters else row.without(NAME)
        rows.append(Row(kept if matching.excluded and not matching.labels else labels, values))
    return rows


def _by_labels(rows: list[Row], matching: Matching) -> dict[Labels, Row]:
    found: dict[Labels, Row] = {}
    for row in rows:
        labels = matching.of(row)
        earlier = found.get(labels)
        if earlier is None:
            found[labels] = Row(row.labels, list(row.values))
            continue
        for place, value in enumerate(row.values):
            if value is not None and earlier.values[place] is not None:
                text = ", ".join(f'{name}="{each}"' for name, each in labels)
                raise QueryError(f"more than one series has the labels {{{text}}} on one side", "execution")
            if value is not None:
                earlier.values[place] = value
    return found


def _set(name: str, left: list[Row], right: list[Row], matching: Matching) -> list[Row]:
    there, here = _present(right, matching), _present(left, matching)
    if name == "or":
        return _joined([*left, *(_where(row, here.get(matching.of(row)), wanted=False) for row in right)])
    return [_where(row, there.get(matching.of(row)), wanted=name == "and") for row in left]


def _joined(rows: list[Row]) -> list[Row]:
    """One row for rows with the same labels, which have values at different steps."""
    found: dict[Labels, Row] = {}
    for row in rows:
        earlier = found.setdefault(row.labels, row)
        if earlier is not row:
            pairs = zip(earlier.values, row.values, strict=True)
            found[row.labels] = Row(row.labels, [other if one is None else one for one, other in pairs])
    return list(found.values())


def _present(rows: list[Row], matching: Matching) -> dict[Labels, list[bool]]:
    """The steps at which any row with these labels has a value."""
    found: dict[Labels, list[bool]] = {}
    for row in rows:
        seen = found.setdefault(matching.of(row), [False] * len(row.values))
        for place, value in enumerate(row.values):
            seen[place] = seen[place] or value is not None
    return found


def _where(row: Row, present: list[bool] | None, *, wanted: bool) -> Row:
    seen = present or [False] * len(row.values)
    return Row(row.labels, [value if has == wanted else None for value, has in zip(row.values, seen, strict=True)])
