"""Deletes objects whose owner or namespace was deleted, and expired Events.

In a cluster, the garbage collector and the namespace controller delete in the background. Here the first deletions
happen at once, so that a small namespace, or an owner with few dependents, is gone before the request is answered. The
rest are deleted in batches, with pauses for other work.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from lockgate.resources.model import ObjectKey

log = logging.getLogger("lockgate.kubernetes")

AT_ONCE: Final = 30  # deletions, which take some milliseconds
EVENT_TTL: Final = timedelta(hours=1)  # kube-apiserver's `--event-ttl`
EVENTS_KEPT: Final = 250  # plus the number of other objects


class Garbage:
    """The queue of deletions."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._arrived = asyncio.Event()
        self._collecting = False

    def add(self, deletion: Callable[[], None]) -> None:
        self._waiting.append(deletion)
        self._arrived.set()

    def collect(self) -> None:
        """Performs some deletions, and those that follow from them."""
        if self._collecting:  # the outer call continues with it
            return
        self._collecting = True
        try:
            for _ in range(AT_ONCE):
                if not self._waiting:
                    break
                self._waiting.popleft()()
        finally:
            self._collecting = False

    async def run(self) -> None:
        """Runs until cancelled: performs the remaining deletions."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                began = time.monotonic()
                try:
                    self.collect()
                except Exception as error:  # one failed deletion must not prevent the others
                    log.exception("cannot delete garbage: %s", error)
                await asyncio.sleep(
                    time.monotonic() - began
                )  # as long as it took, so that half of the time is left for other work


class Expiry:
    """Deletes Events an hour after their last write, or when there are too many."""

    def __init__(self) -> None:
        self._expires: OrderedDict[ObjectKey, datetime] = OrderedDict()

    def written(self, key: ObjectKey, now: datetime) -> None:
        self._expires[key] = now + EVENT_TTL
        self._expires.move_to_end(key)

    def removed(self, key: ObjectKey) -> None:
        self._expires.pop(key, None)

    def next_due(self, now: datetime, others: int) -> ObjectKey | None:
        """The next Event to delete, if any is due; `others` is the number of other objects."""
        for key, expires in self._expires.items():
            return key if expires <= now or len(self._expires) > EVENTS_KEPT + others else None
        return None
