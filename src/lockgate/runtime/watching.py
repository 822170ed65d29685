"""What `lockgate console` gets of a running edge, and when: nothing of it is imported before it is first asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from lockgate.embedded.asgi import Application, Receive, Scope, Send, lifespan
from lockgate.resources.diagnostics import Diagnostic
from lockgate.runtime.parts import Report
from lockgate.runtime.running import RunningEdge
from lockgate.runtime.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Watched:
    """`report` returns the last report of its parts, and `findings` what `check` found."""

    edge: RunningEdge
    timeline: Timeline
    report: Callable[[], Report]
    findings: Callable[[], tuple[Diagnostic, ...]]


Console: TypeAlias = Callable[[Watched], Application]


class WhenAsked:
    """An ASGI application that is made by its first request, on a thread: the imports take a tenth of a second."""

    def __init__(self, make: Callable[[], Application]) -> None:
        self._make = make
        self._making: asyncio.Future[Application] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        if self._making is None:
            self._making = asyncio.ensure_future(asyncio.to_thread(self._make))
        await (await asyncio.shield(self._making))(scope, receive, send)
