"""Answers `lockgate diff` where one side is the running edge: it is compared as its two APIs have it now.

The other side's files are read here, with the running edge's options, on a thread: the edge goes on serving.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

from lockgate.edge.edge import Edge
from lockgate.edge.from_manifests import from_manifests
from lockgate.edge.options import Options
from lockgate.errors import CommandError
from lockgate.resources.faults import Locate
from lockgate.runtime.reading.revisions import Place, read
from lockgate.runtime.running import RunningEdge
from lockgate.runtime.value import edge_value
from lockgate.trace.difference import difference
from lockgate.trace.difference.text import as_json


async def compared(edge: RunningEdge, question: str) -> dict[str, Any]:
    """`question` comes from `commands.compare`; the answer is `trace.difference.text.as_json`'s, or an error."""
    asked = json.loads(question)
    running = await edge_value(edge)
    try:
        return await asyncio.to_thread(_compared, running, edge.locate, edge.options, asked)
    except (CommandError, OSError) as error:
        return {"error": str(error)}


def _compared(running: Edge, locate: Locate, options: Options, asked: dict[str, Any]) -> dict[str, Any]:
    revision = read(Place(**asked["place"]), asked["values"])
    other = from_manifests(revision.manifests, replace(options, paths=revision.paths))
    sides = [(running, locate), (other, revision.locate())]
    (old, before), (new, after) = sides if asked["running"] == "old" else sides[::-1]
    return as_json(difference(old, new), before, after)
