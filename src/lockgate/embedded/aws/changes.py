"""Broadcasts state changes to any number of listeners."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from weakref import WeakSet


class Changes:
    """Each listener gets the changes since its last step as one set. A slow one loses nothing and delays no others."""

    def __init__(self) -> None:
        self._listeners: WeakSet[_Listener] = WeakSet()

    def publish(self, *changed: str) -> None:
        """Must be called from the event loop."""
        for listener in tuple(self._listeners):
            listener.add(changed)

    def listen(self) -> AsyncIterator[frozenset[str]]:
        """Collects changes from this call on, not from the first step."""
        listener = _Listener()
        self._listeners.add(listener)
        return listener


class _Listener(AsyncIterator[frozenset[str]]):
    def __init__(self) -> None:
        self._changed: set[str] = set()
        self._wake = asyncio.Event()

    def add(self, changed: Iterable[str]) -> None:
        self._changed.update(changed)
        self._wake.set()

    async def __anext__(self) -> frozenset[str]:
        await self._wake.wait()
        self._wake.clear()
        changed = frozenset(self._changed)
        self._changed.clear()
        return changed
