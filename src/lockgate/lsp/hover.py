"""What an editor shows beside a line: the trace of a request that reaches it."""

from __future__ import annotations

import shlex

from lockgate.lsp.workspace import Checked
from lockgate.trace import text
from lockgate.trace.examples import example
from lockgate.trace.model import Request


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
    return f"{sentence}```text\n{lines}\n```\n`{_command(found.trace.request)}`"


def _command(request: Request) -> str:
    """What prints the same."""
    usual = Request.of(request.url)
    words = ["lockgate", "trace", request.url]
    words += ["-X", request.method] if request.method != usual.method else []
    words += [word for name, value in request.headers for word in ("-H", f"{name}: {value}")]
    words += ["--from", request.source] if request.source != usual.source else []
    words += ["--http2"] if request.protocol == "HTTP/2" else []
    return shlex.join(words)
