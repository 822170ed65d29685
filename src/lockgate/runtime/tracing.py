"""Answers `lockgate trace --against running`, from the current state of the two APIs."""

from __future__ import annotations

import json
from typing import Any

from lockgate.runtime.running import RunningEdge
from lockgate.runtime.value import edge_value
from lockgate.trace.model import Request
from lockgate.trace.text import as_json
from lockgate.trace.walk import trace


async def traced(edge: RunningEdge, question: str) -> dict[str, Any]:
    """`question` comes from `commands.as_question`; the answer is `trace.text.as_json`'s."""
    asked = json.loads(question)
    headers = tuple((name, value) for name, value in asked.pop("headers"))
    follow = asked.pop("follow")

    found = trace(await edge_value(edge), Request(**asked, headers=headers), follow=follow)
    return as_json(found, edge.locate)
