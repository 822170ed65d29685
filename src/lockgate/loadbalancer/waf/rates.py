"""Request counts of rate-based statements.

AWS evaluates rates every few seconds and lets a burst through until then. Here every request counts immediately.

Source: AWS WAF Developer Guide, "Rate-based rule statement".
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Final

SLICES: Final = 60  # of a window, which advances by one slice
MOST: Final = 10_000  # keys that are kept, as many as AWS limits at a time ("Rate-based rule caveats")


@dataclass(frozen=True, slots=True)
class RateKey:
    """An aggregation instance: one set of values of the keys that a statement counts by."""

    rule: str
    limit: int
    window: int
    values: tuple[bytes, ...]


class Rates:
    """Counts by key. `now` is in seconds and never decreases. Clients control the keys, so only the most recent ones
    are kept.
    """

    def __init__(self) -> None:
        # (slice, requests in it), oldest first. The most recent key is last.
        self._counts: OrderedDict[RateKey, deque[tuple[int, int]]] = OrderedDict()

    def count(self, key: RateKey, now: float) -> int:
        """The number of requests counted in the window that ends now."""
        slices = self._counts.get(key)
        if slices is None:
            return 0
        while slices and slices[0][0] <= _slice(key, now) - SLICES:
            slices.popleft()
        if not slices:
            del self._counts[key]
        return sum(number for _, number in slices)

    def add(self, key: RateKey, now: float) -> None:
        slices, here = self._counts.setdefault(key, deque()), _slice(key, now)
        number = slices.pop()[1] if slices and slices[-1][0] == here else 0
        slices.append((here, number + 1))
        self._counts.move_to_end(key)
        if len(self._counts) > MOST:
            self._counts.popitem(last=False)


def _slice(key: RateKey, now: float) -> int:
    return int(now * SLICES / key.window)
