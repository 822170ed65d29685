"""A terminal's text with its colours as a picture: `svg(text)`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from itertools import groupby
from typing import TypeAlias

_SEQUENCE = re.compile(r"\x1b\[([0-9;]*)m")
_CLASSES = {
    1: "bold", 2: "dim", 31: "red", 32: "green", 33: "yellow", 34: "blue", 35: "magenta", 36: "cyan",
    90: "dim", 91: "red", 92: "green", 93: "yellow", 94: "blue", 95: "magenta", 96: "cyan",
}  # fmt: skip
_COLUMNS = 120
_COLUMN, _ROW, _MARGIN = 7.83, 18, 16  # pixels
_STYLE = """
    text { font: 13px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #d1d7e0 }
    .bg { fill: #151b23 } .bold { font-weight: 700 } .dim { fill: #8b949e } .red { fill: #ff7b72 }
    .green { fill: #56d364 } .yellow { fill: #e3b341 } .blue { fill: #79c0ff } .magenta { fill: #d2a8ff }
    .cyan { fill: #76e3ea }
"""


def svg(text: str, label: str) -> str:
    """`label` describes the picture to who cannot see it."""
    rows = [part for row in _styled(text) for part in _wrapped(row)]
    width, height = round(2 * _MARGIN + _COLUMNS * _COLUMN), 2 * _MARGIN + len(rows) * _ROW
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(label)}">',
        f"  <style>{_STYLE}  </style>",
        f'  <rect class="bg" width="{width}" height="{height}" rx="8"/>',
    ]
    for number, row in enumerate(rows):
        y = _MARGIN + number * _ROW + 13
        lines.append(f'  <text x="{_MARGIN}" y="{y}" xml:space="preserve">{_spans(row)}</text>')
    return "\n".join([*lines, "</svg>", ""])


_Row: TypeAlias = list[tuple[str, str]]
"""Characters, each with its classes."""


def _styled(text: str) -> Iterator[_Row]:
    styles: frozenset[str] = frozenset()
    for line in text.rstrip().splitlines():
        row: _Row = []
        parts = _SEQUENCE.split(line)
        for characters, sequence in zip(parts[::2], [*parts[1::2], None], strict=True):
            row += [(character, " ".join(sorted(styles))) for character in characters]
            if sequence is not None:
                styles = _after(styles, [int(each or 0) for each in sequence.split(";")])
        yield row


def _wrapped(row: _Row) -> Iterator[_Row]:
    """At a space; the rest is indented as the row is, and a little more."""
    while len(row) > _COLUMNS:
        text = "".join(character for character, _ in row)
        indent = len(text) - len(text.lstrip()) + 2
        at = text.rfind(" ", indent + 1, _COLUMNS)
        at = at if at > 0 else _COLUMNS
        yield row[:at]
        row = [(" ", "")] * indent + row[at:][text[at : at + 1] == " " :]
    yield row


def _spans(row: _Row) -> str:
    spans: list[str] = []
    for classes, characters in groupby(row, key=lambda each: each[1]):
        text = escape("".join(character for character, _ in characters), quote=False)
        spans.append(f'<tspan class="{classes}">{text}</tspan>' if classes else text)
    return "".join(spans)


def _after(styles: frozenset[str], codes: list[int]) -> frozenset[str]:
    for code in codes:
        if code == 0:
            styles = frozenset()
        elif code in _CLASSES:
            kept = {each for each in styles if each in ("bold", "dim") or code < 30}
            styles = frozenset({*kept, _CLASSES[code]})
        elif code == 39:
            styles = styles & {"bold", "dim"}
    return styles
