"""A cell in words: for each part the tests whose requests it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lockgate.trace.difference.conditions import Alone, Assumption, Holds, Normal, Part, Path, Present, SomeQuery, said
from lockgate.trace.difference.space import Cell, Space

_MOST_ALTERNATIVES = 4
_MOST_EXCEPTIONS = 3
_MOST_PARTS = 6


def conditions(space: Space, cells: Sequence[Cell], everything: Cell) -> tuple[str, ...]:
    """The alternatives of a class in words; none if it is everything."""
    found = [cell for cell in cells if cell != everything]
    if len(found) < len(cells):
        return ()
    texts = list(dict.fromkeys(_cell(space, cell, everything) for cell in found))
    if len(texts) > _MOST_ALTERNATIVES:
        more = len(texts) - _MOST_ALTERNATIVES + 1
        texts = [*texts[: _MOST_ALTERNATIVES - 1], f"{more} more combinations of conditions"]
    return tuple(texts)


def breadth(cells: Sequence[Cell], everything: Cell) -> float:
    """How much of `everything` the cells cover, counted in classes."""
    return min(sum(_size(cell) for cell in cells) / max(_size(everything), 1), 1.0)


def _size(cell: Cell) -> int:
    size = 1
    for mask in cell:
        size *= mask.bit_count()
    return size


def _cell(space: Space, cell: Cell, everything: Cell) -> str:
    parts = [
        _part(space, part, dimension, cell[dimension], everything[dimension])
        for dimension, part in enumerate(space.parts)
        if cell[dimension] != everything[dimension]
    ]
    if len(parts) > _MOST_PARTS:
        parts = [*parts[: _MOST_PARTS - 1], f"{len(parts) - _MOST_PARTS + 1} more conditions"]
    return " and ".join(parts) or "every request"


def _part(space: Space, part: Part, dimension: int, mask: int, whole: int) -> str:
    if isinstance(part, SomeQuery):
        return f"{'a' if mask == 2 else 'no'} {said(part)}"
    if isinstance(part, Alone):
        return said(part) if mask == 2 else f"{said(part.part)} {negated(part.test)}"
    if isinstance(part, Assumption):
        return f"if {part.what}" if mask == 2 else f"unless {part.what}"
    if isinstance(part, Path) and (sent := _only_normalized(space, dimension, mask)):
        return f"path as a gateway normalizes it, such as {sent}"
    tests = list(_tests(space, part, dimension, whole))
    for test, among in tests:
        if among == mask:
            return f"{said(part)} {test}"
    for test, among in tests:
        if whole & ~among == mask and isinstance(test, Present):
            return f"no {said(part)}"
        if whole & ~among == mask:
            return f"{said(part)} {negated(test)}"
    absent = mask & 1 and not space.choices[dimension][0].examples[0]
    wider = [(test, among) for test, among in tests if among & mask == mask and among != whole]
    if wider:
        narrowed, left = _narrowed(wider, mask, whole)
        left_out = list(_exceptions(tests, left & ~mask, left))
        return f"{said(part)} {' and '.join(map(str, narrowed))}{_but(left_out)}"
    inside = [test for test, among in tests if among & ~mask == 0 and not isinstance(test, Present)]
    if inside and _union(tests, inside) == mask:
        return f"{said(part)} " + " or ".join(str(each) for each in inside)
    left_out = list(_exceptions(tests, whole & ~mask, whole))
    if left_out and not isinstance(left_out[0], Normal):
        return f"{said(part)}{_but(left_out).removeprefix(' but')}"
    examples = [choice.examples[0] for index, choice in enumerate(space.choices[dimension]) if mask >> index & 1]
    texts = [", ".join(each) for each in examples if each][:3]
    return f"{said(part)} such as {' or '.join(texts)}{' or absent' if absent else ''}"


def _only_normalized(space: Space, dimension: int, mask: int) -> str:
    """An example, if a gateway normalizes all of these paths: nothing that tests say of them is of what is sent."""
    normal = next((among for test, (of, among) in space.masks.items() if of == dimension and test.value in _NORMAL), 0)
    if not normal or mask & normal:
        return ""
    choices = space.choices[dimension]
    return next(each.examples[0][0] for index, each in enumerate(choices) if mask >> index & 1)


_NORMAL = (Normal(keeps_slashes=True), Normal(keeps_slashes=False))


def _narrowed(wider: list[tuple[object, int]], mask: int, whole: int) -> tuple[list[object], int]:
    """Tests that hold for all of `mask` and together for little more, and the choices for which they hold."""
    found: list[object] = []
    for test, among in sorted(wider, key=lambda each: each[1].bit_count()):
        if whole & ~among and whole != mask:
            found.append(test)
            whole &= among
    return found, whole


def _union(tests: list[tuple[object, int]], inside: list[object]) -> int:
    mask = 0
    for test, among in tests:
        if test in inside:
            mask |= among
    return mask


def _exceptions(tests: list[tuple[object, int]], left: int, within: int) -> Iterator[object]:
    """Tests that together have what is left out of `within`, the widest first."""
    for test, among in sorted(tests, key=lambda each: -each[1].bit_count()):
        if among & within & ~left == 0 and among & left:
            yield test
            left &= ~among
    if left:
        yield Normal()


def _but(left_out: list[object]) -> str:
    if not left_out:
        return ""
    shown = [negated(each) for each in left_out[:_MOST_EXCEPTIONS] if not isinstance(each, Normal)]
    more = len(left_out) - len(shown)
    if more or not shown:
        shown.append("is not taken by an earlier rule or route")
    return " but " + " and ".join(shown)


def _tests(space: Space, part: Part, dimension: int, whole: int) -> Iterator[tuple[object, int]]:
    """The tests of a part with their choices, plain texts before expressions."""
    found = [
        (test.value, mask & whole)
        for test, (of, mask) in space.masks.items()
        if of == dimension and test.part == part and not isinstance(test.value, Normal | Holds) and mask & whole
    ]
    yield from sorted(found, key=lambda each: _ORDER.get(getattr(each[0], "kind", ""), 0))


_ORDER = {"exact": 0, "prefix": 1, "suffix": 2, "glob": 3, "escaped glob": 3, "regex": 4, "search": 5}


def negated(test: object) -> str:
    text = str(test)
    if text.startswith("is "):
        return f"is not {text.removeprefix('is ')}"
    verb, _, rest = text.partition(" ")
    return f"does not {_INFINITIVES.get(verb, verb)} {rest}"


_INFINITIVES = {"begins": "begin", "ends": "end", "matches": "match", "contains": "contain"}
