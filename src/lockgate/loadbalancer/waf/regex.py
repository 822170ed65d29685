"""WAF's regular expressions (PCRE), translated for the library `regex`, which supports a time limit.

Source: AWS WAF Developer Guide, "Supported regular expression syntax"; pcrepattern(3).
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import regex

# PCRE syntax that WAF refuses, by how it is written.
REFUSED: Final = {
    r"\\[1-9]|\\g|\\k|\(\?P=": "a back-reference",
    r"\(\?>": "an atomic group",
    r"(?:[*+?}])\+": "a possessive quantifier",
    r"\(\?(?:R|\d|[+-]\d|&|P>)": "a subroutine",
    r"\(\?\(": "a conditional",
    r"\(\*": "a control verb",
    r"\(\?C": "a callout",
    r"\\[CRKGX]": "\\C, \\R, \\K, \\G or \\X",
    # Syntax of the library that PCRE does not have.
    r"\\[mML]": "\\m, \\M or \\L",
    r"\(\?[a-zA-Z01-]*[abefpruwALV][a-zA-Z01-]*[:)]": "an option that PCRE does not have",
}

LARGEST: Final = 65535  # PCRE's limit of repetitions and size ("PCRE - Perl-compatible regular expressions", limits)

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
    """Why WAF does not accept a pattern, or None if it does."""
    # Brackets and escaped backslashes are replaced first: their content is literal.
    bare = re.sub(r"\\\\|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]", "x", pattern)
    for form, name in REFUSED.items():
        if re.search(form, bare):
            return f"it has {name}"
    if _written_out(pattern) > LARGEST:
        return "it is too large"
    return None if translated(pattern) is not None else "it is not a regular expression"


@lru_cache(maxsize=1024)
def translated(pattern: str) -> regex.Pattern[bytes] | None:
    """None if the library cannot compile it."""
    import regex  # 15 ms, saved for edges without a web ACL

    if _written_out(pattern) > LARGEST:
        return None
    text = re.sub(r"\\Q(.*?)(?:\\E|$)", lambda found: re.escape(found[1]), pattern, flags=re.DOTALL)
    text = _COUNTS.sub(lambda found: found[1] or r"\{", text)
    text = re.sub(r"\[:(\w+):\]", lambda found: _CLASSES.get(found[1], found[0]), text)
    text = re.sub(r"\(\?<(?![=!])", "(?P<", text)
    text = re.sub(r"(?<!\\)((?:\\\\)*)\\([zZh]|x\{([0-9A-Fa-f]{1,2})\})", _escape, text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)  # sets within sets: literal in PCRE, deprecated in Python
            return regex.compile(text.encode())
    except (regex.error, FutureWarning, ValueError, OverflowError, RecursionError):
        return None


# Constructs that may contain braces, and any other brace: literal in PCRE, fuzzy matching in the library.
_COUNTS: Final = re.compile(r"(\\[pPxNo]\{[^}]*\}|\\.|\{\d+(?:,\d*)?\})|\{", re.DOTALL)
_PARTS: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]|\{(\d+)(?:,\d*)?\}|.", re.DOTALL)


def _written_out(pattern: str) -> int:
    """The number of parts after expanding repetitions. The library expands them without a limit."""
    sizes, last = [0], 0
    for part in _PARTS.finditer(pattern):
        if part[1]:
            times = max(int(part[1]), 1)
            sizes[-1] += last * (times - 1)
            last *= times
        elif part[0] == "(":
            sizes.append(0)
        elif part[0] == ")" and len(sizes) > 1:
            last = sizes.pop()
            sizes[-1] += last
        else:
            last = 1
            sizes[-1] += 1
    return sum(sizes)


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
