"""An editor's view of a file as a picture, from what a real `lockgate lsp` answers: `picture(folder)`."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path

from lsprotocol import types
from pygls.lsp.client import LanguageClient

_COLUMN, _ROW, _MARGIN, _GUTTER = 7.83, 20, 16, 44  # pixels
_MOST = 118  # characters of a message or a hover's line
_STYLE = """
    text { font: 13px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #d1d7e0 }
    .bg { fill: #151b23 } .bar { fill: #1f2630 } .box { fill: #212830; stroke: #3d444d } .number { fill: #656c76 }
    .key { fill: #79c0ff } .comment { fill: #8b949e } .error { fill: #ff7b72 } .fix { fill: #d2a8ff }
    .wave { stroke: #ff7b72; fill: none } .title { font-weight: 700 }
"""


def picture(folder: Path) -> str:
    """Of an example whose server has become one for named hosts: its finding, and the trace of a route."""
    gateway, routes = folder / "40-gateway.yaml", folder / "50-routes.yaml"
    typed = gateway.read_text().replace('hosts: ["*"]', "hosts: [towpath.example]")
    asked = types.Position(next(at for at, line in enumerate(_lines(routes)) if "prefix: /api/" in line), 12)
    published, hover = asyncio.run(_answers(folder, gateway, typed, routes, asked))
    found = next(each for each in published if each.code == "LG5001")
    drawing = _Drawing()
    drawing.title(gateway.name)
    for at, line in list(enumerate(typed.splitlines()))[8 : found.range.start.line + 2]:
        drawing.line(at + 1, line)
        if at == found.range.start.line:
            drawing.wave(found.range)
            for text in found.message.splitlines():
                drawing.text(f"   {text}", "fix" if text.startswith("fix: ") else "error")
    drawing.gap()
    drawing.title(routes.name)
    for at, line in list(enumerate(_lines(routes)))[8 : asked.line + 1]:
        drawing.line(at + 1, line)
    drawing.box([line for line in hover.splitlines() if not line.startswith("```")])
    return drawing.svg("a finding at its line with the fix, and the trace of a route on hover")


async def _answers(
    folder: Path, opened: Path, typed: str, other: Path, place: types.Position
) -> tuple[Sequence[types.Diagnostic], str]:
    client = LanguageClient("pictures", "1")
    published: asyncio.Queue[types.PublishDiagnosticsParams] = asyncio.Queue()

    def put(shown: types.PublishDiagnosticsParams) -> None:
        published.put_nowait(shown)

    client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(put)
    await client.start_io(sys.executable, "-m", "lockgate", "lsp")
    await client.initialize_async(types.InitializeParams(types.ClientCapabilities(), root_uri=folder.as_uri()))
    client.initialized(types.InitializedParams())
    document = types.TextDocumentItem(opened.as_uri(), "yaml", 1, typed)
    client.text_document_did_open(types.DidOpenTextDocumentParams(document))
    diagnostics: Sequence[types.Diagnostic] = ()
    while not any(each.code == "LG5001" for each in diagnostics):
        diagnostics = (await asyncio.wait_for(published.get(), 60)).diagnostics
    where = types.HoverParams(types.TextDocumentIdentifier(other.as_uri()), place)
    hover = await client.text_document_hover_async(where)
    assert hover is not None and isinstance(hover.contents, types.MarkupContent)
    await client.shutdown_async(None)
    client.exit(None)
    await client.stop()
    return diagnostics, hover.contents.value


def _lines(file: Path) -> Sequence[str]:
    return file.read_text().splitlines()


class _Drawing:
    def __init__(self) -> None:
        self._parts: list[str] = []
        self._y = _MARGIN

    def title(self, name: str) -> None:
        self._parts.append(f'<rect class="bar" x="0" y="{self._y - 4}" width="100%" height="{_ROW + 2}"/>')
        self._put(f'<tspan class="title">{escape(name)}</tspan>', _MARGIN)

    def line(self, number: int, text: str) -> None:
        self._parts.append(f'<text class="number" x="{_MARGIN}" y="{self._y + 14}">{number:>3}</text>')
        coloured = re.sub(
            r"^((?:\s|- )*)([\w./-]+)(:)", r'\1<tspan class="key">\2</tspan>\3', escape(text, quote=False)
        )
        comment = text.lstrip().startswith("#")
        self._put(f'<tspan class="comment">{escape(text)}</tspan>' if comment else coloured, _MARGIN + _GUTTER)

    def wave(self, where: types.Range) -> None:
        start, end = where.start.character, where.end.character
        x, y = _MARGIN + _GUTTER + start * _COLUMN, self._y - 2
        steps = "".join(f"l3 {3 if step % 2 else -3}" for step in range(round((end - start) * _COLUMN / 3)))
        self._parts.append(f'<path class="wave" d="M{x:.0f} {y}{steps}"/>')

    def text(self, text: str, style: str) -> None:
        for part in _wrapped(text):
            self._put(f'<tspan class="{style}">{escape(part)}</tspan>', _MARGIN + _GUTTER)

    def box(self, lines: Sequence[str]) -> None:
        shown = [part for line in lines for part in _wrapped(line)]
        x, width = _MARGIN + _GUTTER + 60, round(_MOST * _COLUMN) + 24
        height = len(shown) * _ROW + 16
        self._parts.append(f'<rect class="box" x="{x}" y="{self._y + 2}" width="{width}" height="{height}" rx="6"/>')
        self._y += 8
        for line in shown:
            self._put(escape(line), x + 12)
        self._y += 12

    def gap(self) -> None:
        self._y += _ROW // 2

    def svg(self, label: str) -> str:
        width, height = round(2 * _MARGIN + _GUTTER + 90 + _MOST * _COLUMN), self._y + _MARGIN
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
        )
        background = f'<rect class="bg" width="{width}" height="{height}" rx="8"/>'
        return "\n".join([head, f"<style>{_STYLE}</style>", background, *self._parts, "</svg>", ""])

    def _put(self, content: str, x: float) -> None:
        self._parts.append(f'<text x="{x:.0f}" y="{self._y + 14}" xml:space="preserve">{content}</text>')
        self._y += _ROW


def _wrapped(text: str) -> Sequence[str]:
    if len(text) <= _MOST:
        return [text]
    indent = " " * (len(text) - len(text.lstrip()) + 2)
    at = text.rfind(" ", len(indent), _MOST)
    return [text[:at], *_wrapped(indent + text[at + 1 :])]
