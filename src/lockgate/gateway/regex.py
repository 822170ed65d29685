"""RE2's syntax, as far as a wrong pattern can be told before Envoy sees it, and as Python's `re` for decisions.

Source: github.com/google/re2/wiki/Syntax.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache

_NOT_RE2 = {
    "(?=": "look-ahead",
    "(?!": "look-ahead",
    "(?<=": "look-behind",
    "(?<!": "look-behind",
    "(?>": "atomic groups",
    "(?#": "comments",
    "(?(": "conditions",
    "(?P=": "back-references",
}
_RE2_ONLY = re.compile(r"\\[pPCQz]|\[\[:")  # known to RE2 and not to Python
_FLAGS = re.compile(r"\(\?([imsU]+)\)")


@lru_cache(maxsize=4096)
def mistake(pattern: str) -> str | None:
    """Why RE2 refuses a pattern, or None where it does not or we cannot tell."""
    at, in_class = 0, False
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            following = pattern[at + 1 : at + 2]
            if not following:
                return "it ends with a backslash"
            if following in "123456789" and not in_class:
                return "it has no back-references"
            at += 2
            continue
        if in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
            at += len(re.match(r"\^?\]?", pattern[at + 1 :])[0])  # type: ignore[index]  # always matches
        elif char == "(":
            for opening, name in _NOT_RE2.items():
                if pattern.startswith(opening, at):
                    return f"it has no {name}"
        elif char in "*+?}" and pattern[at + 1 : at + 2] == "+":
            return "it has no possessive quantifiers"
        at += 1
    if any(int(count) > 1000 for pair in re.findall(r"\{(\d+)(?:,(\d*))?\}", pattern) for count in pair if count):
        return "a repetition counts more than 1000"
    if _RE2_ONLY.search(pattern):
        return None
    try:
        compiled(pattern)
    except re.error as error:
        return str(error)
    return None


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern for `fullmatch`, in Python's words. Raises `re.error`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # RE2 takes flags anywhere, Python only at the start: then they hold for what follows in the group.
        flags = _FLAGS.search(pattern)
        if flags and flags.start() == 0:
            pattern = f"(?{flags[1].replace('U', '')}:{pattern[flags.end() :]})"
        return re.compile(pattern.replace(r"\z", r"\Z"), re.ASCII)
