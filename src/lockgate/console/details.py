"""What a click on a node shows: its object and line, its findings, and its part of Envoy's configuration."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from lockgate.console.graph import Node
from lockgate.console.observing import View
from lockgate.resources.faults import Origin
from lockgate.resources.reader import Document
from lockgate.runtime.watching import Watched
from lockgate.xds.snapshot import EMPTY

_MOST = 200_000  # characters of one text


async def node_details(watched: Watched, view: View, node: Node, *, most: int = _MOST) -> dict[str, Any]:
    state = view.states.get(node.id)
    return {
        "id": node.id,
        "kind": node.kind.label,
        "title": node.title,
        "detail": node.detail,
        "state": state.as_json() if state else None,
        "locks": [view.locks[each].as_json() for each in node.locks if each in view.locks],
        "findings": _findings(watched, node),
        **_object(watched, node.where, most),
        "envoy": (await asyncio.to_thread(_envoy, watched, node))[:most],
        "envoy_node": node.envoy[0],
    }


def _object(watched: Watched, where: Origin | None, most: int) -> dict[str, Any]:
    """The manifest as it stands in its file, with the line that makes the node, counted in it."""
    if where is None or where.key.kind == "Secret":
        return {"object": "", "manifest": "", "at": "", "line": 0, "first": 0}
    edge = watched.edge
    position = edge.locate(where)
    document: Document | None = edge.loader.documents.get(where.key)
    text = document.text[:most] if document is not None else ""
    first = document.position.line if document is not None else 0
    return {
        "object": str(where.key),
        "manifest": text,
        "at": str(position) if position else "",
        "line": position.line if position else 0,
        "first": first,
    }


def _findings(watched: Watched, node: Node) -> list[dict[str, Any]]:
    if node.where is None:
        return []
    subject = str(node.where.key)
    return [each.as_json() for each in watched.findings() if each.subject == subject]


def _envoy(watched: Watched, node: Node) -> str:
    from lockgate.xds.view import snapshot_json

    name, filters = node.envoy
    snapshot = watched.edge.places.ads.snapshot(name) if name else EMPTY
    # A glob of `xds.view` would take the brackets of a name as a set of characters.
    shown = snapshot_json(snapshot, tuple(each.replace("[", "[[]") for each in filters)) if filters else {}
    return json.dumps(shown, indent=2) if shown else ""
