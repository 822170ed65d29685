"""What the page gets: messages with a name and JSON. A live edge and a recording send the same ones, in this order for
a page that has just been opened:

hello     the edge's name, when watching began, whether requests can be sent
graph     the drawing as SVG, its nodes with their states, and how many are left out
states    those that changed, by node: level, text, and the lock's text and level
locks     the certificates
parts     the parts of the edge, and whether it is ready
figures   `series` of the whole edge by the second, and `of` each node and link over the last minute
requests  new ones, the oldest first
timeline  new events, the oldest first
details   by node: what `Source.node` returns; only in exports and recordings
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Final, Protocol

NAMES: Final = ("hello", "graph", "states", "locks", "parts", "figures", "requests", "timeline", "details")


@dataclass(frozen=True, slots=True)
class Message:
    name: str
    data: Any

    def as_event(self) -> str:
        """As a server-sent event."""
        return f"event: {self.name}\ndata: {json.dumps(self.data, separators=(',', ':'))}\n\n"


class NotHere(Exception):
    """Nothing of that name exists, or this source cannot do what is asked. The message says what."""


class Source(Protocol):
    """A running edge, or a recorded one."""

    def messages(self) -> AsyncGenerator[Message, None]:
        """All that is there, and then what is new."""
        ...

    async def node(self, node: str) -> Any:
        """A node's object, line, findings and its part of Envoy's configuration. Raises `NotHere`."""
        ...

    async def request(self, number: int) -> Any:
        """What both Envoys logged of a request. Raises `NotHere`."""
        ...

    async def graph(self, text: str) -> Any:
        """The message ``graph`` of the nodes around those with `text`."""
        ...

    async def attempt(self, asked: Any) -> Any:
        """Predicts and sends a request. Raises `NotHere`, and ValueError for what is no request."""
        ...

    async def everything(self) -> list[Message]:
        """All messages of now, with ``details`` of each node, for an export."""
        ...
