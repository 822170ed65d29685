"""Reads the bodies of answers of untrusted servers, up to a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx


async def body_of(answer: httpx.Response, most: int) -> bytes | None:
    """The body of a streamed answer; None if it has more than `most` bytes."""
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > most:
            return None
    return bytes(body)
