"""Lets long work on the event loop yield to other work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from typing import TypeAlias, TypeVar

ResultT = TypeVar("ResultT")
Steps: TypeAlias = Generator[None, None, ResultT]
"""Long pure work: it yields between its steps, so that its caller may do something else, and returns the result."""

SLICE = 0.002  # seconds; an answer of an API takes several turns of the loop


class Pace:
    """Await `keep` between the steps of long work: it lets others run when a slice is over."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    async def keep(self) -> None:
        if time.monotonic() - self._began > SLICE:
            await asyncio.sleep(0)
            self._began = time.monotonic()


async def paced(steps: Steps[ResultT]) -> ResultT:
    pace = Pace()
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: ResultT = done.value
            return result
        await pace.keep()


def at_once(steps: Steps[ResultT]) -> ResultT:
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: ResultT = done.value
            return result
