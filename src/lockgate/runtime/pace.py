"""Lets long work on the event loop give way to everything else that runs there."""

from __future__ import annotations

import asyncio
import time

_SLICE = 0.01  # s


class Pace:
    """Await `keep` between the steps of long work: now and then it lets others run."""

    def __init__(self, slice_: float = _SLICE) -> None:
        self._slice = slice_
        self._began = time.monotonic()

    async def keep(self) -> None:
        if time.monotonic() - self._began > self._slice:
            await asyncio.sleep(0)
            self._began = time.monotonic()
