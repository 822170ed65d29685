"""Which pieces of a rejected resource are at fault. Envoy names neither them nor how many there are.

A resource of the first n pieces is accepted up to some n and rejected beyond, so the piece at which that turns is
found by halving: fourteen questions for ten thousand routes. Without it the search goes on with the rest, until
everything that is left is accepted. Of two pieces that exclude each other, such as two virtual hosts with one name,
the later one is at fault.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Set
from typing import Final

from lockgate.xds.snapshot import Entry, Piece

MOST: Final = 20  # pieces at fault in one resource: with more, something else is wrong

Refusal = Callable[[bytes], Awaitable[str | None]]
"""What Envoy has against a resource's serialised form; None where it accepts it."""


async def culprits(entry: Entry, refusal: Refusal) -> list[tuple[Piece, str]]:
    """The pieces to leave out, each with Envoy's reason. None of them where the fault is not in the pieces."""
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
