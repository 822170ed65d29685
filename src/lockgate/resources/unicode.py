"""Makes text writable as UTF-8 and printable on one line, whatever its source."""

from __future__ import annotations

import re
from typing import Any

# The JSON (and YAML) escape of an unpaired surrogate.
ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


def visible(text: str, *, kept: str = "") -> str:
    """Escapes unprintable characters, such as line breaks and terminal escapes, as Python does. `kept` are left as they
    are."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign in kept else repr(sign)[1:-1] for sign in text)


def without_surrogates(value: Any) -> Any:
    """Replaces each unpaired surrogate by U+FFFD, as Go's JSON decoder does."""
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [without_surrogates(item) for item in value]
        case dict():
            return {without_surrogates(key): without_surrogates(item) for key, item in value.items()}
        case _:
            return value
