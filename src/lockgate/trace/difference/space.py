"""All requests as a finite space: each part of a request, split into classes that no test tells apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias, assert_never

from lockgate.resources.languages import TooLarge
from lockgate.trace.difference.choices import NORMAL, Choice, choices_of, is_met
from lockgate.trace.difference.conditions import (
    Alone,
    Any,
    Assumption,
    Every,
    Formula,
    Holds,
    Not,
    Part,
    Test,
    Text,
    ValueTest,
)
from lockgate.trace.model import Request

Cell: TypeAlias = tuple[int, ...]
"""For each part the possible choices, as bits."""


class Space:
    """The parts that tests ask about, and their choices, simplest first."""

    def __init__(self, tests: Iterable[Test]) -> None:
        by_part: dict[Part, dict[ValueTest, None]] = {}
        for test in tests:
            by_part.setdefault(test.part, {})[test.value] = None
        self.parts: list[Part] = []
        self.choices: list[tuple[Choice, ...]] = []
        self.masks: dict[Test, tuple[int, int]] = {}
        for part, values in by_part.items():
            self._add(part, tuple(values))
        self.whole: Cell = tuple((1 << len(each)) - 1 for each in self.choices)

    def _add(self, part: Part, values: tuple[ValueTest, ...]) -> None:
        """Adds a part. Tests that lead to too many states become parts of their own."""
        kept = values
        for simple in (_ANY_KIND, _SIMPLE, frozenset[str]()):
            kept = tuple(each for each in kept if not isinstance(each, Text) or each.kind in simple)
            try:
                choices = choices_of(part, kept)
                break
            except TooLarge:
                continue
        else:
            raise AssertionError("without a text, no part has many choices")
        self._dimension(part, kept, choices)
        for each in values:
            if each not in kept:
                assert isinstance(each, Text)
                alone = Alone(part, each)
                self._dimension(alone, (Holds(),), choices_of(alone, ()))
                self.masks[Test(part, each)] = self.masks[Test(alone, Holds())]

    def _dimension(self, part: Part, values: Sequence[ValueTest], choices: tuple[Choice, ...]) -> None:
        for each in values:
            mask = sum(1 << index for index, choice in enumerate(choices) if each in choice.holds)
            self.masks[Test(part, each)] = len(self.parts), mask
        self.parts.append(part)
        self.choices.append(choices)

    def verdict(self, formula: Formula, cell: Cell) -> bool | Test:
        """Whether a formula holds for all requests of a cell, or for none; else a test that splits the cell."""
        match formula:
            case Test():
                dimension, mask = self.masks[formula]
                possible = cell[dimension]
                both = possible & mask
                return True if both == possible else formula if both else False
            case Not(part):
                found = self.verdict(part, cell)
                return found if isinstance(found, Test) else not found
            case Every(parts) | Any(parts):
                decisive = isinstance(formula, Any)
                split: Test | None = None
                for part in parts:
                    found = self.verdict(part, cell)
                    if isinstance(found, Test):
                        split = split or found
                    elif found == decisive:
                        return decisive
                return split if split is not None else not decisive
            case _:
                assert_never(formula)

    def split(self, cell: Cell, test: Test) -> tuple[Cell, Cell]:
        """The requests of a cell for which a test holds, and the others."""
        dimension, mask = self.masks[test]
        before, after = cell[:dimension], cell[dimension + 1 :]
        return (*before, cell[dimension] & mask, *after), (*before, cell[dimension] & ~mask, *after)

    def possible(self, cell: Cell) -> Iterator[tuple[Part, list[Choice]]]:
        """For each part its possible choices in a cell, simplest first."""
        for part, choices, mask in zip(self.parts, self.choices, cell, strict=True):
            yield part, [choice for index, choice in enumerate(choices) if mask >> index & 1]

    def holds(self, request: Request, cell: Cell) -> bool:
        """Whether a request is one of a cell, as far as no assumption decides."""
        for (part, choices), mask in zip(zip(self.parts, self.choices, strict=True), cell, strict=True):
            if isinstance(part, Assumption):
                continue
            at = self.parts.index(part)
            values = [test.value for test, (of, _) in self.masks.items() if of == at and test.value not in NORMAL]
            found = frozenset(each for each in values if is_met(part, each, request))
            possible = (choice for index, choice in enumerate(choices) if mask >> index & 1)
            if not any(choice.holds.intersection(values) == found for choice in possible):
                return False
        return True


def tests_of(formula: Formula) -> Iterator[Test]:
    match formula:
        case Test():
            yield formula
        case Not(part):
            yield from tests_of(part)
        case Every(parts) | Any(parts):
            for each in parts:
                yield from tests_of(each)
        case _:
            assert_never(formula)


_ANY_KIND = frozenset(("exact", "prefix", "suffix", "regex", "search", "glob", "escaped glob"))
_SIMPLE = frozenset(("exact", "prefix"))
