"""A plan as lines: for a terminal, and as Markdown for a pull request."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from lockgate.deploy.planning import cost, iam
from lockgate.deploy.planning.objects import Action, FieldChange, ObjectChange
from lockgate.deploy.planning.plan import HASHED, Plan
from lockgate.deploy.planning.steps import State, minutes
from lockgate.dns.model import Alias, RecordSet
from lockgate.trace.difference import text as of_difference
from lockgate.trace.difference.text import as_json as difference_as_json

Style: TypeAlias = Callable[[str, str], str]
"""From a text and its role (bold, dim, add, change, remove, fail) to the styled text."""

_FIELDS: Final = 40  # of one object
_VALUE: Final = 100  # characters
_MARKDOWN: Final = 60_000  # characters; GitHub's limit for a comment is 65,536


def plain(text: str, _role: str) -> str:
    return text


def lines(plan: Plan, style: Style = plain, *, policy: bool = False) -> Iterator[str]:
    place = plan.seen.place
    yield style(
        f"{plan.intent.name}: account {place.account}, {place.region}, cluster {place.cluster or place.context}", "bold"
    )
    yield style(f"as {place.caller}; Kubernetes {place.version}", "dim")
    for title, section in _sections(plan, style, policy=policy):
        body = list(section)
        if body:
            yield ""
            yield style(title, "bold")
            yield from (f"  {line}" for line in body)
    yield ""
    yield style(summary(plan), "fail" if plan.problems else "bold")


def _sections(plan: Plan, style: Style, *, policy: bool) -> Iterator[tuple[str, Iterator[str]]]:
    yield "Steps", _steps(plan, style)
    yield "Changes at once", iter(plan.abrupt)
    yield "Objects", (line for each in plan.objects for line in object_lines(each, style))
    yield "What the AWS Load Balancer Controller will do", _balancing(plan)
    yield "Records", _records(plan, style)
    yield "Requests that change", _requests(plan, style)
    yield "Findings of check", (each.diagnostic.line() for each in plan.findings if each.severity.value != "info")
    yield "Versions that do not fit", iter(plan.misfits)
    yield "Cost", _cost(plan)
    yield "Quotas", (f"{each.name}: {each.used} of {each.limit}" for each in plan.quotas if each.near)
    yield "Not read", (f"{each.what}: {each.why}; the plan lacks {each.lacks}" for each in plan.seen.unread)
    if policy:
        yield "IAM policy for apply", iter(json.dumps(iam.policy(plan.needs), indent=2).splitlines())
    yield "Problems", (style(f"✗ {each}", "fail") for each in plan.problems)


def summary(plan: Plan) -> str:
    if plan.problems:
        s = "s" if len(plan.problems) > 1 else ""
        return f"{len(plan.problems)} problem{s} to solve before this can be applied."
    if not plan.changes:
        return "Nothing to do: the account and the cluster have this edge."
    writes = [each for each in plan.todo if each.writes]
    low, high = minutes(plan.steps)
    created = sum(each.action is Action.CREATE for each in plan.objects)
    changed = sum(each.action is Action.UPDATE for each in plan.objects)
    balancing = sum(len(group.changes) for group in plan.seen.groups)
    deleted = sum(each.action is Action.DELETE for each in plan.objects)
    parts = [f"{len(writes)} to do", f"{created} objects to create", f"{changed} to change", f"{deleted} to delete"]
    if balancing:
        parts.append(f"{balancing} changes of load balancers")
    return f"Plan: {', '.join(parts)}; usually {low:.0f} to {max(high, 1):.0f} minutes."


def _steps(plan: Plan, style: Style) -> Iterator[str]:
    for number, step in enumerate(plan.steps, 1):
        mark = style("✓", "add") if step.state is State.DONE else "·" if not step.writes else style("+", "add")
        later = style(" (known after apply)", "dim") if step.deferred else ""
        yield f"{number:>2} {mark} {step.title}{later}"


def object_lines(change: ObjectChange, style: Style = plain) -> Iterator[str]:
    match change.action:
        case Action.NONE:
            return
        case Action.CREATE:
            later = f" (checked once {change.awaits} is there)" if change.awaits else ""
            yield style(f"+ {change.key}{later}", "add")
        case Action.DELETE:
            yield style(f"- {change.key}", "remove")
        case Action.UPDATE:
            yield style(f"~ {change.key}", "change")
            for field in change.fields[:_FIELDS]:
                yield f"    {field_line(field)}"
            if (more := len(change.fields) - _FIELDS) > 0:
                yield f"    … {more} more fields"


def field_line(field: FieldChange) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in field.path).removeprefix(".")
    if field.before is None:
        return f"+ {path}: {_value(field.after)}"
    if field.after is None:
        return f"- {path}: {_value(field.before)}"
    return f"~ {path}: {_value(field.before)} → {_value(field.after)}"


def _value(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _VALUE else f"{text[: _VALUE - 1]}…"


def _balancing(plan: Plan) -> Iterator[str]:
    known = {each.reference: each.arn or "(known after apply)" for each in plan.choices}
    named = _naming(plan)
    for group in plan.seen.groups:
        for change in group.changes:
            text = named(str(change))
            for reference, arn in known.items():
                text = text.replace(reference.rpartition(":")[2], arn.rpartition(":")[2])
            yield text


def _naming(plan: Plan) -> Callable[[str], str]:
    """Shows names that nobody knows yet as such."""
    unknown = plan.unknown_names

    def shown(match: re.Match[str]) -> str:
        return f"{match[0][:-10]}(known after apply)" if match[0] in unknown else match[0]

    return lambda text: HASHED.sub(shown, text)


def _records(plan: Plan, style: Style) -> Iterator[str]:
    known = {each.dns_name.rstrip(".").lower() for each in plan.seen.balancers.all}
    marks = {"CREATE": ("+", "add"), "UPSERT": ("~", "change"), "DELETE": ("-", "remove")}
    for groups in plan.records.changes.values():
        for group in groups:
            for change in group:
                record = change.record_set
                if record.type != "TXT":
                    mark, role = marks[change.action]
                    why = f": {plan.deletions[record.key]}" if change.action == "DELETE" else ""
                    text = f"{mark} {record.name.rstrip('.')} {record.type} → {_data(record, known)}{why}"
                    yield style(text, role)


def _data(record: RecordSet, known: set[str]) -> str:
    if isinstance(record.data, Alias):
        name = record.data.dns_name.rstrip(".").lower()
        return f"alias of {name}" if name in known else "alias of the load balancer (known after apply)"
    return ", ".join(record.data.values)


def _requests(plan: Plan, style: Style) -> Iterator[str]:
    if plan.requests.is_equal:
        return
    shown = difference_as_json(plan.requests, lambda origin: None, plan.intent.planned.manifests.positions())
    yield from map(_naming(plan), of_difference.lines(shown, lambda text, role: style(text, role)))


def _cost(plan: Plan) -> Iterator[str]:
    named = _naming(plan)
    for each in plan.costs:
        yield f"${each.dollars:>7.2f} a month  {named(each.what)} ({each.why})"
    if plan.costs:
        total = sum(each.dollars for each in plan.costs)
        yield f"${total:>7.2f} a month in total, without traffic: list prices of us-east-1, {cost.AS_OF}"
    for each in plan.saved:
        yield f"-${each.dollars:>6.2f} a month  {each.what}, deleted ({each.why})"


def markdown(plan: Plan) -> str:
    """For a comment of at most GitHub's size: the summary first, each section folded."""
    place = plan.seen.place
    where = f"account `{place.account}`, {place.region}, cluster `{place.cluster or place.context}`"
    parts = [f"### {summary(plan)}\n\nEdge `{plan.intent.name}`, {where}"]
    for title, section in _sections(plan, plain, policy=False):
        body = "\n".join(section)
        if body:
            opened = " open" if title in ("Problems", "Requests that change") else ""
            fenced = f"```text\n{body.replace('```', '` ` `')}\n```"
            parts.append(f"<details{opened}><summary>{title}</summary>\n\n{fenced}\n</details>")
    text = "\n\n".join(parts)
    if len(text) <= _MARKDOWN:
        return text
    return f"{text[:_MARKDOWN]}\n```\n</details>\n\n… cut: `lockgate plan` prints all of it"
