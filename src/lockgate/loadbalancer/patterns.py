"""Rule patterns: `*` matches zero or more characters, `?` exactly one. The whole string must match.

Patterns are matched here and, as RE2 regular expressions, by Envoy. Source: "Listener rules for your Application Load
Balancer", "Condition types".
"""

from __future__ import annotations

import re
from functools import lru_cache


def is_literal(pattern: str, *, escapes: bool = False) -> bool:
    """Whether `pattern` has no wildcards; `escapes` as for `expression`."""
    return all(not wild for _, wild in parts(pattern, escapes))


def literal(pattern: str, *, escapes: bool = False) -> str:
    """The string that a pattern without wildcards matches."""
    return "".join(char for char, _ in parts(pattern, escapes))


def expression(pattern: str, *, escapes: bool = False, any_character: str = "") -> str:
    """`pattern` as an unanchored regular expression, valid for RE2 and for `re`.

    `escapes`: ``\\*`` and ``\\?`` are literal characters, as in query-string conditions. `any_character` is the class
    that a wildcard matches, by default printable ASCII.
    """
    anything = any_character or "[ -~]"
    return "".join(
        (f"{anything}*" if char == "*" else anything) if wild else quote(char) for char, wild in parts(pattern, escapes)
    )


def matches(pattern: str, text: str, *, case_sensitive: bool, escapes: bool = False) -> bool:
    return _compiled(expression(pattern, escapes=escapes), case_sensitive).fullmatch(text) is not None


def search(regex: str, text: str, *, case_sensitive: bool) -> bool:
    """Whether `regex` is found in `text`. An expression that does not compile matches nothing."""
    try:
        return _compiled(regex, case_sensitive).search(text) is not None
    except re.error:
        return False


def quote(text: str) -> str:
    """A regular expression that matches exactly `text`, in RE2 and in `re`."""
    return re.sub(r"([.^$*+?()\[\]{}|\\])", r"\\\1", text)


@lru_cache(maxsize=16384)
def _compiled(regex: str, case_sensitive: bool) -> re.Pattern[str]:
    return re.compile(regex, re.ASCII if case_sensitive else re.ASCII | re.IGNORECASE)


def parts(pattern: str, escapes: bool) -> list[tuple[str, bool]]:
    """Each character, and whether it is a wildcard."""
    found: list[tuple[str, bool]] = []
    rest = iter(pattern)
    for char in rest:
        if escapes and char == "\\":
            follower = next(rest, "\\")
            found.append((follower, False) if follower in "*?\\" else (char, False))
            if follower not in "*?\\":
                found.append((follower, follower in "*?"))
        else:
            found.append((char, char in "*?"))
    return found
