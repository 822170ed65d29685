"""RE2's syntax: what Envoy would refuse is told before, and what it takes is not."""

from __future__ import annotations

import pytest

from lockgate.gateway.regex import compiled, mistake

REFUSED = (
    "(?=a)b",
    "(?!a)b",
    "(?<=a)b",
    "(?<!a)b",
    r"(a)\1",
    "(?>a)",
    "a++",
    "(",
    "a)",
    "[a",
    "a\\",
    "a{1001}",
    "*a",
    "(?P=x)",
    "[z-a]",
)
TAKEN = (
    "/api/v[0-9]+/.*",
    "(?i)/OK",
    r"\d+\.\w*",
    "(?P<name>a)b",
    "[()=?!]+",
    r"\(?=",
    "a{1000}",
    "[]a]",
    r"\pL+",
    r"[[:alpha:]]+",
    "",
    "a|b|",
)


@pytest.mark.parametrize("pattern", REFUSED)
def test_refused(pattern: str) -> None:
    assert mistake(pattern) is not None


@pytest.mark.parametrize("pattern", TAKEN)
def test_taken(pattern: str) -> None:
    assert mistake(pattern) is None


def test_a_leading_flag_holds_for_all() -> None:
    assert compiled("(?i)/a|/b").fullmatch("/B")
