"""Codes as people name them: a code (LG5001), a prefix (LG5), or another tool's number for it (KIA0201)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache

from lockgate.resources.codes import CODES, codes
from lockgate.resources.faults import Code

_SEPARATORS = re.compile(r"[\s,]+")


class UnknownCode(ValueError):
    """No code has this name, and none begins with it."""

    def __init__(self, name: str) -> None:
        known = [*CODES, *(alias for code in codes() for alias in code.aliases)]
        near = get_close_matches(name.upper(), known, 2, 0.75)
        super().__init__(f"no code is or begins with {name}" + (f"; did you mean {' or '.join(near)}?" if near else ""))


def named(text: str) -> tuple[str, ...]:
    """The names in a text, separated by commas or spaces: ``LG5001, LG7``. Raises `UnknownCode`."""
    names = tuple(each.upper() for each in _SEPARATORS.split(text) if each)
    for name in names:
        if not any(is_named(code, (name,)) for code in codes()):
            raise UnknownCode(name)
    return names


def is_named(code: Code, names: Iterable[str]) -> bool:
    """Whether a code is among `names`, which are in capitals."""
    own = _names(code)
    return any(each.startswith(name) for name in names for each in own)


@cache
def _names(code: Code) -> tuple[str, ...]:
    return (code.id, *code.aliases)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which codes count. An empty `select` means all; `ignore` goes before it."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    def has(self, code: Code) -> bool:
        if self.select and not is_named(code, self.select):
            return False
        return not is_named(code, self.ignore)


EVERYTHING = Selection()
