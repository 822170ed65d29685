"""Follows a running edge for the console, as long as somebody looks at it.

Theory of operation. The first subscriber starts one task, `_follow`, which turns the Envoys' logs of requests on, reads
them, and looks at the edge once a second, or less often where a look takes long. What is new becomes messages, which go
to every subscriber's queue. A subscriber that does not read its queue is dropped: its page connects again and gets
everything again. A while after the last subscriber has gone, the logs are turned off and the task ends.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from lockgate.console.changes import Before, changes
from lockgate.console.details import node_details
from lockgate.console.figures import Second, Window
from lockgate.console.graph import Graph
from lockgate.console.messages import Message, NotHere
from lockgate.console.observing import Looking, View
from lockgate.console.picture import nodes_json, picture
from lockgate.console.requests import Joining, Request
from lockgate.console.trying import attempt, read_attempt
from lockgate.dataplane.envoy import Envoy
from lockgate.dataplane.records import Growing
from lockgate.resources.faults import Origin
from lockgate.runtime.watching import Watched
from lockgate.xds.watched import RUNTIME_KEY

log = logging.getLogger("lockgate.console")

MOST_NODES = 1500  # that are drawn at once
_KEPT = 1000  # requests
_POLL = 0.25  # s between reads of the logs
_LOOK = 1.0  # s between looks at the edge
_REST = 9  # times as long as a look took
_STAYS = 60.0  # s without subscribers, until it stops
_QUEUE = 256  # messages
_AT_ONCE = 20  # reads of one log in a row


class Live:
    """A `Source`."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._looking = Looking(watched)
        self._subscribers: set[asyncio.Queue[Message | None]] = set()
        self._following: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._drawn: tuple[int, dict[str, Any]] = (0, {})  # the whole graph, by its version
        self._begin()

    def _begin(self) -> None:
        self._since = time.time()
        self._files: dict[str, Growing] = {}
        self._switched: dict[Envoy, int] = {}
        self._joining = Joining()
        self._window = Window()
        self._requests: deque[tuple[int, Request]] = deque(maxlen=_KEPT)
        self._count = 0
        self._view: View | None = None
        self._before = Before()
        self._sent_event = self._sent_second = 0
        self._parts: Any = None

    # --- a source ------------------------------------------------------------------------------------------------

    async def messages(self) -> AsyncGenerator[Message, None]:
        view = await self._started()
        queue: asyncio.Queue[Message | None] = asyncio.Queue(_QUEUE)
        drawn = await self._graph(view)
        self._subscribers.add(queue)
        try:
            for message in self._all(self._view or view, drawn):
                yield message
            while (message_ := await queue.get()) is not None:
                yield message_
        finally:
            self._subscribers.discard(queue)

    async def node(self, node: str) -> Any:
        view = await self._started()
        if node not in view.graph.by_id:
            raise NotHere(f"the edge has no {node}")
        return await node_details(self._watched, view, view.graph.by_id[node])

    async def request(self, number: int) -> Any:
        for each, request in self._requests:
            if each == number:
                return {
                    **request.as_json(number),
                    "trace_id": request.trace_id,
                    "raw": [json.loads(each) for each in request.raw],
                }
        raise NotHere(f"request {number} is not among the last {_KEPT}")

    async def graph(self, text: str) -> Any:
        return await self._graph(await self._started(), text)

    async def attempt(self, asked: Any) -> Any:
        request = read_attempt(asked)
        await self._started()
        return await attempt(self._watched.edge, request, self._find)

    async def everything(self) -> list[Message]:
        view = await self._started()
        nodes = list(view.graph.nodes)[:MOST_NODES]
        details = {node.id: await node_details(self._watched, view, node, most=20_000) for node in nodes}
        about = {**self._about(), "live": False, "until": time.time()}
        drawn = await self._graph(view)
        return [Message("hello", about), *self._all(view, drawn)[1:], Message("details", details)]

    # --- following -----------------------------------------------------------------------------------------------

    async def _started(self) -> View:
        async with self._starting:
            if self._following is None or self._following.done():
                self._begin()
                self._view = await self._looking.look()
                self._following = asyncio.create_task(self._follow(), name="console")
        assert self._view is not None
        return self._view

    async def _follow(self) -> None:
        next_look = 0.0
        alone = time.monotonic()
        try:
            while True:
                now = time.monotonic()
                if self._subscribers:
                    alone = now
                elif now - alone > _STAYS:
                    await self._switch(0)
                    return
                try:
                    await self._read()
                    if now >= next_look:
                        began = time.thread_time()
                        await self._look()
                        next_look = time.monotonic() + max(_LOOK, _REST * (time.thread_time() - began))
                except Exception:  # the page must not end because of one odd record
                    log.exception("console")
                await asyncio.sleep(_POLL)
        finally:
            for queue in self._subscribers:
                with suppress(asyncio.QueueFull):
                    queue.put_nowait(None)

    async def _switch(self, value: int) -> None:
        """Turns the logs on (100) or off (0)."""
        for envoy in list(self._watched.edge.envoys.values()):
            if self._switched.get(envoy) != value:
                self._switched[envoy] = value
                await envoy.set_runtime(RUNTIME_KEY, value)

    async def _read(self) -> None:
        view, now = self._view, time.time()
        assert view is not None
        fresh: list[Request] = []
        await self._switch(100)
        for node in list(self._watched.edge.envoys):
            if node not in self._files:
                self._files[node] = Growing(Path(self._watched.edge.watched_file(node)))
            file = self._files[node]
            for _ in range(_AT_ONCE):
                for record in file.records():
                    if node == "alb":
                        fresh += self._joining.load_balancer(record, view.ways, now)
                    else:
                        fresh += self._joining.gateway({**record, "node": node}, view.ways, now)
                if not file.behind:
                    break
                await asyncio.sleep(0)
            if file.skipped:
                text = f"{file.skipped // 1_000_000} MB of records were left out: more requests than can be read"
                self._watched.timeline.add("console", "warn", text)
                file.skipped = 0
        fresh += self._joining.overdue(view.ways, now)
        self._note(fresh, int(now))

    def _note(self, fresh: list[Request], second: int) -> None:
        for request in fresh:
            self._count += 1
            self._requests.append((self._count, request))
            steps = request.steps
            passed = [(step.node, step.milliseconds) for step in steps]
            passed += [(f"{one.node}>{other.node}", None) for one, other in pairwise(steps)]
            last = {name for name, _ in (passed[len(steps) - 1], passed[-1])}
            self._window.count(second, request.status, request.milliseconds, passed, last)
        if fresh:
            first = self._count - len(fresh) + 1
            shown = list(enumerate(fresh, first))[-_KEPT:]
            self._send(Message("requests", [request.as_json(number) for number, request in shown]))
        self._window.advance(second)
        if closed := self._window.closed_since(self._sent_second):
            self._sent_second = closed[-1][0]
            self._send(Message("figures", self._figures(closed)))

    async def _look(self) -> None:
        before, view = self._view, await self._looking.look()
        assert before is not None
        self._view = view
        if view.version != before.version:
            self._send(Message("graph", await self._graph(view)))
            self._window.keep([*view.graph.by_id, *(link.id for link in view.graph.links)])
        if view.states is not before.states:
            earlier = before.states
            fresh = {node: state.as_json() for node, state in view.states.items() if earlier.get(node) != state}
            if fresh:
                self._send(Message("states", fresh))
        if view.locks is not before.locks:
            self._send(Message("locks", [each.as_json() for each in view.locks.values()]))
        self._before, events = changes(self._before, self._watched.edge, view)
        for kind, level, text in events:
            self._watched.timeline.add(kind, level, text)
        if parts := self._changed_parts():
            self._send(Message("parts", parts))
        new = [each.as_json() for each in self._watched.timeline.events if each.number > self._sent_event]
        if new:
            self._sent_event = new[-1]["number"]
            self._send(Message("timeline", new))

    def _send(self, message: Message) -> None:
        for queue in list(self._subscribers):
            try:
                queue.put_nowait(message)
            except asyncio.QueueFull:
                self._subscribers.discard(queue)
                queue.get_nowait()
                queue.put_nowait(None)

    def _find(self, root: str) -> Request | None:
        """A request by the root of its trace ID."""
        return next((each for _, each in reversed(self._requests) if root in each.trace_id), None)

    # --- messages ------------------------------------------------------------------------------------------------

    def _about(self) -> dict[str, Any]:
        urls = self._watched.report().urls[:50]
        return {"name": self._watched.edge.options.name, "since": self._since, "live": True, "urls": list(urls)}

    def _all(self, view: View, drawn: dict[str, Any]) -> list[Message]:
        return [
            Message("hello", self._about()),
            Message("graph", drawn),
            Message("locks", [each.as_json() for each in view.locks.values()]),
            Message("parts", self._report()),
            Message("figures", self._figures(list(self._window.series))),
            Message("requests", [request.as_json(number) for number, request in self._requests]),
            Message("timeline", [each.as_json() for each in self._watched.timeline.events]),
        ]

    async def _graph(self, view: View, text: str = "") -> dict[str, Any]:
        """On a thread: a large graph takes a tenth of a second."""
        if text:
            drawn = await asyncio.to_thread(self._draw, view, text)
        else:
            if self._drawn[0] != view.version:
                self._drawn = view.version, await asyncio.to_thread(self._draw, view, "")
            drawn = self._drawn[1]
        shown = (node["id"] for node in drawn["nodes"])
        return {**drawn, "states": {node: view.states[node].as_json() for node in shown if node in view.states}}

    def _draw(self, view: View, text: str) -> dict[str, Any]:
        shown = view.graph.around(text, MOST_NODES)
        places = {node.id: self._line(node.where) for node in shown.nodes}
        return {
            "version": view.version,
            "svg": picture(shown),
            "nodes": nodes_json(shown, places),
            "presented": _presented(shown),
            "links": [[link.source, link.target] for link in shown.links],
            "left_out": len(view.graph.nodes) - len(shown.nodes),
        }

    def _line(self, where: Origin | None) -> str:
        position = self._watched.edge.locate(where) if where is not None else None
        return f"{position.file}:{position.line}" if position else ""

    def _figures(self, series: list[Second]) -> dict[str, Any]:
        return {"series": series, "of": self._window.figures(), "requests": self._window.total(Window.ALL)}

    def _report(self) -> dict[str, Any]:
        report = self._watched.report()
        return {
            "ready": report.ready,
            "shortfall": list(report.shortfall),
            "parts": [[line.part, line.name, line.state.value, line.detail] for line in report.lines[:200]],
        }

    def _changed_parts(self) -> dict[str, Any] | None:
        current = self._report()
        if current == self._parts:
            return None
        self._parts = current
        return current


def _presented(graph: Graph) -> dict[str, list[str]]:
    """The nodes that present each certificate."""
    found: dict[str, list[str]] = {}
    for node in graph.nodes:
        for reference in node.locks:
            found.setdefault(reference, []).append(node.id)
    return found
