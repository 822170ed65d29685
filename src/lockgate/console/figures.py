"""Requests, errors and latencies of each node and link over the last minute. Times are whole Unix seconds.

A second's requests are one `Tally` for each node. The minute's are kept as a running sum: a new second is added, and
the one that is too old is subtracted, so that reading them costs what changed, not what there is. Latencies are counted
in buckets that grow by a seventh, so a quantile is off by no more than that.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil, log

WINDOW = 60  # s
KEPT = 900  # s of the whole edge's figures
_STEP = log(8 / 7)

Figures = tuple[float, float, float, int, int, float]
"""Requests per second, errors (5xx or no answer) and refusals (4xx) as shares, p50 and p99 in milliseconds, and the
share of errors that arose here: other nodes only pass them on."""


Second = tuple[int, int, int, int, int]
"""A second's number, and its requests, errors, p50 and p99 of the whole edge."""


@dataclass(slots=True)
class Tally:
    requests: int = 0
    errors: int = 0
    refused: int = 0
    arisen: int = 0
    buckets: Counter[int] = field(default_factory=Counter)

    def count(self, status: int, milliseconds: int | None, *, last: bool = False) -> None:
        """`last` is whether the request got no further."""
        failed = status >= 500 or status == 0
        self.requests += 1
        self.errors += failed
        self.arisen += failed and last
        self.refused += 400 <= status < 500
        if milliseconds is not None:
            self.buckets[bucket(milliseconds)] += 1

    def add(self, other: Tally, sign: int = 1) -> None:
        self.requests += sign * other.requests
        self.errors += sign * other.errors
        self.refused += sign * other.refused
        self.arisen += sign * other.arisen
        for number, count in other.buckets.items():
            self.buckets[number] += sign * count
            if not self.buckets[number]:
                del self.buckets[number]

    def quantile(self, share: float) -> int:
        """In milliseconds."""
        rest = ceil(sum(self.buckets.values()) * share)
        for number in sorted(self.buckets):
            rest -= self.buckets[number]
            if rest <= 0:
                return milliseconds_of(number)
        return 0


def bucket(milliseconds: int) -> int:
    return ceil(log(milliseconds) / _STEP) if milliseconds > 1 else 0


def milliseconds_of(number: int) -> int:
    """The upper bound of a bucket."""
    return round((8 / 7) ** number)


class Window:
    """`ALL` is the whole edge."""

    ALL = ""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, dict[str, Tally]]] = deque()
        self._sum: dict[str, Tally] = {}
        self._totals: Counter[str] = Counter()
        self.series: deque[Second] = deque(maxlen=KEPT)  # the oldest first

    def count(
        self,
        second: int,
        status: int,
        milliseconds: int,
        passed: Iterable[tuple[str, int | None]],
        last: Collection[str] = (),
    ) -> None:
        """`passed` are the nodes and links, with the milliseconds that are known there, and `last` where it ended."""
        if not self._seconds or self._seconds[-1][0] < second:
            self.advance(second)
        now = self._seconds[-1][1]
        for name, taken in ((self.ALL, milliseconds), *passed):
            tally = now.get(name)
            if tally is None:
                tally = now[name] = Tally()
            tally.count(status, taken, last=name in last)
            self._totals[name] += 1

    def advance(self, second: int) -> None:
        """Time goes on: closes the seconds before, and forgets those that are too old."""
        if not self._seconds:
            self._seconds.append((second, {}))
        while self._seconds[-1][0] < second:
            number, closed = self._seconds[-1]
            whole = closed.get(self.ALL, Tally())
            self.series.append((number, whole.requests, whole.errors, whole.quantile(0.5), whole.quantile(0.99)))
            for name, tally in closed.items():
                self._sum.setdefault(name, Tally()).add(tally)
            self._seconds.append((max(number + 1, second - WINDOW), {}))
        while self._seconds[0][0] <= second - WINDOW:
            _, old = self._seconds.popleft()
            for name, tally in old.items():
                self._sum[name].add(tally, -1)
                if not self._sum[name].requests:
                    del self._sum[name]

    def figures(self) -> Mapping[str, Figures]:
        """Over the closed seconds of the last minute, of those with a request in it."""
        seconds = max(len(self._seconds) - 1, 1)
        return {name: _figures(tally, seconds) for name, tally in self._sum.items()}

    def closed_since(self, second: int) -> list[Second]:
        """The seconds after this one that are over."""
        found: list[Second] = []
        for each in reversed(self.series):
            if each[0] <= second:
                break
            found.append(each)
        return found[::-1]

    def total(self, name: str) -> int:
        return self._totals[name]

    def keep(self, names: Iterable[str]) -> None:
        """Forget the totals of what is no longer there."""
        kept = {self.ALL, *names}
        for name in [each for each in self._totals if each not in kept]:
            del self._totals[name]


def _figures(tally: Tally, seconds: int) -> Figures:
    return (
        round(tally.requests / seconds, 2),
        round(tally.errors / tally.requests, 4),
        round(tally.refused / tally.requests, 4),
        tally.quantile(0.5),
        tally.quantile(0.99),
        round(tally.arisen / tally.requests, 4),
    )
