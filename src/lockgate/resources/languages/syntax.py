"""Reads RE2's syntax into expressions. A set of characters is an integer with a bit for each character of Latin-1.

Source: RE2's `doc/syntax.txt`; `re2/parse.cc` for what combines with what.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, TypeAlias

ALL = (1 << 256) - 1
PRINTABLE = sum(1 << code for code in range(0x20, 0x7F))


class Unsupported(ValueError):
    """The expression uses something that is not a regular language, or that is not known here."""


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of a set."""

    mask: int


@dataclass(frozen=True, slots=True)
class Sequence:
    parts: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`most` None is without limit. Whether it is greedy has no effect on what matches."""

    part: Expression
    least: int
    most: int | None


Assertion: TypeAlias = Literal["start", "end", "line start", "line end", "boundary", "no boundary"]


@dataclass(frozen=True, slots=True)
class Assert:
    kind: Assertion


Expression: TypeAlias = Chars | Sequence | Choice | Repeat | Assert
NOTHING = Sequence()


@dataclass(frozen=True, slots=True)
class _Flags:
    fold: bool = False
    lines: bool = False
    dot_all: bool = False


def parse(pattern: str, *, fold: bool = False) -> Expression:
    """`fold` ignores case from the start. The pattern must be valid. Raises `Unsupported`."""
    parser = _Parser(pattern)
    try:
        found = parser.choice(_Flags(fold))
    except IndexError:
        raise Unsupported("it ends too early") from None
    if parser.rest:
        raise Unsupported(f"a parenthesis is not balanced at {parser.rest!r}")
    return found


def literal(text: str, *, fold: bool = False) -> Expression:
    """Raises `Unsupported` for a character beyond ASCII."""
    return Sequence(tuple(_character(ord(char), fold) for char in text))


class _Parser:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._flags = _Flags()

    @property
    def rest(self) -> str:
        return self._pattern[self._at :]

    def choice(self, flags: _Flags) -> Expression:
        """Alternatives, up to a closing parenthesis or the end. Flags set inside hold up to there."""
        self._flags = flags
        parts = [self._sequence()]
        while self._take("|"):
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def _sequence(self) -> Expression:
        parts: list[Expression] = []
        while self.rest and self.rest[0] not in "|)":
            if self._take("\\Q"):
                quoted, _, _ = self.rest.partition("\\E")
                self._at = min(self._at + len(quoted) + 2, len(self._pattern))
                parts += (_character(ord(char), self._flags.fold) for char in quoted)
                if parts:
                    parts[-1] = self._repeated(parts[-1])
                continue
            parts.append(self._repeated(self._single()))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _repeated(self, part: Expression) -> Expression:
        while True:
            if self._take("*"):
                part = Repeat(part, 0, None)
            elif self._take("+"):
                part = Repeat(part, 1, None)
            elif self._take("?"):
                part = Repeat(part, 0, 1)
            elif (counts := self._counts()) is not None:
                part = Repeat(part, *counts)
            else:
                return part
            if self.rest[:1] == "+":
                raise Unsupported("a possessive repetition")
            self._take("?")

    def _counts(self) -> tuple[int, int | None] | None:
        """``{2}``, ``{2,}`` and ``{2,5}``; any other brace is a character."""
        end = self._pattern.find("}", self._at)
        if self.rest[:1] != "{" or end < 0:
            return None
        least, comma, most = self._pattern[self._at + 1 : end].partition(",")
        if not least.isdigit() or not (most.isdigit() or not most):
            return None
        self._at = end + 1
        return int(least), (int(most) if most else None if comma else int(least))

    def _single(self) -> Expression:
        char = self._next()
        match char:
            case "(":
                return self._group()
            case "[":
                return Chars(self._set())
            case ".":
                return Chars(ALL if self._flags.dot_all else ALL & ~_bit("\n"))
            case "^":
                return Assert("line start" if self._flags.lines else "start")
            case "$":
                return Assert("line end" if self._flags.lines else "end")
            case "\\":
                return self._escape()
            case _:
                return _character(ord(char), self._flags.fold)

    def _group(self) -> Expression:
        outer = self._flags
        inner = outer
        if self._take("?"):
            if self._take("P<") or self._take("<"):
                if self.rest[:1] in "=!":
                    raise Unsupported("a lookbehind")
                self._at = self._pattern.index(">", self._at) + 1
            else:
                inner = self._read_flags(outer)
                if self._take(")"):
                    self._flags = inner  # up to the end of the surrounding group
                    return NOTHING
                if not self._take(":"):
                    raise Unsupported(f"(?{self.rest[:1]}")
        found = self.choice(inner)
        if not self._take(")"):
            raise Unsupported("a parenthesis is not closed")
        self._flags = outer
        return found

    def _read_flags(self, flags: _Flags) -> _Flags:
        on = True
        while self.rest[:1] not in (":", ")"):
            match self._next():
                case "-":
                    on = False
                case "i":
                    flags = replace(flags, fold=on)
                case "m":
                    flags = replace(flags, lines=on)
                case "s":
                    flags = replace(flags, dot_all=on)
                case "U":
                    pass
                case other:
                    raise Unsupported(f"(?{other}")
        return flags

    def _escape(self) -> Expression:
        char = self._next()
        if char in _ASSERTIONS:
            return Assert(_ASSERTIONS[char])
        if char in _PERL:
            return Chars(_PERL[char])
        if char in "pP":
            return Chars(self._property(char == "P"))
        if char == "C":
            return Chars(ALL)
        return _character(self._code(char), self._flags.fold)

    def _code(self, char: str) -> int:
        """The character of an escape whose backslash and first character have been read."""
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char == "x":
            if self._take("{"):
                end = self._pattern.index("}", self._at)
                digits, self._at = self._pattern[self._at : end], end + 1
            else:
                digits, self._at = self._pattern[self._at : self._at + 2], self._at + 2
            return int(digits, 16)
        if char in "01234567":
            if char != "0" and not self.rest[:1].isdigit():
                raise Unsupported("a reference to a group")
            while len(char) < 3 and self.rest[:1] and self.rest[0] in "01234567":
                char += self._next()
            return int(char, 8)
        if char.isalnum():
            raise Unsupported(f"\\{char}")
        return ord(char)

    def _property(self, negated: bool) -> int:
        if self._take("{"):
            end = self._pattern.index("}", self._at)
            name, self._at = self._pattern[self._at : end], end + 1
        else:
            name = self._next()
        negated ^= name.startswith("^")
        mask = _category(name.removeprefix("^"))
        return ALL & ~mask if negated else mask

    def _set(self) -> int:
        negated = self._take("^")
        mask, first = 0, True
        while first or self.rest[0] != "]":
            first = False
            mask |= self._member()
        self._at += 1
        if self._flags.fold:
            mask = _folded(mask)
        return ALL & ~mask if negated else mask

    def _member(self) -> int:
        if self._take("[:"):
            end = self._pattern.index(":]", self._at)
            name, self._at = self._pattern[self._at : end], end + 2
            mask = _POSIX[name.removeprefix("^")]
            return ALL & ~mask if name.startswith("^") else mask
        char = self._next()
        if char == "\\":
            char = self._next()
            if char in _PERL:
                return _PERL[char]
            if char in "pP":
                return self._property(char == "P")
            low = self._code(char)
        else:
            low = ord(char)
        high = low
        if self.rest[:1] == "-" and self.rest[1:2] != "]":
            self._at += 1
            char = self._next()
            high = self._code(self._next()) if char == "\\" else ord(char)
        return sum(1 << code for code in range(low, min(high, 255) + 1))

    def _next(self) -> str:
        char = self._pattern[self._at]
        self._at += 1
        return char

    def _take(self, text: str) -> bool:
        found = self._pattern.startswith(text, self._at)
        self._at += len(text) if found else 0
        return found


def _character(code: int, fold: bool) -> Chars:
    if code > 127:  # one character of the pattern, several bytes of a request
        raise Unsupported("a character beyond ASCII")
    return Chars(_folded(1 << code) if fold else 1 << code)


@lru_cache(maxsize=1024)
def _folded(mask: int) -> int:
    """With the other case of each letter."""
    for code in range(256):
        if mask >> code & 1:
            for other in (chr(code).lower(), chr(code).upper()):
                if len(other) == 1 and ord(other) < 256:
                    mask |= 1 << ord(other)
    return mask


def _bit(chars: str) -> int:
    return sum(1 << ord(char) for char in set(chars))


def _span(low: str, high: str) -> int:
    return sum(1 << code for code in range(ord(low), ord(high) + 1))


@lru_cache(maxsize=64)
def _category(name: str) -> int:
    import unicodedata

    found = sum(1 << code for code in range(256) if unicodedata.category(chr(code)).startswith(name))
    if len(name) > 2 or name[0] not in "CLMNPSZ":
        raise Unsupported(f"the Unicode class {name}")
    return found


_DIGIT, _UPPER, _LOWER = _span("0", "9"), _span("A", "Z"), _span("a", "z")
_SPACE = _bit("\t\n\f\r ")
WORD = _DIGIT | _UPPER | _LOWER | _bit("_")
_PUNCTUATION = _span("!", "/") | _span(":", "@") | _span("[", "`") | _span("{", "~")
_PERL = {
    "d": _DIGIT,
    "D": ALL & ~_DIGIT,
    "s": _SPACE,
    "S": ALL & ~_SPACE,
    "w": WORD,
    "W": ALL & ~WORD,
}
_POSIX = {
    "alnum": _DIGIT | _UPPER | _LOWER,
    "alpha": _UPPER | _LOWER,
    "ascii": _span("\0", "\x7f"),
    "blank": _bit("\t "),
    "cntrl": _span("\0", "\x1f") | _bit("\x7f"),
    "digit": _DIGIT,
    "graph": _span("!", "~"),
    "lower": _LOWER,
    "print": PRINTABLE,
    "punct": _PUNCTUATION,
    "space": _SPACE | _bit("\v"),
    "upper": _UPPER,
    "word": WORD,
    "xdigit": _DIGIT | _span("a", "f") | _span("A", "F"),
}
_ASSERTIONS: dict[str, Assertion] = {"A": "start", "z": "end", "b": "boundary", "B": "no boundary"}
_CONTROLS = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
