"""The pages of the codes, written from the registry; run as a module, it writes them into a folder.

python -m lockgate.resources.codes.document docs/codes
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

from lockgate.resources.codes import CODES, codes
from lockgate.resources.faults import Code


def page(code: Code) -> str:
    return "\n\n".join(_sections(code)) + "\n"


def index() -> str:
    """Every code in a table, with a link to its page."""
    rows = (f"| [{code.id}]({code.id}.md) | {code.severity.value} | {code.title} |" for code in codes())
    return "\n".join((_INDEX, *rows)) + "\n"


_INDEX = """# Codes

Every fault that Lockgate reports has a code: `file:line:column: severity: message — fix [code]`. A code never changes
its meaning. `lockgate explain CODE` prints the page of a code. An *error* is not served, a *warning* is served
otherwise than its author may expect, and *info* is good to know.

The examples leave out what they share: a Gateway `istio-system/edge` for HTTP, a VirtualService and a Service
`shop/web`, the gateway's Service, an IngressClass `alb`, and the certificates that the Gateways name. A test builds
every example and its correction, and expects the code of the one and no fault in the other.

These pages are written from `src/lockgate/resources/codes` by `python -m lockgate.resources.codes.document docs/codes`.

| code | severity | title |
| --- | --- | --- |"""


def example(text: str) -> str:
    """An example as it is written into a file: without the indentation that it has in the registry."""
    return cleandoc(text) + "\n"


def _sections(code: Code) -> Iterator[str]:
    yield f"# {code.id}: {code.title}"
    yield f"Severity: {code.severity.value}" + (f"\n\nAlso known as: {', '.join(code.aliases)}" if code.aliases else "")
    yield f"## What it means\n\n{code.what}"
    yield f"## Why it matters\n\n{code.why}"
    if code.example:
        yield f"## Example\n\n{_block(code.example)}"
    if code.instead:
        yield f"Use instead:\n\n{_block(code.instead)}"
    yield "## Messages\n\n" + "\n".join(f"- {_shown(variant)}" for variant in CODES[code.id])


def _block(text: str) -> str:
    text = example(text)
    return f"```{'console' if text.startswith('$') else 'yaml'}\n{text}```"


def _shown(code: Code) -> str:
    """A message and its fix as templates: `{values}` in braces are those of the fault."""
    fix = "" if code.fix in ("", "{hint}") else f" — {code.fix}"
    return f"`{code.message}`{fix}" if "`" not in code.message else f"``{code.message}``{fix}"


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.md").write_text(index())
    for each in codes():
        (folder / f"{each.id}.md").write_text(page(each))
