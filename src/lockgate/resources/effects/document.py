"""The reference pages of kinds and fields, generated from the table. Run the module to write them to a folder.

python -m lockgate.resources.effects.document docs/reference
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from lockgate.resources import kinds as _registered  # noqa: F401  # registers them
from lockgate.resources.effects import cert_manager, elbv2, istio, kubernetes, table
from lockgate.resources.effects.row import Effect, Row
from lockgate.resources.model import Kind, kinds

_PAGES: Mapping[str, tuple[str, tuple[Row, ...]]] = {
    "kinds/kubernetes.md": ("Kubernetes", kubernetes.ROWS),
    "istio.md": ("Istio", istio.ROWS),
    "kinds/cert-manager.md": ("cert-manager", cert_manager.ROWS),
    "kinds/elbv2.md": ("The AWS Load Balancer Controller", elbv2.ROWS),
}  # by their paths under docs/reference
_SHORT = {
    istio.POLICY: "*policy*",
    istio.POLICY_TOP: "*policy*",
    istio.MESH: "spec.meshConfig",
    kubernetes.EXTERNAL_DNS: "metadata.annotations[external-dns.kubernetes.io/",
}

_KINDS = """# Kinds

Every kind and every field is *served* (a request, an API or a controller here uses it), *accepted* (the API stores it,
as a cluster does, but nothing here uses it) or *refused* (with an error). `up`, `status`, `show` and `kubectl apply`
warn about accepted settings whose effect a user would miss; similar warnings share a line. `lockgate explain KIND` and
`lockgate explain KIND.FIELD` print the same as these pages. Both are generated from one table,
`src/lockgate/resources/effects`, by `python -m lockgate.resources.effects.document docs/reference`.

## Served

| group | versions | kinds | fields |
| --- | --- | --- | --- |
{served}
## Accepted

| group | kinds | why it has no effect here | warned of |
| --- | --- | --- | --- |
{accepted}
Any other kind is accepted too: {unknown}.
"""

_FIELDS = """# {title}: field by field

*Served*: a request, an API or a controller here uses it. *Accepted*: the API stores it, as a cluster does, but nothing
here uses it. *Refused*: an error reports it. Paths have the form of `kubectl explain`. This page is generated from
`src/lockgate/resources/effects` by `python -m lockgate.resources.effects.document docs/reference`.

Of every kind: {common}.
"""


def pages() -> dict[str, str]:
    """The pages by their paths under docs/reference."""
    return {"kinds.md": _kinds_page()} | {path: _fields(title, rows) for path, (title, rows) in _PAGES.items()}


# --- kinds -------------------------------------------------------------------------------------------------------


def _kinds_page() -> str:
    return _KINDS.format(
        served="".join(_served_kinds()), accepted="".join(_accepted_kinds()), unknown=table.UNKNOWN[0].reason
    )


def _served_kinds() -> Iterator[str]:
    by_place: dict[tuple[str, str, str], list[str]] = {}
    for model in kinds().values():
        kind = model.KIND
        if table.acted_on(*kind.group_kind):
            place = (kind.group or "core", ", ".join(kind.versions), _page_of(kind))
            by_place.setdefault(place, []).append(kind.kind)
    for (group, versions, page), names in sorted(by_place.items()):
        yield f"| {group} | {versions} | {', '.join(sorted(names))} | [{Path(page).stem}]({page}) |\n"


def _page_of(kind: Kind) -> str:
    return next(
        name for name, (_, rows) in _PAGES.items() if any(row in table.rows_of(*kind.group_kind) for row in rows)
    )


def _accepted_kinds() -> Iterator[str]:
    rows = (row for row in table.TABLE if row.whole and row.effect is not Effect.SERVED)
    for row in sorted(rows, key=lambda row: (row.groups, row.kinds)):
        groups = ", ".join(group or "core" for group in row.groups)
        names = ", ".join("all" if kind == "*" else kind for kind in row.kinds)
        case = f" {row.case}" if row.case else ""
        yield f"| {groups} | {names}{case} | {_why(row)} | {_noticed(row)} |\n".replace("*", "\\*")


# --- fields ------------------------------------------------------------------------------------------------------


def _fields(title: str, rows: Iterable[Row]) -> str:
    common = "; ".join(f"{', '.join(_named(row.fields))} {row.effect.value}" for row in table.COMMON)
    parts = [_FIELDS.format(title=title, common=common)]
    by_kinds: dict[tuple[tuple[str, ...], tuple[str, ...]], list[Row]] = {}
    for row in rows:
        by_kinds.setdefault((row.groups, row.kinds), []).append(row)
    for (groups, names), found in by_kinds.items():
        parts.append("".join(_kind(groups, names, found)))
    return "".join(parts)


def _kind(groups: tuple[str, ...], names: tuple[str, ...], rows: list[Row]) -> Iterator[str]:
    yield f"\n## {', '.join(names)}\n\n`{', '.join(group or 'core' for group in groups)}`".replace("*", "\\*")
    whole = [row for row in rows if row.whole]
    acted_on = any(row.effect is Effect.SERVED for row in whole)
    ignored_objects = [row for row in whole if row.effect is not Effect.SERVED]
    yield f": {'served' if acted_on else 'accepted'}.\n"
    if ignored_objects:
        yield "\n"
    for row in ignored_objects:
        yield f"- {f'One {row.case}: ' if row.case else ''}{_why(row)}.{' A warning.' if row.noticed else ''}\n"
    if any("*policy*" in field for row in rows for field in _named(row.fields)):
        yield "\n*policy* is `spec.trafficPolicy`, `spec.subsets.trafficPolicy`, and `portLevelSettings` in both.\n"
    served = [field for row in rows if row.effect is Effect.SERVED for field in _named(row.fields)]
    if served:
        yield f"\nServed: {', '.join(served)}.\n"
    ignored = [row for row in rows if not row.whole and row.effect is not Effect.SERVED]
    if not acted_on:
        ignored = [row for row in ignored if row.noticed or row.fields[-1] != "**"]
    if ignored:
        yield "\n| Field | Here | Why | Warned of |\n| --- | --- | --- | --- |\n"
        for row in ignored:
            case = f" ({row.case})" if row.case else ""
            yield f"| {', '.join(_named(row.fields))}{case} | {row.effect.value} | {_why(row)} | {_noticed(row)} |\n"


def _named(fields: Iterable[str]) -> Iterator[str]:
    """Fields in code style; fields with a long common prefix are shortened."""
    for field in fields:
        if not field:
            continue
        for long, short in _SHORT.items():
            if field.startswith(long):
                field = short + field.removeprefix(long)
                break
        rest = field.removeprefix("*policy*")
        yield f"*policy*`{rest}`" if rest != field else f"`{'anything else' if field == '**' else field}`"


def _why(row: Row) -> str:
    return row.reason.replace("|", "\\|") + (f" ({row.fix})".replace("|", "\\|") if row.fix else "")


def _noticed(row: Row) -> str:
    return f"`{row.code.id}`" if row.noticed else "–"


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for path, text in pages().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
