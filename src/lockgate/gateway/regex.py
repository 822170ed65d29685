"""Reads RE2's syntax: reports what Envoy would refuse before Envoy sees it, and turns the rest into Python's `re`.

Source: github.com/google/re2/wiki/Syntax, and `re2/parse.cc` for what its parser refuses. Tests hold it against Envoy.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass, replace
from functools import lru_cache

_MOST = 1000  # the largest count of a repetition, nested ones multiplied (re2/parse.cc, kMaxRepeat)
_REPEAT = re.compile(r"\{(\d+)(,(\d*))?\}")
_FLAGS = re.compile(r"\(\?([imsU]*)(-[imsU]+)?([:)])")
_NAMED = re.compile(r"\(\?P?<([A-Za-z_0-9]+)>")
_POSIX = {
    "alnum": string.ascii_letters + string.digits,
    "alpha": string.ascii_letters,
    "ascii": "".join(map(chr, range(128))),
    "blank": " \t",
    "cntrl": "".join(map(chr, (*range(32), 127))),
    "digit": string.digits,
    "graph": "".join(map(chr, range(33, 127))),
    "lower": string.ascii_lowercase,
    "print": "".join(map(chr, range(32, 127))),
    "punct": string.punctuation,
    "space": " \t\n\r\f\v",
    "upper": string.ascii_uppercase,
    "word": string.ascii_letters + string.digits + "_",
    "xdigit": string.hexdigits,
}
# Unicode's classes, less what is beyond ASCII: paths, names and header values are compared in ASCII.
_UNICODE = {
    "L": string.ascii_letters,
    "Lu": string.ascii_uppercase,
    "Ll": string.ascii_lowercase,
    "Latin": string.ascii_letters,
    "N": string.digits,
    "Nd": string.digits,
    "Z": " ",
    "Zs": " ",
    "P": "!\"#%&'()*,-./:;?@[\\]_{}",
    "S": "$+<=>^`|~",
}
_BEYOND_ASCII = "\\x80-\\U0010ffff"
_ESCAPES = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class Mistake(ValueError):
    """Why RE2 refuses a pattern."""


@lru_cache(maxsize=4096)
def mistake(pattern: str) -> str | None:
    """Why Envoy refuses a pattern, or None."""
    if not pattern:
        return "it is empty"
    try:
        compiled(pattern)
    except (Mistake, re.error, OverflowError) as error:
        return str(error)
    return None


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of RE2 for `fullmatch` and `sub`. Raises `Mistake`."""
    return re.compile(_Reader(pattern).read(), re.ASCII)


@dataclass(frozen=True, slots=True)
class _Flags:
    i: bool = False
    m: bool = False
    s: bool = False
    U: bool = False

    def changed(self, on: str, off: str) -> _Flags:
        return replace(self, **dict.fromkeys(on, True), **dict.fromkeys(off, False))


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of the pattern in Python's words; `count` is how often its inside is repeated at most."""

    text: str
    count: int = 1


