"""Values of expressions, and the limits of a query."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from lockgate.metrics.store import Labels

MAX_POINTS: Final = 11_000  # steps of a range query, as in Prometheus
MAX_SAMPLES: Final = 5_000_000  # that one query may read
MAX_LENGTH: Final = 65_536  # of a query, in characters
MAX_DEPTH: Final = 100  # of parentheses, braces and brackets

NAME: Final = "__name__"

Values: TypeAlias = list[float | None]


class QueryError(ValueError):
    """`kind` is Prometheus' `errorType`."""

    def __init__(self, message: str, kind: Literal["bad_data", "execution"] = "bad_data") -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Steps:
    """The times of a query in milliseconds: `start`, every `step`, until `end`."""

    start: int
    end: int
    step: int

    @staticmethod
    def at(seconds: float) -> Steps:
        time = round(seconds * 1000)
        return Steps(time, time, 1)

    @staticmethod
    def over(start: float, end: float, step: float) -> Steps:
        """Raises `QueryError`."""
        if not step > 0:
            raise QueryError("step must be a positive number of seconds")
        if end < start:
            raise QueryError("end must not be before start")
        steps = Steps(round(start * 1000), round(end * 1000), max(round(step * 1000), 1))
        if len(steps) > MAX_POINTS:
            raise QueryError(f"more than {MAX_POINTS} points per series; use a larger step or a shorter range")
        return steps

    def __len__(self) -> int:
        return (self.end - self.start) // self.step + 1

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.end + 1, self.step))


@dataclass(slots=True)
class Row:
    """`labels` include ``__name__`` until an operation drops it."""

    labels: Labels
    values: Values

    def without(self, *names: str) -> Labels:
        return tuple(pair for pair in self.labels if pair[0] not in names)

    def only(self, names: list[str]) -> Labels:
        return tuple(pair for pair in self.labels if pair[0] in names)


@dataclass(slots=True)
class Vector:
    rows: list[Row]


@dataclass(slots=True)
class Scalar:
    values: list[float]


@dataclass(slots=True)
class Text:
    value: str


Value: TypeAlias = Vector | Scalar | Text


@dataclass(frozen=True, slots=True)
class Result:
    steps: Steps
    value: Value
