"""What an editor shows beside a line: why its findings matter, and the trace of a request that reaches it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from lockgate.lsp.workspace import Checked
from lockgate.resources.faults import Position
from lockgate.trace import text
from lockgate.trace.examples import example
from lockgate.trace.model import Request


def hover(checked: Checked, file: str, line: int, column: int) -> str:
    """Markdown; empty where there is nothing to say. Line and column count from 1."""
    return "\n\n".join((*_explanations(checked, file, line), *_traces(checked, file, line, column)))


def _explanations(checked: Checked, file: str, line: int) -> Iterator[str]:
    """Why the findings of the line matter: diagnostics say what is wrong, and the fix."""
    codes = (each.fault.code for each in checked.findings if each.position and _line(each.position) == (file, line))
    for code in dict.fromkeys(codes):
        yield f"**{code.id}** {code.title}. {code.why}".rstrip()


def _line(position: Position) -> tuple[str, int]:
    return position.file, position.line


def _traces(checked: Checked, file: str, line: int, column: int) -> Iterator[str]:
    """Of a request that gets there, where requests are decided."""
    origin = checked.origin(file, line, column)
    found = example(checked.edge, origin) if origin and checked.edge else None
    if found is None:
        return
    lines = "\n".join(text.lines(text.as_json(found.trace, checked.manifests.positions())))
    sentence = "" if found.reaches else "A request with these conditions does not get here:\n\n"
    yield f"{sentence}```text\n{lines}\n```\n`{_command(found.trace.request)}`"


def _command(request: Request) -> str:
    """What prints the same."""
    usual = Request.of(request.url)
    words = ["lockgate", "trace", request.url]
    words += ["-X", request.method] if request.method != usual.method else []
    words += [word for name, value in request.headers for word in ("-H", f"{name}: {value}")]
    words += ["--from", request.source] if request.source != usual.source else []
    words += ["--http2"] if request.protocol == "HTTP/2" else []
    return shlex.join(words)
