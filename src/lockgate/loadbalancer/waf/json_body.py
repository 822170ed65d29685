"""Parses a JSON body as WAF does: up to the first error, tolerant of superfluous commas and colons.

Source: AWS WAF Developer Guide, "JSON body".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Path: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Element:
    """A key, or a value that is neither object nor array. `path` holds the keys and indices that lead to it; a key's
    path includes the key."""

    kind: Literal["KEY", "VALUE"]
    path: Path
    text: bytes


@dataclass(frozen=True, slots=True)
class Parsed:
    """`is_whole` is false if the text is truncated, or can be parsed only in part for another reason."""

    elements: tuple[Element, ...]
    is_whole: bool


class _Stopped(Exception):
    """The rest of the text is not JSON."""


def parse(text: bytes) -> Parsed:
    """Only objects and arrays are documents. A duplicate key in an object ends parsing."""
    found: list[Element] = []
    reader = _Reader(text)
    try:
        if reader.peek() not in (b"{", b"["):
            return Parsed((), False)
        for element in reader.value(()):
            found.append(element)  # noqa: PERF402  elements before an error count
        return Parsed(tuple(found), reader.peek() == b"")
    except (_Stopped, RecursionError):
        return Parsed(tuple(found), False)


def pointer(text: str) -> Path:
    """A JSON pointer's tokens (RFC 6901)."""
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:])


_SPACE: Final = re.compile(rb"[\s,:]*")
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_WORD: Final = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null")


class _Reader:
    def __init__(self, text: bytes) -> None:
        self._text = text
        self._at = 0

    def peek(self) -> bytes:
        """The next significant byte; empty at the end."""
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return self._text[self._at : self._at + 1]

    def value(self, path: Path) -> Iterator[Element]:
        match self.peek():
            case b"{":
                yield from self._object(path)
            case b"[":
                yield from self._array(path)
            case b'"':
                yield Element("VALUE", path, self._string())
            case _:
                yield Element("VALUE", path, self._take(_WORD))

    def _object(self, path: Path) -> Iterator[Element]:
        self._at += 1
        keys: set[bytes] = set()
        while self.peek() != b"}":
            key = self._string()
            if key in keys:
                raise _Stopped
            keys.add(key)
            here = (*path, key.decode("utf-8", "replace"))
            yield Element("KEY", here, key)
            yield from self.value(here)
        self._at += 1

    def _array(self, path: Path) -> Iterator[Element]:
        self._at += 1
        index = 0
        while self.peek() != b"]":
            yield from self.value((*path, str(index)))
            index += 1
        self._at += 1

    def _string(self) -> bytes:
        raw = self._take(_STRING)
        try:
            return str(json.loads(raw.decode("utf-8", "surrogateescape"), strict=False)).encode(
                "utf-8", "surrogateescape"
            )
        except (ValueError, UnicodeEncodeError) as error:
            raise _Stopped from error

    def _take(self, token: re.Pattern[bytes]) -> bytes:
        found = token.match(self._text, self._at)
        if found is None:
            raise _Stopped
        self._at = found.end()
        return found[0]
