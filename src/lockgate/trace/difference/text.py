"""What differs as JSON for programs, and that JSON as lines for people and as Markdown for a pull request."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from lockgate.resources.faults import Locate
from lockgate.trace.difference.model import Difference, RequestClass, Side
from lockgate.trace.model import Request
from lockgate.trace.text import Json, Style, plain

_MOST_SHOWN = 50
_MOST_ROWS = 50  # of a table in a pull request


def as_json(found: Difference, old: Locate, new: Locate) -> Json:
    """`old` and `new` resolve a part of each edge's manifests to its line."""
    return {
        "equal": found.is_equal,
        "hosts": found.hosts,
        "classes": [_class(each, old, new) for each in found.classes],
        "undecided": list(found.undecided),
    }


def _class(each: RequestClass, old: Locate, new: Locate) -> Json:
    witness = each.witness
    return {
        "requests": each.requests,
        "hosts": list(each.hosts),
        "every_host": each.every_host,
        "ports": list(each.ports),
        "conditions": list(each.conditions),
        "changes": [{"aspect": one.aspect, "old": one.old, "new": one.new} for one in each.changes],
        "witness": {
            "url": witness.url,
            "method": witness.method,
            "headers": [list(pair) for pair in witness.headers],
            "source": witness.source,
            "curl": curl(witness),
        },
        "old": _side(each.old, old),
        "new": _side(each.new, new),
    }


def _side(side: Side, locate: Locate) -> dict[str, Any]:
    position = locate(side.where) if side.where is not None else None
    return {"answer": side.answer, "at": str(position) if position else None}


def curl(request: Request) -> str:
    """A command that sends the request."""
    parts = ["curl", "-i"]
    if request.method == "HEAD":
        parts.append("-I")
    elif request.method != "GET":
        parts += ["-X", request.method]
    for name, value in request.headers:
        parts += ["-H", f"{name}: {value}" if value else f"{name};"]
    if ".." in request.target or "/./" in request.target:
        parts.append("--path-as-is")
    return shlex.join([*parts, request.url])


# --- lines -------------------------------------------------------------------------------------------------------


def lines(found: Json, style: Style = plain) -> Iterator[str]:
    for each in found["classes"][:_MOST_SHOWN]:
        yield style(f"{_ports(each)} {each['requests']}", "bold")
        for side, role in (("old", "fail"), ("new", "pass")):
            mark = style({"old": "-", "new": "+"}[side], role)
            place = each[side]["at"]
            yield f" {mark} {each[side]['answer']}" + (style(f"  {place}", "dim") if place else "")
        for change in each["changes"]:
            yield f"   {change['aspect']}: {change['old']} → {change['new']}"
        yield style(f"   {_asked(each)}", "dim")
        yield ""
    if len(found["classes"]) > _MOST_SHOWN:
        yield style(f" … {len(found['classes']) - _MOST_SHOWN:,} more classes; --output json has all", "dim")
        yield ""
    for text in found["undecided"]:
        yield f" {style('?', 'open')} not decided: {text}"
    yield style(summary(found), "bold")


def summary(found: Json) -> str:
    names = f"{found['hosts']:,} {'host' if found['hosts'] == 1 else 'hosts'}"
    count = len(found["classes"])
    if count:
        text = f"{count} {'class of requests differs' if count == 1 else 'classes of requests differ'}, of {names}"
    elif found["undecided"]:
        text = f"no difference found, of {names}"
    elif not found["hosts"]:
        text = "equal: neither side serves a host"
    else:
        text = f"equal: no request to {names} is treated differently"
    more = len(found["undecided"])
    return text + (f"; {more} {'question' if more == 1 else 'questions'} not decided" if more else "")


def _ports(each: Json) -> str:
    ports = each["ports"]
    return ", ".join(ports) if len(ports) <= 4 else f"{len(ports)} ports"


def _asked(each: Json) -> str:
    command, source = str(each["witness"]["curl"]), each["witness"]["source"]
    return command + ("" if source == "203.0.113.10" else f"   from {source}")


# --- Markdown ----------------------------------------------------------------------------------------------------


def markdown(found: Json, old: str, new: str) -> Iterator[str]:
    """A comment for a pull request. `old` and `new` are the names of the two revisions."""
    yield "### Which requests change"
    yield ""
    if found["classes"]:
        yield f"| requests | {_code(old)} | {_code(new)} |"
        yield "| --- | --- | --- |"
        for each in found["classes"][:_MOST_ROWS]:
            asked = f"{_cell(_ports(each))} {_cell(each['requests'])}"
            yield f"| {asked} | {_answer(each, 'old')} | {_answer(each, 'new')} |"
        if len(found["classes"]) > _MOST_ROWS:
            yield f"| … {len(found['classes']) - _MOST_ROWS} more | | |"
        yield ""
        yield "<details><summary>One request of each, and the lines that decide</summary>"
        yield ""
        for each in found["classes"][:_MOST_ROWS]:
            yield f"- {_cell(each['requests'])}"
            yield f"  - `{_asked(each)}`"
            for side, name in (("old", old), ("new", new)):
                if each[side]["at"]:
                    yield f"  - {_code(name)}: {_code(each[side]['at'])}"
        yield ""
        yield "</details>"
        yield ""
    for text in found["undecided"]:
        yield f"- Not decided: {_cell(text)}"
    if found["undecided"]:
        yield ""
    yield f"{_cell(summary(found))}."


def _answer(each: Json, side: str) -> str:
    """The answer to the witness, with what changed where the answer alone does not show it."""
    parts = [_cell(each[side]["answer"])]
    if each["old"]["answer"] == each["new"]["answer"]:
        parts += [_cell(f"{change['aspect']}: {change[side]}") for change in each["changes"]]
    return "<br>".join(parts)


def _cell(text: str) -> str:
    for char in ("\\", "|", "*", "_", "<", "`"):
        text = text.replace(char, f"\\{char}")
    return text.replace("\n", " ")


def _code(text: str) -> str:
    return f"`{text.replace('`', '')}`"
