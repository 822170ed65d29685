"""An automaton of one expression: a nondeterministic program, simulated one character at a time.

A state is the set of instructions that the text so far has led to, with what the last character was if the expression
asks for it (``^`` and ``\\b`` do). An assertion is decided by the character after it, so a step first follows what does
not consume (`_reached`), then consumes. States get numbers and are kept, so each step is computed once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias, assert_never

from lockgate.resources.languages.syntax import (
    ALL,
    PRINTABLE,
    WORD,
    Assert,
    Assertion,
    Chars,
    Choice,
    Expression,
    Repeat,
    Sequence,
    literal,
    parse,
)

MOST_INSTRUCTIONS = 4000


class TooLarge(ValueError):
    """The expression, or a product of several, has too many states to look at all of them."""


@dataclass(frozen=True, slots=True)
class _Consume:
    mask: int
    to: int


@dataclass(frozen=True, slots=True)
class _Split:
    to: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Check:
    kind: Assertion
    to: int


@dataclass(frozen=True, slots=True)
class _Accept:
    pass


_Instruction: TypeAlias = _Consume | _Split | _Check | _Accept
_Last: TypeAlias = int  # the last character: one of the next four
_START, _WORD, _NEWLINE, _OTHER = range(4)
_NEWLINE_BIT = 1 << ord("\n")


class Automaton:
    """Accepts the texts that an expression matches as a whole. States are numbers, and `START` is the first."""

    START = 0

    def __init__(self, expression: Expression) -> None:
        """Raises `TooLarge`."""
        self._program: list[_Instruction] = [_Accept()]
        first = self._compile(expression, 0)
        self._asserts = any(isinstance(each, _Check) for each in self._program)
        self._states: list[tuple[frozenset[int], _Last]] = []
        self._numbers: dict[tuple[frozenset[int], _Last], int] = {}
        self._steps: dict[tuple[int, int], int] = {}
        self._interests: dict[int, frozenset[int]] = {}
        self._accepts: dict[int, bool] = {}
        self._number(frozenset((first,)), _START)

    def step(self, state: int, char: int) -> int:
        """The state after one more character."""
        found = self._steps.get((state, char))
        if found is None:
            at, last = self._states[state]
            reached = self._reached(at, last, char)
            program = self._program
            kernel = frozenset(
                each.to for one in reached if isinstance(each := program[one], _Consume) and each.mask >> char & 1
            )
            found = self._steps[state, char] = self._number(kernel, _kind(char))
        return found

    def accepts(self, state: int) -> bool:
        found = self._accepts.get(state)
        if found is None:
            at, last = self._states[state]
            found = self._accepts[state] = 0 in self._reached(at, last, None)
        return found

    def is_dead(self, state: int) -> bool:
        """Whether no text is accepted from here."""
        return not self._states[state][0]

    def interests(self, state: int) -> frozenset[int]:
        """Sets of characters: two characters that are in the same of these lead to the same state."""
        found = self._interests.get(state)
        if found is None:
            reached = self._reached(self._states[state][0], None, None)
            masks = {each.mask for one in reached if isinstance(each := self._program[one], _Consume)}
            if self._asserts and masks:
                masks |= {WORD, _NEWLINE_BIT}
            found = self._interests[state] = frozenset(masks)
        return found

    def matches(self, text: str) -> bool:
        state = self.START
        for char in text:
            if ord(char) > 255:
                return False
            state = self.step(state, ord(char))
        return self.accepts(state)

    def _number(self, at: frozenset[int], last: _Last) -> int:
        key = (at, last if self._asserts else _START)
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = len(self._states)
            self._states.append(key)
        return found

    def _reached(self, at: frozenset[int], last: _Last | None, char: int | None) -> set[int]:
        """The instructions reached without consuming, before `char` or the end. Without `last`, assertions hold."""
        found: set[int] = set()
        waiting = list(at)
        while waiting:
            one = waiting.pop()
            if one in found:
                continue
            found.add(one)
            match self._program[one]:
                case _Split(to):
                    waiting += to
                case _Check(kind, to):
                    if last is None or _holds(kind, last, char):
                        waiting.append(to)
                case _Consume() | _Accept():
                    pass
        return found

    # --- from the expression to the program -----------------------------------------------------------------------

    def _compile(self, expression: Expression, then: int) -> int:
        """Adds the instructions of an expression that goes on at `then`; returns the first."""
        match expression:
            case Chars(mask):
                return self._add(_Consume(mask, then))
            case Sequence(parts):
                for part in reversed(parts):
                    then = self._compile(part, then)
                return then
            case Choice(parts):
                return self._add(_Split(tuple(self._compile(part, then) for part in parts)))
            case Assert(kind):
                return self._add(_Check(kind, then))
            case Repeat(part, least, most):
                return self._repeat(part, least, most, then)
            case _:
                assert_never(expression)

    def _repeat(self, part: Expression, least: int, most: int | None, then: int) -> int:
        if most is None:
            loop = self._add(_Split(()))
            self._program[loop] = _Split((self._compile(part, loop), then))
            then = loop
        else:
            end = then
            for _ in range(most - least):
                then = self._add(_Split((self._compile(part, then), end)))
        for _ in range(least):
            then = self._compile(part, then)
        return then

    def _add(self, instruction: _Instruction) -> int:
        if len(self._program) >= MOST_INSTRUCTIONS:
            raise TooLarge(f"it has more than {MOST_INSTRUCTIONS:,} states")
        self._program.append(instruction)
        return len(self._program) - 1


def _kind(char: int) -> _Last:
    return _NEWLINE if char == ord("\n") else _WORD if WORD >> char & 1 else _OTHER


def _holds(kind: Assertion, last: _Last, char: int | None) -> bool:
    match kind:
        case "start":
            return last == _START
        case "end":
            return char is None
        case "line start":
            return last in (_START, _NEWLINE)
        case "line end":
            return char is None or char == ord("\n")
        case "boundary" | "no boundary":
            after = char is not None and bool(WORD >> char & 1)
            return ((last == _WORD) != after) == (kind == "boundary")


# --- conditions --------------------------------------------------------------------------------------------------

_ANY = Repeat(Chars(ALL), 0, None)


@lru_cache(maxsize=4096)
def exact(text: str, *, fold: bool = False) -> Automaton:
    """The text itself; with `fold`, in any case."""
    return Automaton(literal(text, fold=fold))


@lru_cache(maxsize=4096)
def prefix(text: str, *, fold: bool = False) -> Automaton:
    """Texts that begin with `text`."""
    return Automaton(Sequence((literal(text, fold=fold), _ANY)))


@lru_cache(maxsize=1024)
def suffix(text: str, *, fold: bool = False) -> Automaton:
    """Texts that end with `text`."""
    return Automaton(Sequence((_ANY, literal(text, fold=fold))))


@lru_cache(maxsize=1024)
def matching(pattern: str) -> Automaton:
    """Texts that an RE2 expression matches as a whole. Raises `Unsupported`, `TooLarge`."""
    return Automaton(parse(pattern))


@lru_cache(maxsize=1024)
def containing(pattern: str, *, fold: bool = False) -> Automaton:
    """Texts in which an expression is found. Raises `Unsupported`, `TooLarge`."""
    return Automaton(Sequence((_ANY, parse(pattern, fold=fold), _ANY)))


@lru_cache(maxsize=4096)
def glob(parts: tuple[tuple[str, bool], ...], *, fold: bool = False, wild: int = PRINTABLE) -> Automaton:
    """`parts` are characters, each with whether it is a wildcard: ``*`` is any text of `wild`, ``?`` one character."""
    made: list[Expression] = []
    for char, is_wild in parts:
        if not is_wild:
            made.append(literal(char, fold=fold))
        else:
            made.append(Repeat(Chars(wild), 0, None) if char == "*" else Chars(wild))
    return Automaton(Sequence(tuple(made)))
