"""Keeps controllers running: after a crash, and with other flags."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeAlias

log = logging.getLogger("lockgate.runtime")

_FIRST: Final = 0.5  # seconds until a controller that crashed starts again,
_LAST: Final = 30.0  # doubled each time up to this

Run: TypeAlias = Callable[[], Awaitable[None]]


async def keep_running(name: str, run: Run) -> None:
    """A crash of a controller is a bug in Lockgate: it is logged, and the controller restarts without affecting
    others."""
    delay = _FIRST
    while True:
        began = time.monotonic()
        try:
            await run()
        except Exception as error:
            log.exception("%s failed: %s; starting it again", name, error)
        else:
            log.error("%s ended; starting it again", name)
        delay = _FIRST if time.monotonic() - began > _LAST else min(delay * 2, _LAST)
        await asyncio.sleep(delay)


async def restarted(run: Callable[[], Coroutine[Any, Any, None]], changed: asyncio.Event) -> None:
    """Runs a controller, and another in its place whenever `changed` is set, as the rollout of a Deployment would."""
    while True:
        changed.clear()
        running = asyncio.ensure_future(run())
        waiting = asyncio.ensure_future(changed.wait())
        try:
            await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                return running.result()
        finally:
            running.cancel()
            waiting.cancel()
            await asyncio.gather(running, waiting, return_exceptions=True)
