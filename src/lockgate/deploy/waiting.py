"""Waits for the world, and says what is missing in the words of whoever knows."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

from lockgate.errors import CommandError

FIRST_PAUSE: Final = 0.5  # seconds between two looks,
LAST_PAUSE: Final = 10.0  # which grow to this
LONG: Final = 35 * 60.0  # ACM may take half an hour
_SPACING: Final = 5  # pauses without a word about what is waited for


class StepFailed(CommandError):
    """A step cannot be done. The message has the reason of the component that knows."""

    hint = "solve that, and run the same command again: it goes on where it stopped"


async def until(
    open_: Callable[[], Awaitable[str]], what: str, report: Callable[[str], None], *, longest: float = LONG
) -> None:
    """Looks until nothing is open. `open_` returns what is. Reports it when it changes, and now and then.

    Raises `StepFailed` after `longest` seconds.
    """
    loop = asyncio.get_running_loop()
    end, pause, said, silent = loop.time() + longest, FIRST_PAUSE, "", 0
    while reason := await open_():
        if loop.time() > end:
            waited = f"{longest / 60:.0f} minutes" if longest >= 120 else f"{longest:.0f} seconds"
            raise StepFailed(f"waited {waited} for {what}: {reason}")
        if reason != said or silent >= _SPACING:
            report(f"{what}: {reason}")
            said, silent = reason, 0
        silent += 1
        await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311  jitter
        pause = min(pause * 1.5, LAST_PAUSE)
