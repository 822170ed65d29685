"""The example's edge as a value, with its graph, for the console's tests."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from lockgate.console.graph import Graph, graph_of
from lockgate.console.ways import Ways
from lockgate.edge.edge import Edge
from lockgate.edge.from_manifests import from_manifests
from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.resources.reader import read

CASES = Path(__file__).parents[1] / "cases" / "console"
EXAMPLE = Path(__file__).parents[2] / "examples" / "edge"
GATEWAY = "istio-system/istio-ingressgateway"
WORKLOADS = {"gateway": GATEWAY}

Seen = tuple[Edge, Graph, Ways]


@cache
def example() -> Seen:
    return edge_of([])


def edge_of(changed: Sequence[dict[str, Any]]) -> Seen:
    """The example with objects that replace those of the same name, or are added."""
    documents = {_identity(each): each for path in sorted(EXAMPLE.glob("*.yaml")) for each in _documents(path)}
    documents |= {_identity(each): each for each in changed}
    reading = read(yaml.safe_dump_all(documents.values()), "edge.yaml")
    errors = [str(each) for each in reading.faults if each.severity == "error"]
    assert not errors, errors
    manifests = Manifests(reading.documents, reading.faults, ("edge.yaml",), frozenset(), {})
    edge = from_manifests(manifests, Options(paths=()))
    graph = graph_of(edge, WORKLOADS)
    return edge, graph, Ways(edge, graph, WORKLOADS)


def _documents(path: Path) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


def _identity(document: dict[str, Any]) -> tuple[str, str, str]:
    metadata = document["metadata"]
    return document["kind"], metadata.get("namespace", ""), metadata["name"]
