"""Walks a parsed query."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from lockgate.metrics.promql.aggregations import AGGREGATIONS, aggregated, extremes
from lockgate.metrics.promql.functions import FUNCTIONS
from lockgate.metrics.promql.model import (
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_SAMPLES,
    NAME,
    QueryError,
    Result,
    Row,
    Scalar,
    Steps,
    Text,
    Value,
    Values,
    Vector,
)
from lockgate.metrics.promql.operators import Matching, combined
from lockgate.metrics.promql.windows import WINDOWS, Window
from lockgate.metrics.store import Labels, Matcher, Series, Store, labels_of
from lockgate.resources.regexes import Mistake, compiled

LOOKBACK: Final = 300_000  # milliseconds that a sample counts

Ast = Any  # promql-parser's nodes


def evaluate(query: str, store: Store, steps: Steps) -> Result:
    """Raises `QueryError`."""
    return Result(steps, _Evaluation(store, steps).value(_parsed(query)))


def _parsed(query: str) -> Ast:
    import promql_parser  # 20 ms, only for edges that are asked

    if len(query) > MAX_LENGTH:
        raise QueryError(f"the query has {len(query)} characters; the limit is {MAX_LENGTH}")
    depth = deepest = 0
    for character in query:
        depth += (character in "({[") - (character in ")}]")
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise QueryError(f"the query nests deeper than {MAX_DEPTH} levels")
    try:
        return promql_parser.parse(query)
    except ValueError as error:
        raise QueryError(f"cannot parse the query: {error}") from None


class _Evaluation:
    def __init__(self, store: Store, steps: Steps) -> None:
        self._store = store
        self._steps = steps
        self._read = 0

    def value(self, node: Ast) -> Value:
        match type(node).__name__:
            case "NumberLiteral":
                return Scalar([node.val] * len(self._steps))
            case "StringLiteral":
                return Text(node.val)
            case "ParenExpr":
                return self.value(node.expr)
            case "UnaryExpr":
                return self._negated(self.value(node.expr))
            case "VectorSelector":
                return self._selected(node)
            case "AggregateExpr":
                return self._aggregated(node)
            case "BinaryExpr":
                return self._combined(node)
            case "Call":
                return self._called(node)
            case "MatrixSelector":
                raise QueryError("a range vector must be the argument of a function such as rate")
            case "SubqueryExpr":
                raise QueryError("subqueries are not supported by Lockgate")
            case other:
                raise QueryError(f"{other} is not supported by Lockgate")

    def vector(self, node: Ast) -> Vector:
        found = self.value(node)
        if not isinstance(found, Vector):
            raise QueryError(f"an instant vector is expected, not {_kind(found)}")
        return found

    def scalar(self, node: Ast) -> list[float]:
        found = self.value(node)
        if not isinstance(found, Scalar):
            raise QueryError(f"a number is expected, not {_kind(found)}")
        return found.values

    # --- selectors ---------------------------------------------------------------------------------------------

    def _series(self, node: Ast) -> tuple[list[Series], int]:
        """The series of a selector, and its offset in milliseconds."""
        if node.at is not None:
            raise QueryError("the @ modifier is not supported by Lockgate")
        if node.matchers.or_matchers:
            raise QueryError("`or` between matchers is not supported by Lockgate")
        matchers = [_matcher(each) for each in node.matchers.matchers]
        if node.name:
            name = node.name
            matchers.append(Matcher(NAME, lambda value: value == name))
        offset = round(node.offset.total_seconds() * 1000) if node.offset else 0
        return list(self._store.select(matchers)), offset

    def _selected(self, node: Ast) -> Vector:
        found, offset = self._series(node)
        self._count(len(found) * len(self._steps))
        rows = []
        for series in found:
            values = [series.latest(time - offset - LOOKBACK, time - offset) for time in self._steps]
            rows.append(Row(labels_of(((NAME, series.name), *series.labels)), values))
        return Vector(rows)

    def _windowed(self, name: str, node: Ast) -> Vector:
        apply, length = WINDOWS[name], round(node.range.total_seconds() * 1000)
        found, offset = self._series(node.vector_selector)
        return Vector([Row(series.labels, self._window(apply, series, length, offset)) for series in found])

    def _window(self, apply: Window, series: Series, length: int, offset: int) -> Values:
        steps, values = self._steps, Values()
        times, samples = series.between(steps.start - offset - length, steps.end - offset)
        self._count(len(times))
        first = last = 0
        for time in steps:
            start, end = time - offset - length, time - offset
            while first < len(times) and times[first] < start:
                first += 1
            while last < len(times) and times[last] <= end:
                last += 1
            self._count(last - first)
            values.append(apply(times[first:last], samples[first:last], start, end))
        return values

    def _count(self, samples: int) -> None:
        self._read += samples
        if self._read > MAX_SAMPLES:
            raise QueryError(f"the query reads more than {MAX_SAMPLES} samples", "execution")

    # --- operations --------------------------------------------------------------------------------------------

    def _negated(self, found: Value) -> Value:
        if isinstance(found, Scalar):
            return Scalar([-value for value in found.values])
        if isinstance(found, Vector):
            return Vector(
                [Row(row.without(NAME), [None if one is None else -one for one in row.values]) for row in found.rows]
            )
        raise QueryError("a string has no negative")

    def _combined(self, node: Ast) -> Value:
        modifier, matching, as_bool = node.modifier, Matching(), False
        if modifier is not None:
            as_bool = modifier.return_bool
            if modifier.group_labels is not None or str(modifier.card).rpartition(".")[2] in ("ManyToOne", "OneToMany"):
                raise QueryError("group_left and group_right are not supported by Lockgate")
            if modifier.matching is not None:
                excluded = str(modifier.matching.type).endswith("Exclude")
                matching = Matching(tuple(modifier.matching.labels), excluded)
        left, right = self.value(node.lhs), self.value(node.rhs)
        return combined(str(node.op), left, right, matching, as_bool=as_bool)

    def _aggregated(self, node: Ast) -> Vector:
        name, rows = str(node.op), self.vector(node.expr).rows
        groups: dict[Labels, list[Row]] = {}
        labels_in = _grouping(node.modifier)
        for row in rows:
            groups.setdefault(labels_in(row), []).append(row)
        if name in ("topk", "bottomk"):
            return extremes(self.scalar(node.param), groups, largest=name == "topk")
        if name not in AGGREGATIONS:
            raise QueryError(f"aggregation {name} is not supported by Lockgate")
        return aggregated(name, groups, len(self._steps))

    def _called(self, node: Ast) -> Value:
        name = node.func.name
        if name in WINDOWS:
            (argument,) = node.args
            while type(argument).__name__ == "ParenExpr":
                argument = argument.expr
            if type(argument).__name__ != "MatrixSelector":
                raise QueryError("subqueries are not supported by Lockgate")
            return self._windowed(name, argument)
        if name not in FUNCTIONS:
            raise QueryError(f"function {name} is not supported by Lockgate")
        return FUNCTIONS[name](self._steps, *(self.value(argument) for argument in node.args))


def _grouping(modifier: Ast) -> Callable[[Row], Labels]:
    if modifier is None:
        return lambda row: ()
    names = list(modifier.labels)
    if str(modifier.type).endswith("Without"):
        return lambda row: row.without(NAME, *names)
    return lambda row: row.only(names)


def _matcher(node: Ast) -> Matcher:
    value: str = node.value
    match str(node.op).rpartition(".")[2]:
        case "Equal":
            return Matcher(node.name, lambda found: found == value)
        case "NotEqual":
            return Matcher(node.name, lambda found: found != value)
        case operation:
            matches = _regex(value)
            if operation == "Re":
                return Matcher(node.name, matches)
            return Matcher(node.name, lambda found: not matches(found))


def _regex(pattern: str) -> Callable[[str], bool]:
    try:
        program = compiled(pattern, latin1=False)
    except Mistake as mistake:
        raise QueryError(f"invalid regular expression {pattern!r}: {mistake}") from None
    known: dict[str, bool] = {}

    def matches(text: str) -> bool:
        if text not in known:
            known[text] = program.fullmatch(text.encode()) is not None
        return known[text]

    return matches


def _kind(value: Value) -> str:
    return {Vector: "an instant vector", Scalar: "a number", Text: "a string"}[type(value)]
