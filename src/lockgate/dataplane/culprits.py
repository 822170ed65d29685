"""Finds the pieces of a rejected resource that are at fault. Envoy names neither them nor their number.

A resource made of the first n pieces is accepted up to some n and rejected beyond. Bisection finds that piece: fourteen
trials for ten thousand routes. The search repeats without it, until the rest is accepted. If two pieces conflict, such
as two virtual hosts with one name, the later one is at fault.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Set
from typing import Final

from lockgate.xds.snapshot import Entry, Piece

MOST: Final = 20  # faulty pieces in one resource; with more, the cause is something else

Refusal = Callable[[bytes], Awaitable[str | None]]
"""Envoy's error for a serialised resource; None if it accepts the resource."""


async def culprits(entry: Entry, refusal: Refusal) -> list[tuple[Piece, str]]:
    """The pieces to leave out, each with Envoy's reason. Empty if the pieces are not at fault."""
    assert entry.pieces is not None
    pieces = entry.pieces

    async def why_not(kept: Set[int]) -> str | None:
        body = pieces.body(kept)
        return None if body is None else await refusal(body)

    every = pieces.all()
    found: list[tuple[Piece, str]] = []
    good: set[int] = set()
    rest = list(range(len(every)))
    reason = await why_not(set(rest))
    if reason is not None and await why_not(set()) is not None:
        return []
    while reason is not None:
        if len(found) == MOST:
            return []
        low, high = 0, len(rest)
        while high - low > 1:
            middle = (low + high) // 2
            because = await why_not(good | set(rest[:middle]))
            if because is None:
                low = middle
            else:
                high, reason = middle, because
        found.append((every[rest[low]], reason))
        good |= set(rest[:low])
        rest = rest[high:]
        reason = await why_not(good | set(rest))
    return found
