"""A layered drawing of a graph whose nodes have columns, after Sugiyama: few crossings, short and straight links.

Theory of operation. The columns are given, so the first of Sugiyama's steps, layering, is not needed. A link that skips
columns gets a bend in each of them, which is placed like a node but takes less room, so that no link runs through a
node. Then:

1. Order: each column is sorted by the barycenter of its neighbours in the column before, then by those after it, to and
   fro. The order with the fewest crossings that was seen is kept.
2. Height: each node wants the mean height of its neighbours. A column's wishes are met as closely as its order and the
   distances allow: where wishes collide, nodes form a block that moves to the mean of its wishes (the algorithm of pool
   adjacent violators, which is the least-squares answer).

The result is the same for the same input: nothing is random, and ties keep their order.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

_SWEEPS = 8
_MANY = 400  # nodes, beyond which sweeps are few: each costs what the links are
_BEND = 0.35  # of a node's room

Columns = list[list[str]]
Neighbours = Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class Layout:
    """`place` has the column and the height of each node, in rows. `bends` has the points between the ends of links
    that skip columns, by (source, target)."""

    place: Mapping[str, tuple[int, float]]
    bends: Mapping[tuple[str, str], tuple[tuple[int, float], ...]]
    rows: float

    @property
    def columns(self) -> int:
        return max((column for column, _ in self.place.values()), default=-1) + 1


def layout(column_of: Mapping[str, int], links: Iterable[tuple[str, str]]) -> Layout:
    """Links lead from a column to a later one. Columns without nodes take no room."""
    used = sorted(set(column_of.values()))
    columns: Columns = [[] for _ in used]
    for node, column in column_of.items():
        columns[used.index(column)].append(node)
    number = {node: place for place, column in enumerate(columns) for node in column}
    chains = {link: _chain(link, number, columns) for link in dict.fromkeys(links)}
    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    for chain in chains.values():
        for source, target in pairwise(chain):
            after.setdefault(source, []).append(target)
            before.setdefault(target, []).append(source)
    columns = _ordered(columns, before, after)
    heights = _heights(columns, before, after)
    place = {node: (number[node], heights[node]) for node in column_of}
    bends = {
        link: tuple((number[chain[0]] + step, heights[bend]) for step, bend in enumerate(chain[1:-1], 1))
        for link, chain in chains.items()
        if len(chain) > 2
    }
    return Layout(place, bends, max((height for height in heights.values()), default=-1.0) + 1)


def _chain(link: tuple[str, str], number: Mapping[str, int], columns: Columns) -> list[str]:
    """The link's ends, and its bends between them, which join their columns."""
    source, target = link
    chain = [source]
    for column in range(number[source] + 1, number[target]):
        bend = f"\0{source}\0{target}\0{column}"
        columns[column].append(bend)
        chain.append(bend)
    return [*chain, target]


# --- order -------------------------------------------------------------------------------------------------------


def _ordered(columns: Columns, before: Neighbours, after: Neighbours) -> Columns:
    best, fewest = columns, crossings(columns, after)
    current = [list(column) for column in columns]
    sweeps = _SWEEPS if sum(map(len, columns)) <= _MANY else 2
    for sweep in range(sweeps):
        if not fewest:
            break
        forward = sweep % 2 == 0
        places = range(1, len(current)) if forward else range(len(current) - 2, -1, -1)
        for place in places:
            fixed = {node: at for at, node in enumerate(current[place - 1 if forward else place + 1])}
            current[place] = _by_barycenter(current[place], before if forward else after, fixed)
        if (found := crossings(current, after)) < fewest:
            best, fewest = [list(column) for column in current], found
    return best


def _by_barycenter(column: list[str], neighbours: Neighbours, fixed: Mapping[str, int]) -> list[str]:
    """Sorted by the mean position of the neighbours. Nodes without any keep their place."""
    moved = sorted(
        (node for node in column if neighbours.get(node)),
        key=lambda node: sum(fixed[each] for each in neighbours[node]) / len(neighbours[node]),
    )
    turn = iter(moved)
    return [next(turn) if neighbours.get(node) else node for node in column]


def crossings(columns: Sequence[Sequence[str]], after: Neighbours) -> int:
    """How often links cross between neighbouring columns: inversions, counted by insertion."""
    count = 0
    for left, right in pairwise(columns):
        at = {node: place for place, node in enumerate(right)}
        ends = [at[target] for node in left for target in sorted(after.get(node, ()), key=at.__getitem__)]
        seen: list[int] = []
        for end in ends:
            count += len(seen) - bisect_right(seen, end)
            insort(seen, end)
    return count


# --- height ------------------------------------------------------------------------------------------------------


def _heights(columns: Columns, before: Neighbours, after: Neighbours) -> dict[str, float]:
    heights: dict[str, float] = {}
    for column in columns:
        heights.update(zip(column, _offsets(column), strict=True))
    tallest = max(columns, key=len, default=[])
    middle = (len(tallest) - 1) / 2
    for column in columns:  # centred, as long as nothing else is known
        shift = middle - (heights[column[-1]] + heights[column[0]]) / 2 if column else 0.0
        for node in column:
            heights[node] += shift
    for sweep in range(_SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            wishes = [_mean(node, (before, after), heights) for node in column]
            heights.update(zip(column, _placed(wishes, _offsets(column)), strict=True))
    least = min(heights.values(), default=0.0)
    return {node: round(height - least, 3) for node, height in heights.items()}


def _mean(node: str, sides: Iterable[Neighbours], heights: Mapping[str, float]) -> float:
    near = [heights[each] for side in sides for each in side.get(node, ())]
    return sum(near) / len(near) if near else heights[node]


def _offsets(column: Sequence[str]) -> list[float]:
    """The least height of each node above the column's first: a bend needs less room than a node."""
    offsets = [0.0] if column else []
    for one, next_ in pairwise(column):
        room = (_BEND if one[0] == "\0" else 1.0) + (_BEND if next_[0] == "\0" else 1.0)
        offsets.append(offsets[-1] + room / 2)
    return offsets


def _placed(wishes: Sequence[float], offsets: Sequence[float]) -> list[float]:
    """The heights nearest to the wishes, by least squares, that keep the order and the distances."""
    blocks: list[tuple[float, int]] = []  # the sum of what its nodes wish for the block's start, and their number
    for wish, offset in zip(wishes, offsets, strict=True):
        total, size = wish - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / size:
            more, others = blocks.pop()
            total, size = total + more, size + others
        blocks.append((total, size))
    starts = [total / size for total, size in blocks for _ in range(size)]
    return [start + offset for start, offset in zip(starts, offsets, strict=True)]
