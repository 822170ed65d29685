"""Escapes text from manifests, clients and upstreams for a terminal."""

from __future__ import annotations


def escaped(text: str) -> str:
    """One line, with control characters as ``\\x1b``: a terminal must not act on them.

    Characters that reorder or hide text are escaped too, and unpaired surrogates, which no encoding supports.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
