"""The graph as SVG, for the page: boxes in columns, links as curves. Colours and fonts are the style sheet's.

The page finds a node by `data-node` and a link by `data-link`, and writes figures into them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from xml.sax.saxutils import escape, quoteattr

from lockgate.console.graph import Graph, Kind, Node
from lockgate.console.layout import Layout, layout

WIDTH, HEIGHT = 176, 60  # px of a node
GAP, ROW, TOP, MARGIN = 30, 74, 34, 8  # px
_LONGEST, _LONGEST_DETAIL = 21, 25  # characters that fit, also in wide fonts

Point = tuple[float, float]


def picture(graph: Graph) -> str:
    placed = layout(
        {node.id: int(node.kind) for node in graph.nodes}, [(link.source, link.target) for link in graph.links]
    )
    if not graph.nodes:
        return ""
    width = MARGIN * 2 + placed.columns * (WIDTH + GAP) - GAP
    height = TOP + max(placed.rows, 1) * ROW - (ROW - HEIGHT) + MARGIN
    kinds = dict.fromkeys(sorted(node.kind for node in graph.nodes))
    return "".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="graph" viewBox="0 0 {width:g} {height:g}" '
            f'width="{width:g}" height="{height:g}" role="group" aria-label="The path of requests">',
            *_heads(kinds),
            '<g class="links" aria-hidden="true">',
            *_links(graph, placed),
            "</g><g>",
            *(_node(node, _corner(placed.place[node.id]), first=place == 0) for place, node in enumerate(graph.nodes)),
            "</g></svg>",
        ]
    )


def _corner(place: tuple[int, float]) -> Point:
    column, row = place
    return MARGIN + column * (WIDTH + GAP), TOP + row * ROW


def _heads(kinds: Iterable[Kind]) -> Iterator[str]:
    for place, kind in enumerate(kinds):
        x, _ = _corner((place, 0))
        yield f'<text class="head" x="{x:g}" y="18">{kind.label}</text>'


def _links(graph: Graph, placed: Layout) -> Iterator[str]:
    for link in graph.links:
        x, y = _corner(placed.place[link.source])
        points: list[Point] = [(x + WIDTH, y + HEIGHT / 2)]
        for bend in placed.bends.get((link.source, link.target), ()):
            x, y = _corner(bend)
            points += [(x, y + HEIGHT / 2), (x + WIDTH, y + HEIGHT / 2)]
        x, y = _corner(placed.place[link.target])
        points.append((x, y + HEIGHT / 2))
        yield f'<path data-link={quoteattr(link.id)} d="{_curve(points)}"/>'


def _curve(points: list[Point]) -> str:
    """Level at every point: through columns it runs straight, and between them it is an S."""
    x, y = points[0]
    parts = [f"M{x:g} {y:g}"]
    for place, (to_x, to_y) in enumerate(points[1:]):
        if place % 2:
            parts.append(f"H{to_x:g}")
        else:
            middle = (x + to_x) / 2
            parts.append(f"C{middle:g} {y:g} {middle:g} {to_y:g} {to_x:g} {to_y:g}")
        x, y = to_x, to_y
    return "".join(parts)


def _node(node: Node, at: Point, *, first: bool) -> str:
    x, y = at
    label = f"{node.kind.label} {node.title}, {node.detail}" if node.detail else f"{node.kind.label} {node.title}"
    return (
        f'<g class="node" data-node={quoteattr(node.id)} data-label={quoteattr(label)} '
        f'role="button" tabindex="{0 if first else -1}" transform="translate({x:g} {y:g})">'
        f"<title>{escape(label)}</title>"
        f'<rect class="box" width="{WIDTH}" height="{HEIGHT}" rx="5"/>'
        f'<rect class="state" width="4" height="{HEIGHT}" rx="2"/>'
        f'<text class="title" x="12" y="18">{escape(shortened(node.title))}</text>'
        f'<text class="detail" x="12" y="34">{escape(shortened(node.detail, _LONGEST_DETAIL))}</text>'
        f'<text class="figures" x="12" y="51"></text>'
        f"{_LOCK if node.locks or node.plain else ''}"
        "</g>"
    )


_LOCK = (
    f'<text class="lock" x="{WIDTH - 22}" y="51" text-anchor="end"></text>'
    f'<path class="padlock" d="M{WIDTH - 18} 46.5h10v6h-10zM{WIDTH - 16} 46v-2a3 3 0 0 1 6 0v2'
    'h-1.4v-2a1.6 1.6 0 0 0-3.2 0v2z"/>'
)


def shortened(text: str, longest: int = _LONGEST) -> str:
    """The middle is left out: names differ in their ends, paths in both."""
    if len(text) <= longest:
        return text
    tail = longest // 3
    return f"{text[: longest - tail - 1]}…{text[-tail:]}"


def nodes_json(graph: Graph, places: Mapping[str, str]) -> list[dict[str, object]]:
    """The nodes for the page's table; `places` are their lines in manifests."""
    return [
        {
            "id": node.id,
            "kind": node.kind.label,
            "title": node.title,
            "detail": node.detail,
            "at": places.get(node.id, ""),
        }
        for node in graph.nodes
    ]
