"""What goes because something else went, or because its time is up.

In a cluster the garbage collector and the namespace controller delete while the API answers. Here a little is deleted
at once, so that a small namespace or an owner with a few dependents is gone when the request is answered, and the rest
in slices, between which everything else gets its turn.
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

AT_ONCE: Final = 30  # deletions: some milliseconds
EVENT_TTL: Final = timedelta(hours=1)  # kube-apiserver's `--event-ttl`
EVENTS_KEPT: Final = 500  # and as many as there are other objects


class Garbage:
    """Deletions that wait for their turn."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._arrived = asyncio.Event()
        self._collecting = False

    def add(self, deletion: Callable[[], None]) -> None:
        self._waiting.append(deletion)
        self._arrived.set()

    def collect(self) -> None:
        """Do some of the deletions, and of those that they lead to."""
        if self._collecting:  # the call further up the stack goes on with it
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
        """For ever: do what is left over."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                began = time.monotonic()
                try:
                    self.collect()
                except Exception as error:  # one object that cannot be deleted does not keep the others
                    log.exception("cannot delete garbage: %s", error)
                await asyncio.sleep(time.monotonic() - began)  # as long as it took: half of the time is for others


class Expiry:
    """When Events go: an hour after they were written last, or when there are too many."""

    def __init__(self) -> None:
        self._expires: OrderedDict[ObjectKey, datetime] = OrderedDict()

    def written(self, key: ObjectKey, now: datetime) -> None:
        self._expires[key] = now + EVENT_TTL
        self._expires.move_to_end(key)

    def removed(self, key: ObjectKey) -> None:
        self._expires.pop(key, None)

    def next_due(self, now: datetime, others: int) -> ObjectKey | None:
        """The Event to delete next, if any is due, beside `others` objects."""
        for key, expires in self._expires.items():
            return key if expires <= now or len(self._expires) > EVENTS_KEPT + others else None
        return None
