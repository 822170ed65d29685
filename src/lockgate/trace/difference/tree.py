"""Splits a cell until two edges decide the same way about all of its requests, and merges what was split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from lockgate.trace.difference.conditions import Formula, Test
from lockgate.trace.difference.space import Cell, Space

MOST_CELLS = 20_000

Taken = TypeVar("Taken")
Decided = TypeVar("Decided")


@dataclass(frozen=True, slots=True)
class Branch(Generic[Taken]):
    """What is taken if a condition holds and no earlier branch's does."""

    condition: Formula
    taken: Taken


@dataclass(frozen=True, slots=True)
class Split:
    """The test that decides."""

    test: Test


def first(space: Space, branches: Sequence[Branch[Taken]], cell: Cell) -> Taken | Split:
    """What the first branch that holds takes. The last branch always holds."""
    for each in branches:
        found = space.verdict(each.condition, cell)
        if isinstance(found, Test):
            return Split(found)
        if found:
            return each.taken
    raise AssertionError("the last branch has no condition")


def leaves(
    space: Space, cell: Cell, decide: Callable[[Cell], Decided | Split], most: int = MOST_CELLS
) -> Iterator[tuple[Cell, Decided | None]]:
    """Cells that cover `cell`, each with what is decided for all of its requests; None for what is left after `most`
    of them."""
    waiting = [cell]
    count = 0
    while waiting:
        cell = waiting.pop()
        if count >= most:
            yield cell, None
            continue
        decided = decide(cell)
        if isinstance(decided, Split):
            holds, others = space.split(cell, decided.test)
            waiting += (others, holds)
        else:
            count += 1
            yield cell, decided


def merged(cells: Sequence[Cell]) -> list[Cell]:
    """The same requests in fewer cells: two that differ in one part become one."""
    cells = list(dict.fromkeys(cells))
    dimensions = len(cells[0]) if cells else 0
    changed = True
    while changed and len(cells) > 1:
        changed = False
        for dimension in range(dimensions):
            joined: dict[Cell, int] = {}
            for cell in cells:
                rest = (*cell[:dimension], 0, *cell[dimension + 1 :])
                joined[rest] = joined.get(rest, 0) | cell[dimension]
            if len(joined) < len(cells):
                changed = True
                cells = [(*rest[:dimension], mask, *rest[dimension + 1 :]) for rest, mask in joined.items()]
    return cells
