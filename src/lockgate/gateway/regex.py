"""Regular expressions as a gateway's Envoy validates and applies them: RE2 on bytes."""

from __future__ import annotations

import re
from functools import lru_cache

from lockgate.resources.regexes import Compiled, Match, Mistake, compiled

MAX_PROGRAM_SIZE = 32768
"""Envoy rejects a pattern above this size. Istio sets it in its proxies' bootstrap, instead of Envoy's default of
100."""


@lru_cache(maxsize=4096)
def mistake(pattern: str) -> str | None:
    """Why Envoy rejects a pattern, or None."""
    if not pattern:
        return "it is empty"
    try:
        size = _compiled(pattern).programsize
    except Mistake as found:
        return str(found)
    return f"its program size of {size} is above {MAX_PROGRAM_SIZE}" if size > MAX_PROGRAM_SIZE else None


def full_match(pattern: str, text: str) -> bool:
    """Whether the pattern matches the whole text. A pattern that Envoy rejects, which `build` reports, matches
    nothing."""
    try:
        return _compiled(pattern).fullmatch(text.encode(errors="replace")) is not None
    except Mistake:
        return False


def rewritten(pattern: str, substitution: str, text: str) -> str:
    r"""The text with every match replaced; ``\0`` to ``\9`` in the substitution are groups, and ``\\`` a backslash.

    A group that the pattern does not have leaves the text unchanged. RE2 stops at any other escape.
    Raises `Mistake`.
    """
    regex = _compiled(pattern)
    template = substitution.encode(errors="replace")
    valid = _VALID.match(template)
    parts = _PART.findall(valid[0] if valid else b"")
    if any(int(group) > regex.groups for group in _GROUP.findall(template) if group):
        return text
    return _replaced(regex, text.encode(errors="replace"), parts).decode(errors="replace")


_VALID = re.compile(rb"(?:[^\\]|\\[0-9\\])*+")
_PART = re.compile(rb"\\[0-9\\]|[^\\]+")
_GROUP = re.compile(rb"\\(?:([0-9])|.)", re.DOTALL)


def _replaced(regex: Compiled, text: bytes, parts: list[bytes]) -> bytes:
    """Replaces as RE2's GlobalReplace does: no empty match directly after another match."""
    result, at, last = b"", 0, -1
    while at <= len(text) and (match := regex.search(text, at)):
        start, end = match.span()
        result += text[at:start]
        if start == end == last:
            result += text[start : start + 1]
            at = start + 1
        else:
            result += b"".join(_expanded(part, match) for part in parts)
            at = last = end
    return result + text[at:]


def _expanded(part: bytes, match: Match) -> bytes:
    if not part.startswith(b"\\"):
        return part
    return b"\\" if part == rb"\\" else match.group(int(part[1:])) or b""


def _compiled(pattern: str) -> Compiled:
    return compiled(pattern, latin1=True)
