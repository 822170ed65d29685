"""Pagination: an opaque token contains the start of the next page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TypeVar

from lockgate.embedded.aws.protocol import Refusal

Item = TypeVar("Item")


def page(
    items: Sequence[Item], token: str | None, size: int, *, fault: str = "ValidationException"
) -> tuple[list[Item], str]:
    """At most `size` items from `token` on, and the next token ("" at the end). `fault` is the code for bad tokens."""
    start = 0
    if token:
        try:
            start = int(base64.urlsafe_b64decode(token.encode()).decode())
        except ValueError as error:
            raise Refusal(fault, "The pagination token is not valid.") from error
    end = start + size
    following = base64.urlsafe_b64encode(str(end).encode()).decode() if end < len(items) else ""
    return list(items[start:end]), following
