"""The graph of an edge, by a table; what a filter leaves of it; and its drawing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
import yaml
from console_edge import CASES, edge_of, example

from lockgate.console.graph import Graph
from lockgate.console.picture import picture, shortened


@pytest.mark.parametrize("case", yaml.safe_load((CASES / "graph.yaml").read_text()), ids=lambda case: case["name"])
def test_table(case: Mapping[str, Any]) -> None:
    _, graph, _ = edge_of(case.get("changed", ()))
    shown = [f"{node.kind.label}: {node.title} | {node.detail}" for node in graph.nodes]
    for node in case["nodes"]:
        assert node in shown
    links = [f"{graph.by_id[link.source].title} > {graph.by_id[link.target].title}" for link in graph.links]
    for link in case["links"]:
        assert link in links


def test_a_filter_keeps_what_leads_to_a_node_and_what_comes_after_it() -> None:
    _, graph, _ = example()
    kept = [node.title for node in graph.around("/api/", 100).nodes]
    assert "shop/api:8080" in kept
    assert "shop/web:3000" not in kept
    assert kept[:2] == ["client", "towpath.example"]
    assert graph.around("", 3).nodes == graph.nodes[:3]
    assert graph.around("no such thing", 100) == Graph()


def test_the_drawing_has_every_node_and_link_and_no_style_of_its_own() -> None:
    _, graph, _ = example()
    drawn = fromstring(picture(graph))
    assert {each.get("data-node") for each in drawn.iter() if each.get("data-node")} == set(graph.by_id)
    assert {each.get("data-link") for each in drawn.iter() if each.get("data-link")} == {
        link.id for link in graph.links
    }
    assert not [each for each in drawn.iter() if each.get("style")]  # the page's policy would refuse it
    assert [each.get("tabindex") for each in drawn.iter() if each.get("role") == "button"].count("0") == 1
    assert picture(Graph()) == ""


def test_names_are_text_in_the_drawing() -> None:
    route = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "towpath", "namespace": "shop"},
        "spec": {
            "hosts": ["towpath.example"],
            "gateways": ["istio-system/edge"],
            "http": [
                {
                    "match": [{"uri": {"prefix": '/"><script>&'}}],
                    "route": [{"destination": {"host": "web", "port": {"number": 3000}}}],
                }
            ],
        },
    }
    _, graph, _ = edge_of([route])
    assert not list(fromstring(picture(graph)).iter("{http://www.w3.org/2000/svg}script"))


@pytest.mark.parametrize(("text", "shown"), [("short", "short"), ("a" * 30 + "end", "aaaaaaaaaaaaa…aaaaend"), ("", "")])
def test_long_names_lose_their_middle(text: str, shown: str) -> None:
    assert shortened(text) == shown
