"""Regular expressions as WAF takes them (PCRE), as the library `regex` has them, which can give up after a time.

Source: AWS WAF Developer Guide, "Supported regular expression syntax"; pcrepattern(3).
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import regex

# What PCRE has and WAF refuses, by how it is written.
REFUSED: Final = {
    r"\\[1-9]|\\g|\\k|\(\?P=": "a back-reference",
    r"\(\?>": "an atomic group",
    r"(?:[*+?}])\+": "a possessive quantifier",
    r"\(\?(?:R|\d|[+-]\d|&|P>)": "a subroutine",
    r"\(\?\(": "a conditional",
    r"\(\*": "a control verb",
    r"\(\?C": "a callout",
    r"\\[CRKGX]": "\\C, \\R, \\K, \\G or \\X",
}

_CLASSES: Final = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "ascii": r"\x00-\x7f",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": r"\x21-\x7e",
    "lower": "a-z",
    "print": r"\x20-\x7e",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": r"\w",
    "xdigit": "0-9A-Fa-f",
}


def refusal(pattern: str) -> str | None:
    """Why WAF does not take a pattern; None where it does."""
    bare = re.sub(
        r"\\\\|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]", "x", pattern
    )  # brackets and escaped backslashes mean nothing
    for form, name in REFUSED.items():
        if re.search(form, bare):
            return f"it has {name}"
    return None if translated(pattern) is not None else "it is not a regular expression"


@lru_cache(maxsize=1024)
def translated(pattern: str) -> regex.Pattern[bytes] | None:
    """None for what the library cannot take."""
    import regex  # 15 ms, which edges without a web ACL save

    text = re.sub(r"\\Q(.*?)(?:\\E|$)", lambda found: re.escape(found[1]), pattern, flags=re.DOTALL)
    text = re.sub(r"\[:(\w+):\]", lambda found: _CLASSES.get(found[1], found[0]), text)
    text = re.sub(r"\(\?<(?![=!])", "(?P<", text)
    text = re.sub(r"(?<!\\)((?:\\\\)*)\\([zZh]|x\{([0-9A-Fa-f]{1,2})\})", _escape, text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)  # sets within sets: literal in PCRE, not for ever in Python
            return regex.compile(text.encode())
    except (regex.error, FutureWarning, OverflowError, RecursionError):
        return None


def _escape(found: re.Match[str]) -> str:
    match found[2]:
        case "z":
            made = r"\Z"
        case "Z":
            made = r"(?=\n?\Z)"
        case "h":
            made = r"[ \t]"
        case _:
            made = rf"\x{int(found[3], 16):02x}"
    return found[1] + made
