"""Text from manifests, clients and upstreams on its way to a terminal."""

from __future__ import annotations


def escaped(text: str) -> str:
    """One line, with control characters as ``\\x1b``: a terminal must not act on them.

    So are characters that reorder or hide text, and halves of surrogate pairs, which no encoding can write.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
