"""A trace as lines for people, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from lockgate.gateway.model import Origin
from lockgate.resources.finding import Position
from lockgate.trace.model import Ending, Fact, Hop, Trace, Verdict, Where
from lockgate.trace.table import Table

Locate: TypeAlias = Callable[[Origin], Position | None]
Style: TypeAlias = Callable[[str, str], str]
"""Text and a role (`pass`, `answer`, `fail`, `open`, `dim`, `bold`) to styled text."""

_MARKS: Mapping[Verdict, tuple[str, str]] = {
    Verdict.PASSES: ("✓", "pass"),
    Verdict.ANSWERS: ("●", "answer"),
    Verdict.FAILS: ("✗", "fail"),
    Verdict.UNDECIDED: ("?", "open"),
}
_MOST_SKIPPED = 5  # of a hop, unless all are asked for


def plain(text: str, _role: str) -> str:
    return text


def lines(trace: Trace, locate: Locate, style: Style = plain, *, verbose: bool = False) -> Iterator[str]:
    request = trace.request
    yield style(f"{request.method} {request.url}", "bold") + style(
        f"   {request.protocol} from {request.source}", "dim"
    )
    for hop in trace.hops:
        mark, role = _MARKS[hop.verdict]
        yield f" {style(mark, role)} {hop.name:<13} {hop.title}{_shown(hop.where, locate, style)}"
        yield from _facts(hop, locate, style, verbose)
    yield from _ending(trace.ending, locate, style)
    if trace.followed is not None:
        yield ""
        yield from lines(trace.followed, locate, style, verbose=verbose)


def _facts(hop: Hop, locate: Locate, style: Style, verbose: bool) -> Iterator[str]:
    skipped = [fact for fact in hop.facts if fact.skipped]
    hidden = 0 if verbose else max(len(skipped) - _MOST_SKIPPED, 0)
    if hidden:
        yield style(f"{'':17}{hidden} earlier ones do not match; --verbose shows them", "dim")
    for fact in (*skipped[hidden:], *(fact for fact in hop.facts if not fact.skipped)):
        text = f"not {fact.text}" if fact.skipped else fact.text
        yield style(f"{'':17}{text}", "dim") + _shown(fact.where, locate, style)


def _ending(ending: Ending, locate: Locate, style: Style) -> Iterator[str]:
    if ending.cause:
        yield f" {style('→', 'fail')} {ending.cause}{_shown(ending.where, locate, style)}"
        if ending.fix:
            yield f"   {style('fix:', 'bold')} {ending.fix}"
    elif ending.location:
        yield f" {style('→', 'answer')} {ending.status} to {ending.location}"
    elif ending.backend:
        yield f" {style('→', 'pass')} {ending.backend} answers"
    else:
        yield f" {style('→', 'answer')} {ending.status} from the {ending.by}"
    for name, value in ending.headers:
        yield style(f"   {name}: {value}", "dim")


def table_lines(tables: Iterable[Table], locate: Locate, style: Style = plain) -> Iterator[str]:
    """The route table, each row with its line; what no request can reach is marked and named."""
    for table in tables:
        yield style(table.title, "bold") + _shown(table.where, locate, style)
        width = min(max((len(row.match) for row in table.rows), default=0), 60)
        for row in table.rows:
            mark = style("✗", "fail") if row.taken_by else " "
            yield f" {mark} {row.match:<{width}}  → {row.leads}{_shown(row.where, locate, style)}"
            if row.taken_by:
                taken = f"no request reaches it: {row.taken_by} takes every request that it would match"
                yield f"     {style(taken, 'fail')}{_shown(row.taken_at, locate, style)}"


def table_json(tables: Iterable[Table], locate: Locate) -> list[dict[str, Any]]:
    return [
        {
            "title": table.title,
            "at": _at(table.where, locate),
            "rows": [
                {
                    "match": row.match,
                    "leads": row.leads,
                    "at": _at(row.where, locate),
                    "reachable": not row.taken_by,
                    "taken_by": row.taken_by or None,
                    "taken_at": _at(row.taken_at, locate),
                }
                for row in table.rows
            ],
        }
        for table in tables
    ]


def _shown(where: Where, locate: Locate, style: Style) -> str:
    position = _position(where, locate)
    return style(f"  {position}", "dim") if position else ""


def _position(where: Where, locate: Locate) -> Position | None:
    return locate(where) if isinstance(where, Origin) else where


# --- JSON --------------------------------------------------------------------------------------------------------


def as_json(trace: Trace, locate: Locate) -> dict[str, Any]:
    request, ending = trace.request, trace.ending
    return {
        "request": {
            "url": request.url,
            "method": request.method,
            "protocol": request.protocol,
            "source": request.source,
            "headers": [list(pair) for pair in request.headers],
        },
        "hops": [_hop(hop, locate) for hop in trace.hops],
        "ending": {
            "status": ending.status,
            "by": ending.by,
            "location": ending.location or None,
            "backend": ending.backend or None,
            "headers": [list(pair) for pair in ending.headers],
            "cause": ending.cause or None,
            "fix": ending.fix or None,
            "at": _at(ending.where, locate),
        },
        "followed": as_json(trace.followed, locate) if trace.followed else None,
    }


def _hop(hop: Hop, locate: Locate) -> dict[str, Any]:
    return {
        "hop": hop.name,
        "verdict": hop.verdict.value,
        "title": hop.title,
        "at": _at(hop.where, locate),
        "facts": [_fact(fact, locate) for fact in hop.facts],
        **hop.data,
    }


def _fact(fact: Fact, locate: Locate) -> dict[str, Any]:
    return {"text": fact.text, "skipped": fact.skipped, "at": _at(fact.where, locate)}


def _at(where: Where, locate: Locate) -> str | None:
    position = _position(where, locate)
    return str(position) if position else None
