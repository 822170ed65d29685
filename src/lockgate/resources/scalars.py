"""Resolves plain YAML scalars as Kubernetes' parser does (`sigs.k8s.io/yaml`, goyaml.v2's `resolve.go`).

It is YAML 1.1 with exceptions: ``yes``, ``on`` and ``y`` are booleans, ``0o17`` and ``1e3`` are numbers as in 1.2, and
``12:30`` and ``2026-01-31`` stay text. A whole float (``80.0``) becomes an integer, as in Go's conversion to JSON.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import TypeAlias

Scalar: TypeAlias = str | int | float | bool | None

_WORDS: dict[str, Scalar] = {
    form(word): value
    for words, value in (
        (("y", "yes", "true", "on"), True),
        (("n", "no", "false", "off"), False),
        (("", "~", "null"), None),
    )
    for word in words
    for form in (str.lower, str.title, str.upper)
}
_INTEGER = re.compile(
    r"[-+]?(?:0|[1-9][0-9]*|0[bB][01]+|0[oO]?[0-7]+|0[xX][0-9a-fA-F]+)",
)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LEADING = frozenset("0123456789+-.yYnNtTfFoO~")


def plain_scalar(text: str) -> Scalar:
    """The value of an unquoted scalar. ``.nan`` and ``.inf`` stay text, because JSON has no such numbers."""
    if text and (text[0] not in _LEADING or len(text) > _LONGEST_NUMBER):
        return text
    return _resolved(text)


_LONGEST_NUMBER = 400


@lru_cache(maxsize=8192)
def _resolved(text: str) -> Scalar:
    if text in _WORDS:
        return _WORDS[text]
    digits = text.replace("_", "") if text[0] != "." else text
    if _INTEGER.fullmatch(digits):
        return _integer(digits)
    if _FLOAT.fullmatch(digits):
        number = float(digits)
        if math.isinf(number):
            return text
        return int(number) if number.is_integer() and abs(number) < 2**63 else number
    return text


def _integer(digits: str) -> int:
    sign = -1 if digits[0] == "-" else 1
    body = digits.lstrip("+-")
    # A leading zero means octal, as in YAML 1.1 and C.
    if len(body) > 1 and body[0] == "0" and body[1].isdigit():
        return sign * int(body, 8)
    return sign * int(body, 0)
