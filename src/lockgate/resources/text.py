"""Text from manifests and clients on its way to a terminal."""

from __future__ import annotations


def escaped(text: str) -> str:
    """With control characters as ``\\x1b``: a terminal must not act on them."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
