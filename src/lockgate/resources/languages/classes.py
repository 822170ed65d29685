"""Partitions all texts by which of several automata accept them, and finds the shortest texts of each part."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from lockgate.resources.languages.automaton import Automaton, TooLarge
from lockgate.resources.languages.syntax import PRINTABLE

MOST_STATES = 20_000
_TEXTS = 4  # of each class


@dataclass(frozen=True, slots=True)
class TextClass:
    """The texts that exactly the languages `members` accept, by their indexes. `texts` are its shortest ones."""

    members: frozenset[int]
    texts: tuple[str, ...]


def classes(
    languages: Sequence[Automaton],
    *,
    within: Automaton | None = None,
    alphabet: int = PRINTABLE,
    most: int = MOST_STATES,
) -> tuple[TextClass, ...]:
    """Every class that has a text, in the order of their shortest texts. `within` limits the texts.

    Raises `TooLarge` if the languages together have more than `most` states.
    """
    every = [*languages, *((within,) if within else ())]
    found: dict[tuple[int, ...], list[str]] = {}
    start = (Automaton.START,) * len(every)
    seen = {start}
    waiting = deque([(start, "")])
    while waiting:
        states, text = waiting.popleft()
        if within is None or within.accepts(states[-1]):
            members = tuple(index for index, each in enumerate(languages) if each.accepts(states[index]))
            texts = found.setdefault(members, [])
            if len(texts) < _TEXTS:
                texts.append(text)
        for char in _characters(every, states, alphabet):
            after = tuple([each.step(state, char) for each, state in zip(every, states, strict=True)])
            if after in seen:
                continue
            if within is not None and within.is_dead(after[-1]):
                continue
            if len(seen) >= most:
                raise TooLarge(f"together they have more than {most:,} states")
            seen.add(after)
            waiting.append((after, text + chr(char)))
    return tuple(TextClass(frozenset(members), tuple(texts)) for members, texts in found.items())


def is_within(
    narrow: Automaton, wide: Automaton, *, within: Automaton | None = None, alphabet: int = PRINTABLE
) -> bool | None:
    """Whether `wide` accepts every text that `narrow` does, of those that `within` accepts; None if there are too many
    states to say."""
    try:
        found = classes((narrow, wide), within=within, alphabet=alphabet, most=5000)
    except TooLarge:
        return None
    return all(each.members != {0} for each in found)


def _characters(automata: Sequence[Automaton], states: tuple[int, ...], alphabet: int) -> list[int]:
    """One character of each part of the alphabet whose characters all lead to the same states."""
    masks: set[int] = set()
    for each, state in zip(automata, states, strict=True):
        masks |= each.interests(state)
    return list(_representatives(frozenset(masks), alphabet))


@lru_cache(maxsize=16384)
def _representatives(masks: frozenset[int], alphabet: int) -> tuple[int, ...]:
    parts = [alphabet]
    for mask in masks:
        parts = [part for each in parts for part in (each & mask, each & ~mask) if part]
    return tuple(sorted((_nicest(part) for part in parts), key=_RANK.__getitem__))


# The characters that a reader expects first: letters before signs.
_ORDER = "abcdefghijklmnopqrstuvwxyz0123456789-/ABCDEFGHIJKLMNOPQRSTUVWXYZ_.~:=&,;@!$'()*+"
_RANK: dict[int, int] = {
    code: index
    for index, code in enumerate(
        dict.fromkeys([*map(ord, _ORDER), *range(0x21, 0x7F), 0x20, *range(0x80, 0x100), *range(0x21), 0x7F])
    )
}


@lru_cache(maxsize=16384)
def _nicest(mask: int) -> int:
    return next(code for code in _RANK if mask & (1 << code))
