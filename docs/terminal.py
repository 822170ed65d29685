"""A terminal's text with its colours as a picture: `svg(text)`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

_SEQUENCE = re.compile(r"\x1b\[([0-9;]*)m")
_CLASSES = {
    1: "bold", 2: "dim", 31: "red", 32: "green", 33: "yellow", 34: "blue", 35: "magenta", 36: "cyan",
    90: "dim", 91: "red", 92: "green", 93: "yellow", 94: "blue", 95: "magenta", 96: "cyan",
}  # fmt: skip
_COLUMNS = 120
_COLUMN, _ROW, _MARGIN = 7.83, 18, 16  # pixels
_STYLE = """
    text { font: 13px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #d1d7e0;
           white-space: pre }
    .bg { fill: #151b23 } .bold { font-weight: 700 } .dim { fill: #8b949e } .red { fill: #ff7b72 }
    .green { fill: #56d364 } .yellow { fill: #e3b341 } .blue { fill: #79c0ff } .magenta { fill: #d2a8ff }
    .cyan { fill: #76e3ea }
"""


def svg(text: str, label: str) -> str:
    """`label` describes the picture to who cannot see it."""
    rows = [part for row in text.rstrip().splitlines() for part in _wrapped(row)]
    width, height = round(2 * _MARGIN + _COLUMNS * _COLUMN), 2 * _MARGIN + len(rows) * _ROW
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(label)}">',
        f"  <style>{_STYLE}  </style>",
        f'  <rect class="bg" width="{width}" height="{height}" rx="8"/>',
    ]
    styles: frozenset[str] = frozenset()
    for number, row in enumerate(rows):
        spans, styles = _spans(row, styles)
        lines.append(f'  <text x="{_MARGIN}" y="{_MARGIN + number * _ROW + 13}">{"".join(spans)}</text>')
    return "\n".join([*lines, "</svg>", ""])


def _wrapped(row: str) -> list[str]:
    """As a terminal does. Rows with colours are short."""
    if "\x1b" in row or len(row) <= _COLUMNS:
        return [row]
    return [row[start : start + _COLUMNS] for start in range(0, len(row), _COLUMNS)]


def _spans(row: str, styles: frozenset[str]) -> tuple[list[str], frozenset[str]]:
    spans: list[str] = []
    parts = _SEQUENCE.split(row)
    for text, sequence in zip(parts[::2], [*parts[1::2], None], strict=True):
        if text:
            classes = " ".join(sorted(styles))
            spans.append(f'<tspan class="{classes}">{escape(text)}</tspan>' if classes else escape(text))
        if sequence is not None:
            styles = _after(styles, [int(each or 0) for each in sequence.split(";")])
    return spans, styles


def _after(styles: frozenset[str], codes: list[int]) -> frozenset[str]:
    for code in codes:
        if code == 0:
            styles = frozenset()
        elif code in _CLASSES:
            kept: Iterator[str] = (each for each in styles if each in ("bold", "dim") or code < 30)
            styles = frozenset({*kept, _CLASSES[code]})
        elif code == 39:
            styles = styles & {"bold", "dim"}
    return styles
