"""Parses annotation values exactly as the controller does, because details such as trimming decide whether a user's
file works. Each reader takes the raw text and returns the value, or raises `Malformed` with Go's message.

Source: aws-load-balancer-controller `pkg/annotations/parser.go`; Go's strconv and strings packages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final


class Malformed(ValueError):
    """The text does not parse; `reason` is the message of Go's parser, or "" if the controller adds none."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


def read_string(raw: str) -> str:
    """The text as written: a block scalar's newline is kept, so ``internet-facing\\n`` is not a valid scheme."""
    return raw


_TRUE: Final = ("1", "t", "T", "TRUE", "true", "True")
_FALSE: Final = ("0", "f", "F", "FALSE", "false", "False")
_BOOLS: Final = dict.fromkeys(_TRUE, True) | dict.fromkeys(_FALSE, False)


def read_bool(raw: str) -> bool:
    """Go's ParseBool: twelve spellings, no trimming."""
    try:
        return _BOOLS[raw]
    except KeyError:
        raise Malformed(f"strconv.ParseBool: parsing {quote(raw)}: invalid syntax") from None


def read_int32(raw: str) -> int:
    return _read_int(raw, 32)


def read_int64(raw: str) -> int:
    return _read_int(raw, 64)


def read_int_or_text(raw: str) -> int | str:
    """Kubernetes' IntOrString from text: text that is no 32-bit number is a name."""
    try:
        return read_int32(raw)
    except Malformed:
        return raw


def read_list(raw: str) -> tuple[str, ...]:
    """Splits at commas; items are trimmed, empty items dropped."""
    return tuple(item for item in map(trim, raw.split(",")) if item)


def read_map(raw: str) -> Mapping[str, str]:
    """``a=b,c=d``; ``\\,`` is a comma in a value. A trailing comma is part of the preceding value."""
    entries: dict[str, str] = {}
    for item in _split_map(raw):
        key, equals, value = item.partition("=")
        if not equals or not trim(key):
            raise Malformed()
        entries[trim(key)] = trim(value)
    return entries


def quote(raw: str) -> str:
    """Go's strconv.Quote, as used in its errors."""
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(escapes.get(char, char) for char in raw) + '"'


# Go's unicode.IsSpace, which strings.TrimSpace uses. Python's str.strip() would also take U+001C to U+001F.
_SPACE: Final = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


def trim(text: str) -> str:
    return text.strip(_SPACE)


def trim_right(text: str) -> str:
    return text.rstrip(_SPACE)


def _read_int(raw: str, bits: int) -> int:
    digits = raw[1:] if raw[:1] in ("+", "-") else raw
    if not (digits.isascii() and digits.isdigit()):
        raise Malformed(f"strconv.ParseInt: parsing {quote(raw)}: invalid syntax")
    limit = 1 << (bits - 1)
    # A number this long is out of range whatever its digits, and Python refuses to convert very long numbers.
    value = int(raw) if len(digits.lstrip("0")) <= 19 else limit * 2
    if not -limit <= value < limit:
        raise Malformed(f"strconv.ParseInt: parsing {quote(raw)}: value out of range")
    return value


def _split_map(raw: str) -> list[str]:
    items: list[str] = []
    current: list[str] = []
    last = len(trim_right(raw)) - 1  # a comma before this separates items
    index = 0
    while index < len(raw):
        char = raw[index]
        if char == "\\" and index + 1 < len(raw):
            current.append(raw[index + 1])
            index += 2
            continue
        if char == "," and index < last:
            items.append("".join(current))
            current = []
        else:
            current.append(char)
        index += 1
    items.append("".join(current))
    trimmed = [trim(item) for item in items]
    return [] if trimmed == [""] else trimmed
