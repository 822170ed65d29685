"""What an editor shows beside a line: the trace of a request that reaches it."""

from __future__ import annotations

from lockgate.lsp.workspace import Checked
from lockgate.trace import text
from lockgate.trace.examples import example


def hover(checked: Checked, file: str, line: int, column: int) -> str:
    """Markdown; empty where no request is decided. Line and column count from 1."""
    origin = checked.origin(file, line, column)
    if origin is None or checked.edge is None:
        return ""
    found = example(checked.edge, origin)
    if found is None:
        return ""
    lines = "\n".join(text.lines(text.as_json(found.trace, checked.manifests.positions())))
    sentence = "" if found.reaches else "A request with these conditions does not get here:\n\n"
    headers = "".join(f" -H '{name}: {value}'" for name, value in found.trace.request.headers)
    return f"{sentence}```text\n{lines}\n```\n`lockgate trace {found.trace.request.url}{headers}`"
