"""A trace as JSON for programs, and that JSON as lines for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from lockgate.resources.faults import Locate
from lockgate.trace.model import Hop, Trace, Where

if TYPE_CHECKING:
    from lockgate.trace.table import Table

Json: TypeAlias = dict[str, Any]
Style: TypeAlias = Callable[[str, str], str]
"""Text and a role (`pass`, `answer`, `fail`, `open`, `dim`, `bold`) to styled text."""

Noted: TypeAlias = Callable[[Hop], list[Json]]
"""The diagnostics, as JSON, of the part of a manifest that decides a hop."""

_MARKS: Mapping[str, tuple[str, str]] = {
    "passes": ("✓", "pass"),
    "answers": ("●", "answer"),
    "fails": ("✗", "fail"),
    "undecided": ("?", "open"),
}
_MOST_SKIPPED = 5  # per hop, unless all are requested
_INDENT = " " * 17


def plain(text: str, _role: str) -> str:
    return text


# --- JSON --------------------------------------------------------------------------------------------------------


def as_json(trace: Trace, locate: Locate, noted: Noted | None = None) -> Json:
    """`locate` resolves a field to its current line. `noted` has what else is known of each hop's place."""
    request, ending = trace.request, trace.ending
    return {
        "request": {
            "url": request.url,
            "method": request.method,
            "protocol": request.protocol,
            "source": request.source,
            "headers": [list(pair) for pair in request.headers],
        },
        "hops": [
            {
                "hop": hop.name,
                "verdict": hop.verdict.value,
                "title": hop.title,
                "at": _at(hop.where, locate),
                "facts": [
                    {"text": fact.text, "skipped": fact.skipped, "at": _at(fact.where, locate)} for fact in hop.facts
                ],
                **({"findings": found} if noted and (found := noted(hop)) else {}),
                **hop.data,
            }
            for hop in trace.hops
        ],
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
        "followed": as_json(trace.followed, locate, noted) if trace.followed else None,
    }


def table_json(tables: Iterable[Table], locate: Locate) -> list[Json]:
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


def _at(where: Where, locate: Locate) -> str | None:
    position = locate(where) if where is not None else None
    return str(position) if position else None


# --- lines -------------------------------------------------------------------------------------------------------


def lines(trace: Json, style: Style = plain, *, verbose: bool = False) -> Iterator[str]:
    request = trace["request"]
    asked = style(f"{request['method']} {request['url']}", "bold")
    yield asked + style(f"   {request['protocol']} from {request['source']}", "dim")
    for hop in trace["hops"]:
        mark, role = _MARKS[hop["verdict"]]
        yield f" {style(mark, role)} {hop['hop']:<13} {hop['title']}{_shown(hop['at'], style)}"
        yield from _facts(hop["facts"], style, verbose)
        for each in hop.get("findings", ()):
            role = "fail" if each["severity"] == "error" else "open"
            yield f"{_INDENT}{style(each['severity'], role)}: {each['message']} [{each['code']}]{_placed(each, style)}"
    yield from _ending(trace["ending"], style)
    if trace["followed"] is not None:
        yield ""
        yield from lines(trace["followed"], style, verbose=verbose)


def table_lines(tables: Iterable[Json], style: Style = plain) -> Iterator[str]:
    """The route table, each row with its line; unreachable rows are marked."""
    for table in tables:
        yield style(table["title"], "bold") + _shown(table["at"], style)
        width = min(max((len(row["match"]) for row in table["rows"]), default=0), 60)
        for row in table["rows"]:
            mark = " " if row["reachable"] else style("✗", "fail")
            yield f" {mark} {row['match']:<{width}}  → {row['leads']}{_shown(row['at'], style)}"
            if not row["reachable"]:
                taken = f"no request reaches it: {row['taken_by']} takes every request that it would match"
                yield f"     {style(taken, 'fail')}{_shown(row['taken_at'], style)}"


def _facts(facts: list[Json], style: Style, verbose: bool) -> Iterator[str]:
    skipped = [fact for fact in facts if fact["skipped"]]
    hidden = 0 if verbose else max(len(skipped) - _MOST_SKIPPED, 0)
    if hidden:
        yield style(f"{_INDENT}{hidden} earlier ones do not match; --verbose shows them", "dim")
    for fact in (*skipped[hidden:], *(fact for fact in facts if not fact["skipped"])):
        text = f"not {fact['text']}" if fact["skipped"] else fact["text"]
        yield style(f"{_INDENT}{text}", "dim") + _shown(fact["at"], style)


def _ending(ending: Json, style: Style) -> Iterator[str]:
    if ending["cause"]:
        yield f" {style('→', 'fail')} {ending['cause']}{_shown(ending['at'], style)}"
        if ending["fix"]:
            yield f"   {style('fix:', 'bold')} {ending['fix']}"
    elif ending["location"]:
        yield f" {style('→', 'answer')} {ending['status']} to {ending['location']}"
    elif ending["backend"]:
        yield f" {style('→', 'pass')} {ending['backend']} answers"
    else:
        yield f" {style('→', 'answer')} {ending['status']} from the {ending['by']}"
    for name, value in ending["headers"]:
        yield style(f"   {name}: {value}", "dim")


def _placed(finding: Json, style: Style) -> str:
    at = finding["position"]
    return _shown(f"{at['file']}:{at['line']}:{at['column']}" if at else None, style)


def _shown(place: str | None, style: Style) -> str:
    return style(f"  {place}", "dim") if place else ""
