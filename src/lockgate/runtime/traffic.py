"""Follows what the Envoys count: totals since the edge started, and samples of the last hour.

An Envoy that ends takes with it what it counted since the last reading, at most `STEP` seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final, NoReturn, Protocol

from lockgate.metrics.flows import Counts, Ledger
from lockgate.metrics.store import Samples, Store
from lockgate.xds.flows import CONNECTIONS, REQUESTS, read

STEP: Final = 5.0  # seconds between samples


class Process(Protocol):
    """An Envoy, or what stands for it in a test."""

    @property
    def pid(self) -> int | None: ...

    async def admin(self, path: str) -> str: ...


class Traffic:
    """`counts` are the totals, and `store` has their samples, which `sampled` makes.

    `lock` is held while samples are added: whoever reads `store` on a thread must hold it.
    """

    def __init__(self, envoys: Mapping[str, Process], sampled: Callable[[Counts], Samples]) -> None:
        self._envoys = envoys
        self._sampled = sampled
        self._ledger = Ledger()
        self.counts = Counts()
        self.store = Store()
        self.lock = asyncio.Lock()

    async def run(self) -> NoReturn:
        """Adds samples until cancelled."""
        while True:
            await self._read()
            async with self.lock:
                self.store.append(time.time(), self._sampled(self.counts))
            await asyncio.sleep(STEP)

    async def now(self) -> Counts:
        """The totals, read now. Envoy brings its histograms up to date when it is asked, but after its response, so
        this asks twice."""
        await self._read()
        await self._read()
        return self.counts

    async def _read(self) -> None:
        for node, envoy in list(self._envoys.items()):
            pid = envoy.pid
            try:
                requests, connections = await envoy.admin(REQUESTS), await envoy.admin(CONNECTIONS)
            except OSError:
                continue  # it starts or ends; its last counts stay
            if pid is not None and pid == envoy.pid:
                self._ledger.note(node, pid, read(node, requests, connections))
        self.counts = self._ledger.total()
