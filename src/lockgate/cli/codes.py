"""The output of `lockgate explain` for codes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from inspect import cleandoc
from textwrap import wrap
from typing import Any

import click
from click.shell_completion import CompletionItem

from lockgate.cli.terminal import paint
from lockgate.resources.codes import CODES, codes
from lockgate.resources.faults import Code

_SHAPE = re.compile(r"(LG|IST|KIA)\d+", re.IGNORECASE)
_WIDTH = 100


def is_code(name: str) -> bool:
    """Whether a name has the form of a code, even an unknown one."""
    return _SHAPE.fullmatch(name) is not None


def find(name: str) -> Code:
    """A code by its id, or by the number that another tool has for it.

    Raises ClickException for an unknown code, with the nearest code.
    """
    if (found := CODES.get(name.upper())) is not None:
        return found[0]
    desired = name.upper()
    if found := tuple(code for code in codes() if desired in code.aliases):
        return found[0]
    near = [id for id in CODES if id.startswith(desired)][:3] or get_close_matches(desired, CODES, 3, 0.75)
    hint = f"did you mean {' or '.join(near)}?" if near else "`lockgate explain` lists all codes"
    raise click.ClickException(f"there is no code {desired}; {hint}")


def complete(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    desired = incomplete.upper()
    return [CompletionItem(code.id, help=code.title) for code in codes() if code.id.startswith(desired)]


def listed() -> Iterator[str]:
    """One line for every code."""
    for code in codes():
        yield f"{paint(f'{code.id:<8}', 'bold')} {code.severity.value:<8} {code.title}"


def lines(code: Code) -> Iterator[str]:
    """A code's page for a terminal."""
    yield paint(f"{code.id}: {code.title}", "bold") + f"  ({code.severity.value})"
    if code.aliases:
        yield f"also known as {', '.join(code.aliases)}"
    for text in (code.what, code.why):
        yield ""
        yield from wrap(text, _WIDTH, break_on_hyphens=False)
    for title, text in (("Example:", code.example), ("Use instead:", code.instead)):
        if text:
            yield from ("", title, "")
            yield from (f"    {line}".rstrip() for line in cleandoc(text).splitlines())
    yield from ("", "Messages, with the values of the fault in braces:", "")
    for variant in CODES[code.id]:
        fix = f" — {variant.fix}" if variant.fix else ""
        yield from wrap(f"{variant.message}{fix}", _WIDTH, initial_indent="  - ", subsequent_indent="    ")


def as_json(code: Code) -> dict[str, Any]:
    return {
        "code": code.id,
        "severity": code.severity.value,
        "aliases": list(code.aliases),
        "title": code.title,
        "what": code.what,
        "why": code.why,
        "example": cleandoc(code.example),
        "instead": cleandoc(code.instead),
        "messages": [{"message": variant.message, "fix": variant.fix} for variant in CODES[code.id]],
    }
