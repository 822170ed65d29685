"""Many requests at once, each with its own look at DNS and its own connection, so that each may meet another side."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Final

from lockgate.probe.names import look_up
from lockgate.probe.observing import Place, asked
from lockgate.probe.requests import send
from lockgate.trace.model import Request

_AT_ONCE: Final = 8


async def volley(place: Place, url: str, count: int) -> Sequence[str]:
    """The status of each answer, or why there is none."""
    free = asyncio.Semaphore(_AT_ONCE)

    async def one() -> str:
        async with free:
            now = time.time()
            sent = asked(Request.of(url, now=now), protocol="1.1", kind="http", now=now)
            names = await look_up(sent.host, only=place.dns, resolver=place.resolver)
            if not names.addresses:
                return "no address"
            address = random.choice(names.addresses)  # noqa: S311  as clients do
            answer = await send(place.reach, sent, address, protocol="1.1")
            return str(answer.status) if answer.status is not None else answer.error

    return await asyncio.gather(*(one() for _ in range(count)))
