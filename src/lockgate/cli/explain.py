"""`lockgate explain`"""

from __future__ import annotations

import json
from collections.abc import Iterator
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click

from lockgate.cli import codes
from lockgate.cli.terminal import paint, print_data, say
from lockgate.cli.up import output_option
from lockgate.resources import codes as registry

if TYPE_CHECKING:
    from lockgate.resources.effects.explain import Explained, FieldExplained, KindExplained
    from lockgate.resources.effects.row import Row

_WIDTH = 100


@click.command(
    epilog="\b\nExamples:\n  lockgate explain LG1102\n  lockgate explain AuthorizationPolicy\n"
    "  lockgate explain vs.spec.http.corsPolicy\n"
    "  lockgate explain 'Ingress.metadata.annotations[external-dns.kubernetes.io/ttl]'"
)
@click.argument("name", required=False, metavar="[CODE | KIND[.FIELD]]", shell_complete=codes.complete)
@output_option
def explain(name: str | None, output: str) -> None:
    """What a code means, or how a kind or field is served here.

    For a code: its meaning, why it matters, an example and its correction. For a kind or field: whether it is served,
    accepted without effect, or refused, and why. Without a name, all codes are listed.
    """
    if name is None or codes.is_code(name):
        _explain_codes(name, output)
        return
    from lockgate.resources.effects.explain import NotDeclared
    from lockgate.resources.effects.explain import explain as look_up

    try:
        found = look_up(name)
    except NotDeclared as error:
        raise click.ClickException(str(error)) from None
    if output == "json":
        print_data(json.dumps(_json(found), indent=2))
        return
    for line in _text(found):
        say(line)


def _explain_codes(name: str | None, output: str) -> None:
    code = codes.find(name) if name is not None else None
    if output == "json":
        shown = codes.as_json(code) if code else [codes.as_json(each) for each in registry.codes()]
        print_data(json.dumps(shown, indent=2))
        return
    for line in codes.lines(code) if code else codes.listed():
        say(line)


def _text(found: Explained) -> Iterator[str]:
    if not isinstance(found, tuple):
        yield from _field(found)
        return
    for kind in found:
        yield from _kind(kind)


def _kind(kind: KindExplained) -> Iterator[str]:
    versions = f" ({', '.join(kind.versions)})" if kind.versions else ""
    yield f"{paint(kind.kind, 'bold')}  {kind.group or 'core'}{versions}: {kind.effect}"
    for row in kind.rows:
        fields = ", ".join(field or "anything else" for field in row.fields if field or not row.whole)
        title = f"{fields} {row.case}".strip() if row.whole else f"{fields}{f' ({row.case})' if row.case else ''}"
        if title:
            yield from wrap(f"{title}: {row.effect}", _WIDTH, initial_indent="  ", subsequent_indent="  ")
        yield from _reason(row)
    if kind.effect == "served":
        yield f"  {'other fields' if kind.rows else 'every field'}: served"


def _field(field: FieldExplained) -> Iterator[str]:
    yield paint(field.path, "bold") + (f": {field.row.effect}" if field.row else "")
    if field.row:
        yield from _reason(field.row)
    for value, row in field.values.items():
        yield f"  {value}: {row.effect}"
        yield from _reason(row)
    width = max(map(len, field.inside), default=0)
    for name, effects in field.inside.items():
        yield f"  {name:<{width}}  {effects}"


def _reason(row: Row) -> Iterator[str]:
    fix = f"; {row.fix}" if row.fix else ""
    code = f" [{row.code.id}]" if row.noticed else ""
    yield from wrap(f"{row.reason}{fix}{code}", _WIDTH, initial_indent="    ", subsequent_indent="    ")


def _json(found: Explained) -> Any:
    if not isinstance(found, tuple):
        return {
            "field": found.path,
            **(_row(found.row) if found.row else {"fields": dict(found.inside)}),
            "values": {value: _row(row) for value, row in found.values.items()},
        }
    return [
        {
            "kind": kind.kind,
            "group": kind.group,
            "versions": list(kind.versions),
            "effect": kind.effect.value,
            "rows": [{"fields": list(row.fields), "case": row.case, **_row(row)} for row in kind.rows],
        }
        for kind in found
    ]


def _row(row: Row) -> dict[str, str]:
    return {
        "effect": row.effect.value,
        "reason": row.reason,
        "fix": row.fix,
        "code": row.code.id if row.noticed else "",
    }
