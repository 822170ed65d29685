"""The queue of keys that every controller works on."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from lockgate.controllers.runtime import Queue


def test_a_worker_ends_when_it_is_cancelled_even_if_a_library_swallows_that() -> None:
    async def story() -> None:
        queue, started = Queue[str](), asyncio.Event()

        async def reconcile(_key: str) -> None:
            started.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

        running = asyncio.create_task(queue.run(reconcile, name="test"))
        queue.add("a")
        await started.wait()
        running.cancel()
        done, _ = await asyncio.wait([running], timeout=5)
        running.cancel()
        assert done == {running}

    asyncio.run(story())


def test_a_queue_is_idle_between_reconciliations() -> None:
    async def story() -> None:
        queue, proceed = Queue[str](first_delay=60), asyncio.Event()

        async def reconcile(_key: str) -> None:
            await proceed.wait()
            raise ValueError("no")

        running = asyncio.create_task(queue.run(reconcile, name="test"))
        assert queue.idle
        queue.add("a")
        assert not queue.idle
        await asyncio.sleep(0)
        assert not queue.idle
        proceed.set()
        async with asyncio.timeout(5):
            while not queue.errors:
                await asyncio.sleep(0)
        assert queue.idle, "it is tried again in a minute"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(story())
