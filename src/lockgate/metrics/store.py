"""Time series in memory: samples in, series out.

All series are sampled at the same times. A series is its changes, (number of the sample time, value): while it does not
change it costs nothing, and it keeps its value. Series are grouped by label set, because the buckets of a histogram
have the same labels but for `le`.

A new series begins with a zero at the sample time before, because `rate` needs two samples: without it, a counter's
first increment would be lost.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

Labels: TypeAlias = tuple[tuple[str, str], ...]  # sorted by name, without empty values


class Name(NamedTuple):
    """A metric's name, and the upper bound of a histogram's bucket, or ""."""

    metric: str
    le: str = ""


Samples: TypeAlias = Mapping[Labels, Mapping[Name, float]]


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on one label."""

    name: str
    matches: Callable[[str], bool]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One series as it is now. Times are milliseconds."""

    name: str
    labels: Labels
    _times: array[int]
    _at: array[int]
    _values: array[float]
    _first: int  # the number of the first of `_times`

    def latest(self, after: int, until: int) -> float | None:
        """The newest value in (after, until]."""
        index = bisect_right(self._times, until) - 1
        if index < 0 or self._times[index] <= after:
            return None
        place = bisect_right(self._at, index + self._first) - 1
        return self._values[place] if place >= 0 else None

    def between(self, start: int, end: int) -> tuple[list[int], list[float]]:
        """All samples in [start, end]."""
        first = max(bisect_left(self._times, start), self._at[0] - self._first)
        last = bisect_right(self._times, end)
        times, values = list(self._times[first:last]), []
        place = bisect_right(self._at, first + self._first) - 1
        for number in range(first + self._first, last + self._first):
            if place + 1 < len(self._at) and self._at[place + 1] <= number:
                place += 1
            values.append(self._values[place])
        return times, values


class _Changes:
    __slots__ = ("at", "values")

    def __init__(self) -> None:
        self.at = array("I")
        self.values = array("d")


class Store:
    """Keeps `retention` seconds, or less if there are more than `max_changes` changes. Series beyond `max_series` are
    not kept; `dropped` counts them."""

    def __init__(self, *, retention: float = 3600.0, max_series: int = 20_000, max_changes: int = 600_000) -> None:
        self.retention = retention
        self._max_series = max_series
        self._max_changes = max_changes
        self._times = array("q")
        self._first = 0  # the number of the first of `_times`
        self._sets: dict[Labels, dict[Name, _Changes]] = {}
        self._series = 0
        self._changes = 0
        self.dropped = 0

    def __len__(self) -> int:
        return self._series

    def append(self, time: float, samples: Samples) -> None:
        """Adds a sample time, later than all others, with the values of the series that changed."""
        milliseconds = round(time * 1000)
        if self._times and milliseconds <= self._times[-1]:
            raise ValueError("sample times must increase")
        self._times.append(milliseconds)
        number = self._first + len(self._times) - 1
        for labels, values in samples.items():
            known = self._sets.get(labels)
            for name, value in values.items():
                changes = known.get(name) if known else None
                if changes is None:
                    if self._series >= self._max_series:
                        self.dropped += 1
                        continue
                    known = self._sets.setdefault(labels, {})
                    changes = known[name] = _Changes()
                    self._series += 1
                    if number > self._first:
                        self._change(changes, number - 1, 0.0)
                elif changes.values[-1] == value:
                    continue
                self._change(changes, number, value)
        self._forget()

    def select(self, matchers: Sequence[Matcher]) -> Iterator[Series]:
        """The series that match. ``__name__`` is the metric's name; a label that a series lacks is ""."""
        own = [each for each in matchers if each.name not in ("__name__", "le")]
        by_name = [each.matches for each in matchers if each.name == "__name__"]
        by_bound = [each.matches for each in matchers if each.name == "le"]
        for labels, known in self._sets.items():
            found = dict(labels)
            if not all(each.matches(found.get(each.name, "")) for each in own):
                continue
            for name, changes in known.items():
                if all(matches(name.metric) for matches in by_name) and all(matches(name.le) for matches in by_bound):
                    full = labels_of((*labels, ("le", name.le))) if name.le else labels
                    yield Series(name.metric, full, self._times, changes.at, changes.values, self._first)

    def values(self, label: str) -> list[str]:
        """The values of a label, sorted. That of ``__name__`` are the metrics' names."""
        if label == "__name__":
            found = {name.metric for known in self._sets.values() for name in known}
        elif label == "le":
            found = {name.le for known in self._sets.values() for name in known if name.le}
        else:
            found = {value for labels in self._sets for name, value in labels if name == label}
        return sorted(found)

    @property
    def span(self) -> float:
        """Seconds between the first and the last sample time."""
        return (self._times[-1] - self._times[0]) / 1000 if self._times else 0.0

    def _change(self, changes: _Changes, number: int, value: float) -> None:
        changes.at.append(number)
        changes.values.append(value)
        self._changes += 1

    def _forget(self) -> None:
        """Forgets old sample times, a tenth of the retention at once."""
        oldest = self._times[-1] - round(self.retention * 1000)
        if self._changes > self._max_changes:
            old = len(self._times) // 10
        elif self._times[0] < oldest - round(self.retention * 100):
            old = bisect_left(self._times, oldest)
        else:
            return
        del self._times[:old]
        self._first += old
        for known in self._sets.values():
            for changes in known.values():
                # The last change before the first time kept is the value at that time.
                stale = max(bisect_right(changes.at, self._first) - 1, 0)
                del changes.at[:stale], changes.values[:stale]
                changes.at[0] = max(changes.at[0], self._first)
                self._changes -= stale


def labels_of(pairs: Iterable[tuple[str, str]]) -> Labels:
    return tuple(sorted((name, value) for name, value in pairs if value))
