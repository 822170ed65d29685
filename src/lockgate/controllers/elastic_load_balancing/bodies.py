"""Bodies of answers by programs that nobody here answers for: read as far as they may be long, and no further."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx


async def body_of(answer: httpx.Response, most: int) -> bytes | None:
    """Of a streamed answer; None where it has more than `most` bytes."""
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > most:
            return None
    return bytes(body)
