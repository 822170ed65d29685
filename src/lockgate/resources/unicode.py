"""Text that can be written as UTF-8, and shown on a line, whatever it was read from."""

from __future__ import annotations

import re
from typing import Any

# How JSON, and the YAML that is JSON, spells a half of a surrogate pair.
ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


def visible(text: str) -> str:
    """On one line: what cannot be printed, such as an end of a line or a terminal's escape, as Python writes it."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def without_surrogates(value: Any) -> Any:
    """With U+FFFD for each half of a surrogate pair that has no other half, as Go's JSON decoder has it."""
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [without_surrogates(item) for item in value]
        case dict():
            return {without_surrogates(key): without_surrogates(item) for key, item in value.items()}
        case _:
            return value
