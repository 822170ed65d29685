"""Whether an Envoy works. A stopped process keeps its sockets, so only a response counts.

Envoy's admin interface is probed once a second, and more often until its first response. One response may be late
because this process was busy, so only two consecutive missing responses count. An Envoy that has not answered for half
a minute is killed, as kubelet kills a container whose liveness probe fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

_EVERY = 1.0  # seconds
_FIRST = 0.2  # seconds, until a new process has answered: one that freezes before counts as starting
_PATIENCE = 2.0  # seconds for a response
_MISSED = 2  # consecutive responses
_GIVEN_UP = 10


class Health:
    """`pid` returns the process to probe, or None; `give_up` is called for one that does not answer."""

    def __init__(
        self, admin_socket: Path, pid: Callable[[], int | None], give_up: Callable[[], None] = lambda: None
    ) -> None:
        self._admin_socket = admin_socket
        self._pid = pid
        self._give_up = give_up
        self._answered: int | None = None  # the process that has answered
        self._missed = 0

    @property
    def answered(self) -> bool:
        """Whether the current process has ever answered: before that, it is starting."""
        return self._answered is not None and self._answered == self._pid()

    @property
    def silent(self) -> bool:
        """Whether it has stopped answering."""
        return self.answered and self._missed >= _MISSED

    async def follow(self) -> NoReturn:
        while True:
            await asyncio.sleep(_EVERY if self.answered else _FIRST)
            pid = self._pid()
            answered = await _answers(self._admin_socket)
            if answered:
                self._answered = pid
            self._missed = 0 if answered or pid != self._pid() else self._missed + 1
            if self.answered and self._missed == _GIVEN_UP:
                self._give_up()


async def _answers(admin_socket: Path) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_unix_connection(admin_socket)
            try:
                writer.write(b"GET /ready HTTP/1.1\r\nhost: envoy\r\nconnection: close\r\n\r\n")
                return bool(await reader.readline())
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
