"""A trace as a picture: Mermaid for Markdown, or SVG."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

from lockgate.trace.model import Trace, Verdict

_COLOURS = {
    Verdict.PASSES: "#2e7d32",
    Verdict.ANSWERS: "#b26a00",
    Verdict.FAILS: "#c62828",
    Verdict.UNDECIDED: "#5e35b1",
}
_ROW, _WIDTH, _LEFT, _TOP = 46, 1000, 24, 64  # px
_LONGEST = 96  # characters of a title


def mermaid(trace: Trace) -> str:
    """A flowchart from the client to the responder."""
    lines = ["flowchart TD", f"  client(({_quoted(f'{trace.request.method} {trace.request.url}')}))"]
    before = "client"
    for number, hop in enumerate(_all_hops(trace)):
        node = f"hop{number}"
        lines.append(f"  {node}[{_quoted(f'{hop[0]}: {hop[1]}')}]")
        lines.append(f"  {before} --> {node}")
        lines.append(f"  style {node} stroke:{_COLOURS[hop[2]]}")
        before = node
    lines += [f"  ending([{_quoted(ending_text(trace.last))}])", f"  {before} --> ending"]
    return "\n".join(lines) + "\n"


def svg(trace: Trace) -> str:
    """One row per hop, coloured by the hop's verdict; readable without a style sheet."""
    hops = list(_all_hops(trace))
    height = _TOP + _ROW * (len(hops) + 1) + 16
    ending = ending_text(trace.last)
    fill = _COLOURS[Verdict.FAILS if trace.last.ending.is_error else Verdict.PASSES]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'font-family="system-ui, sans-serif" font-size="14" role="img">',
        f"<title>{escape(f'{trace.request.method} {trace.request.url}: {ending}')}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="36" font-size="17" font-weight="600">'
        f"{_shown(f'{trace.request.method} {trace.request.url}')}</text>",
    ]
    for number, (name, title, verdict) in enumerate(hops):
        x, y, colour = _LEFT + 8, _TOP + _ROW * number, _COLOURS[verdict]
        parts += [
            f'<line x1="{x}" y1="{y - 14}" x2="{x}" y2="{y + _ROW - 26}" stroke="#bbb" stroke-width="2"/>',
            f'<circle cx="{x}" cy="{y + 14}" r="7" fill="{colour}"><title>{verdict.value}</title></circle>',
            f'<text x="{x + 22}" y="{y + 19}" fill="#555">{escape(name)}</text>',
            f'<text x="{x + 142}" y="{y + 19}">{_shown(title)}</text>',
        ]
    y = _TOP + _ROW * len(hops)
    parts.append(f'<text x="{_LEFT}" y="{y + 24}" font-weight="600" fill="{fill}">{_shown(f"→ {ending}")}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def ending_text(trace: Trace) -> str:
    ending = trace.ending
    if ending.cause:
        return ending.cause
    if ending.location:
        return f"{ending.status} to {ending.location}"
    return f"{ending.backend} answers" if ending.backend else f"{ending.status} from the {ending.by}"


def _all_hops(trace: Trace) -> Iterator[tuple[str, str, Verdict]]:
    current: Trace | None = trace
    while current is not None:
        for hop in current.hops:
            yield hop.name, hop.title, hop.verdict
        if current.followed is not None:
            yield "redirect", f"{current.ending.status} to {current.ending.location}", Verdict.ANSWERS
        current = current.followed


def _shown(text: str) -> str:
    return escape(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")


def _quoted(text: str) -> str:
    """A Mermaid label, with quotes and angle brackets as entities."""
    return '"' + text.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;") + '"'
