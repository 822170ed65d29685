"""Functions of the samples in a range: rate, increase, delta and irate.

Prometheus extrapolates a change to the ends of the range: as far as a sample could have been, at most a little more
than the average distance of two samples, and a counter not below zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final

Window = Callable[[list[int], list[float], int, int], float | None]  # samples, and the range in milliseconds


def rate(times: list[int], values: list[float], start: int, end: int) -> float | None:
    return _extrapolated(times, values, start, end, counter=True, seconds=(end - start) / 1000)


def increase(times: list[int], values: list[float], start: int, end: int) -> float | None:
    return _extrapolated(times, values, start, end, counter=True)


def delta(times: list[int], values: list[float], start: int, end: int) -> float | None:
    return _extrapolated(times, values, start, end, counter=False)


def irate(times: list[int], values: list[float], start: int, end: int) -> float | None:
    if len(times) < 2:
        return None
    before, last = values[-2:]
    return (last if last < before else last - before) / ((times[-1] - times[-2]) / 1000)


WINDOWS: Final[Mapping[str, Window]] = {"rate": rate, "increase": increase, "delta": delta, "irate": irate}


def _extrapolated(
    times: list[int], values: list[float], start: int, end: int, *, counter: bool, seconds: float = 1.0
) -> float | None:
    """The change over the whole range, divided by `seconds`. The order of operations is Prometheus', because Kiali
    rounds the result."""
    if len(times) < 2:
        return None
    change = values[-1] - values[0]
    if counter:
        change += sum(before for before, after in pairwise(values) if after < before)
    sampled = (times[-1] - times[0]) / 1000
    gap = sampled / (len(times) - 1)
    to_start, to_end = (times[0] - start) / 1000, (end - times[-1]) / 1000
    if counter and change > 0 and values[0] >= 0:
        to_start = min(to_start, sampled * (values[0] / change))
    whole = sampled
    for distance in (to_start, to_end):
        whole += distance if distance < gap * 1.1 else gap / 2
    return change * (whole / sampled / seconds)