class _Reader:
    """Flags are written out at each piece, because RE2 lets them change in the middle and Python does not."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def read(self) -> str:
        part = self._alternatives(_Flags())
        if self._at < len(self._pattern):
            raise Mistake("it closes a group that is not open")
        return part.text

    def _alternatives(self, flags: _Flags) -> _Part:
        """Up to the end of the group. A flag that is set holds for the alternatives after it too."""
        texts: list[str] = [""]
        most = 1
        while (char := self._peek()) and char != ")":
            if char == "|":
                self._at += 1
                texts.append("")
            elif char == "(" and (found := _FLAGS.match(self._pattern, self._at)) and found[3] == ")":
                if not found[1] and not found[2]:
                    raise Mistake("missing argument to repetition operator: ?")
                flags = flags.changed(found[1], (found[2] or "").removeprefix("-"))
                self._at = found.end()
            else:
                part = self._quantified(self._atom(flags), flags)
                texts[-1] += part.text
                most = max(most, part.count)
        return _Part("|".join(texts), most)

    def _quantified(self, atom: _Part, flags: _Flags) -> _Part:
        least, most = self._quantifier()
        if least is None:
            return atom
        lazy = self._peek() == "?"
        self._at += lazy
        after = self._at
        if self._quantifier()[0] is not None:
            raise Mistake(f"bad repetition operator: {self._pattern[after - 1 : self._at]}")
        count = atom.count * max(most if most is not None else least, 1)
        if count > _MOST:
            raise Mistake(f"invalid repetition size: more than {_MOST}")
        words = f"{{{least},{'' if most is None else most}}}"
        return _Part(f"(?:{atom.text}){words}{'?' if lazy != flags.U else ''}", count)

    def _quantifier(self) -> tuple[int | None, int | None]:
        """The counts of a repetition that stands here, most None for no end; none at all is (None, None)."""
        simple = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(self._peek())
        if simple:
            self._at += 1
            return simple
        found = _REPEAT.match(self._pattern, self._at)
        if not found:
            return None, None
        self._at = found.end()
        least = int(found[1])
        most = least if found[2] is None else int(found[3]) if found[3] else None
        if least > _MOST or (most is not None and (most > _MOST or most < least)):
            raise Mistake(f"invalid repetition size: {found[0]}")
        return least, most

    # --- pieces --------------------------------------------------------------------------------------------------

    def _atom(self, flags: _Flags) -> _Part:
        char = self._peek()
        match char:
            case "(":
                return self._group(flags)
            case "[":
                return _Part(_folded(self._class(), flags))
            case "\\":
                return _Part(self._escape(flags))
            case "*" | "+" | "?":
                raise Mistake(f"no argument for repetition operator: {char}")
        if char == "{" and _REPEAT.match(self._pattern, self._at):
            raise Mistake("no argument for repetition operator: {")
        self._at += 1
        match char:
            case ".":
                return _Part(r"(?s:.)" if flags.s else r"[^\n]")
            case "^":
                return _Part("(?m:^)" if flags.m else r"\A")
            case "$":
                return _Part("(?m:$)" if flags.m else r"\Z")
        return _Part(_folded(re.escape(char), flags))

    def _group(self, flags: _Flags) -> _Part:
        opening = "("
        if self._pattern.startswith("(?", self._at):
            if found := _NAMED.match(self._pattern, self._at):
                pass  # a group like any other: nobody here refers to its name
            elif found := _FLAGS.match(self._pattern, self._at):
                opening = "(?:"
                flags = flags.changed(found[1], (found[2] or "").removeprefix("-"))
            else:
                raise Mistake(f"invalid perl operator: {self._pattern[self._at : self._at + 3]}")
            self._at = found.end()
        else:
            self._at += 1
        inner = self._alternatives(flags)
        if self._peek() != ")":
            raise Mistake("missing closing )")
        self._at += 1
        return _Part(f"{opening}{inner.text})", inner.count)

    def _escape(self, flags: _Flags) -> str:
        char = self._pattern[self._at + 1 : self._at + 2]
        match char:
            case "":
                raise Mistake("trailing backslash at end of regexp")
            case "A" | "b" | "B" | "d" | "D" | "s" | "S" | "w" | "W":
                self._at += 2
                return f"\\{char}"
            case "z":
                self._at += 2
                return r"\Z"
            case "C":
                self._at += 2
                return "(?s:.)"
            case "Q":
                end = self._pattern.find(r"\E", self._at)
                quoted = self._pattern[self._at + 2 : end if end >= 0 else None]
                self._at = end + 2 if end >= 0 else len(self._pattern)
                return _folded(re.escape(quoted), flags) if quoted else ""
            case "p" | "P":
                return _folded(f"[{self._unicode()}]", flags)
        return _folded(re.escape(self._escaped_char()), flags)

    def _class(self) -> str:
        self._at += 1
        negated = self._peek() == "^"
        self._at += negated
        items: list[str] = []
        first = True
        while first or self._peek() != "]":
            if not self._peek():
                raise Mistake("missing closing ]")
            items.append(self._class_item())
            first = False
        self._at += 1
        return f"[{'^' if negated else ''}{''.join(items)}]"

    def _class_item(self) -> str:
        if found := re.compile(r"\[:(\^?)([a-z]+):\]").match(self._pattern, self._at):
            if found[2] not in _POSIX:
                raise Mistake(f"invalid character class range: {found[0]}")
            self._at = found.end()
            return _set(_POSIX[found[2]], bool(found[1]))
        following = self._pattern[self._at + 1 : self._at + 2]
        if self._peek() == "\\" and following and following in "dDsSwW":
            self._at += 2
            return f"\\{following}"
        if self._peek() == "\\" and following and following in "pP":
            return self._unicode()
        low = self._class_char()
        if self._peek() != "-" or self._pattern[self._at + 1 : self._at + 2] in ("", "]"):
            return re.escape(low)
        self._at += 1
        high = self._class_char()
        if high < low:
            raise Mistake(f"invalid character class range: {low}-{high}")
        return f"{re.escape(low)}-{re.escape(high)}"

    def _class_char(self) -> str:
        if self._peek() == "\\":
            return self._escaped_char()
        char = self._peek()
        self._at += 1
        return char

    def _escaped_char(self) -> str:
        """The one character that an escape stands for."""
        rest = self._pattern[self._at + 1 :]
        if found := re.match(r"x\{([0-9A-Fa-f]{1,6})\}|x([0-9A-Fa-f]{2})|(0[0-7]{0,2}|[1-7][0-7]{1,2})", rest):
            code = int(found[3], 8) if found[3] else int(found[1] or found[2], 16)
            if code > 0xFF:  # Envoy reads patterns as bytes
                raise Mistake(f"invalid escape sequence: \\{found[0]}")
        elif rest[:1] in _ESCAPES:
            self._at += 2
            return _ESCAPES[rest[0]]
        elif rest and not (rest[0].isascii() and rest[0].isalnum()):
            self._at += 2
            return rest[0]
        else:
            raise Mistake(f"invalid escape sequence: \\{rest[:1]}")
        self._at += 1 + found.end()
        return chr(code)

    def _unicode(self) -> str:
        found = re.compile(r"\\([pP])(?:([A-Z])|\{(\^?)([A-Za-z_]+)\})").match(self._pattern, self._at)
        if not found:
            raise Mistake(f"invalid character class range: {self._pattern[self._at : self._at + 3]}")
        self._at = found.end()
        return _set(_UNICODE.get(found[2] or found[4], ""), (found[1] == "P") != bool(found[3]))

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]


def _folded(text: str, flags: _Flags) -> str:
    return f"(?i:{text})" if flags.i else text


def _set(chars: str, negated: bool) -> str:
    """A set of ASCII characters, or all but them, as it stands inside a class."""
    kept = [char for char in map(chr, range(128)) if (char in chars) != negated]
    if not kept and not negated:
        return r"\U0010ffff"  # nothing that a request could hold
    return "".join(re.escape(char) for char in kept) + (_BEYOND_ASCII if negated else "")
