r"""RE2, which validates regular expressions: Envoy compiles them with it, and Istio's webhook with Go's equivalent.

Envoy reads patterns as bytes (RE2's Latin-1), Go as UTF-8: ``\x{100}`` is a character for Go, and an error for Envoy.
Otherwise both accept the same syntax, except for ``\C`` (any byte), which Go does not have. RE2 rejects programs above
8 MiB, which Go does not limit. Their messages for the same error differ.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol


class Match(Protocol):
    def span(self, group: int = 0) -> tuple[int, int]: ...

    def group(self, group: int = 0) -> bytes | None: ...


class Compiled(Protocol):
    """The part of google-re2's compiled patterns that is used here. Patterns made from bytes match bytes."""

    @property
    def programsize(self) -> int: ...

    @property
    def groups(self) -> int: ...

    def search(self, text: bytes, pos: int | None = None) -> Match | None: ...

    def fullmatch(self, text: bytes) -> Match | None: ...


class Mistake(ValueError):
    """Why RE2 rejects a pattern, in its words. `is_syntax` is False if the pattern is only too large."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.is_syntax = not message.startswith("pattern too large")


@lru_cache(maxsize=1024)
def compiled(pattern: str, *, latin1: bool) -> Compiled:
    """Raises `Mistake`."""
    import re2  # 10 ms and 3 MB, saved for edges without regular expressions

    options = re2.Options()
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1 if latin1 else re2.Options.Encoding.UTF8
    try:
        # The constructor, because `re2.compile` has a cache.
        made: Compiled = re2._Regexp(pattern.encode(), options)
    except re2.error as error:
        message = error.args[0]
        raise Mistake(message.decode(errors="replace") if isinstance(message, bytes) else str(message)) from None
    except UnicodeEncodeError:
        raise Mistake("invalid UTF-8") from None
    return made


def go_mistake(pattern: str) -> str | None:
    """Why Go's `regexp` rejects a pattern, without the prefix ``error parsing regexp: ``; None if it accepts it."""
    try:
        compiled(pattern, latin1=False)
    except Mistake as mistake:
        return _in_go(str(mistake)) if mistake.is_syntax else None
    return "invalid escape sequence: `\\C`" if _has_any_byte(pattern) else None


def _in_go(message: str) -> str:
    reason, _, piece = message.partition(": ")
    return f"{_GO_WORDS.get(reason, reason)}: `{piece}`"


# RE2's reasons (`re2/regexp.cc`) in the words of Go's `regexp/syntax`.
_GO_WORDS = {
    "missing ]": "missing closing ]",
    "missing )": "missing closing )",
    "trailing \\": "trailing backslash at end of expression",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid repetition size": "invalid repeat count",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
}


def _has_any_byte(pattern: str) -> bool:
    """Whether a valid pattern has ``\\C`` outside ``\\Q…\\E``."""
    at = 0
    while (at := pattern.find("\\", at)) >= 0:
        escape = pattern[at + 1 : at + 2]
        if escape == "C":
            return True
        end = pattern.find("\\E", at) if escape == "Q" else at
        if end < 0:
            return False
        at = end + 2
    return False
