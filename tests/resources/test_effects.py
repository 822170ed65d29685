"""Nothing is silent: every kind and field is in a class, and the classes say what the code does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate.edge.policy_scope import GatewayPods
from lockgate.resources import core
from lockgate.resources.effects import document, table
from lockgate.resources.effects.row import Effect, Pattern, Row, parts_of
from lockgate.resources.effects.uses import fault, uses_of
from lockgate.resources.model import Model, Resource, kinds
from lockgate.resources.shape import Free, ListOf, MapOf, Object, Scalar, Shape, shape_of
from tests.resources.cases import rows

SOURCE = Path(table.__file__).parents[2]
MODELS = list(kinds().values())
Parts = tuple[str, ...]


def fields(shape: Shape, path: Parts = ()) -> Iterator[tuple[Parts, Shape]]:
    """Every field that holds a value, by its path without list indexes; ``*`` stands for a map's keys."""
    match shape:
        case Object():
            for name, field in shape.fields.items():
                yield from fields(field.shape, (*path, name))
            if shape.model.OPEN:
                yield (*path, "anything"), Free()
        case ListOf(inner):
            yield from fields(inner, path)
        case MapOf(inner) if not isinstance(inner, Scalar):
            yield from fields(inner, (*path, "*"))
        case _:
            yield path, shape


def undeclared(model: type[Resource]) -> list[str]:
    group, kind = model.KIND.group_kind
    return [".".join(path) for path, _ in fields(shape_of(model)) if table.field_row(group, kind, path) is None]


def example(shape: Shape, path: Parts) -> Any:
    """A value of the shape in which only the field at `path` is set."""
    match shape:
        case Object():
            name, rest = path[0], path[1:]
            return {name: example(shape.fields[name].shape, rest) if name in shape.fields else {"some": "thing"}}
        case ListOf(inner):
            return [example(inner, path)]
        case MapOf(inner):
            return {"key": example(inner, path[1:])}
        case Scalar(type="boolean"):
            return True
        case Scalar(type="integer" | "number" | "int-or-string"):
            return 7
        case Scalar(choices=(first, *_)):
            return first
        case Free():
            return {"some": "thing"}
        case _:
            return "text"


def _declared() -> set[tuple[str, str]]:
    """Every kind that a row names, and some that a glob means."""
    return {
        (group.replace("*", "x"), kind.replace("*", "X"))
        for row in table.TABLE
        for group in row.groups
        for kind in row.kinds
    }


_CONDITIONS = {
    "selector", "matchLabels", "workloadSelector", "labels", "targetRefs", "kind", "match", "context", "rules",
    "action", "names", "group", "containers", "image", "template", "jobTemplate", "mtls", "portLevelMtls", "mode",
}  # fmt: skip
# What rows and their conditions look for.
_NAMES = sorted(
    _CONDITIONS | {part.strip("[]") for row in table.TABLE for pattern in row.patterns for part in pattern.parts}
)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.KIND.kind)
def test_every_field_is_in_a_class(model: type[Resource]) -> None:
    assert undeclared(model) == []


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.KIND.kind)
def test_every_kind_is_in_a_class(model: type[Resource]) -> None:
    assert table.object_rows(*model.KIND.group_kind) != table.UNKNOWN[:1]


def test_an_undeclared_field_has_no_class() -> None:
    class Hose(Model):
        length: int = 0

    class Spec(core.ServiceSpec):
        hose: Hose | None = None

    class Service(core.Service):
        spec: Spec = Spec()

    assert undeclared(Service) == ["spec.hose.length"]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.KIND.kind)
def test_a_field_that_is_set_is_noticed_where_its_row_says_so(model: type[Resource]) -> None:
    group, kind = model.KIND.group_kind
    for path, _ in fields(shape_of(model)):
        row = table.field_row(group, kind, path)
        assert row is not None
        if row.noticed and row.when is None and path[-1] != "anything":
            manifest = example(shape_of(model), path)
            assert row in [notice.row for notice in table.notices(group, kind, manifest)], ".".join(path)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.KIND.kind)
def test_no_field_is_in_two_classes(model: type[Resource]) -> None:
    group, kind = model.KIND.group_kind
    for path, _ in fields(shape_of(model)):
        found = {row.effect for row in _exactly(group, kind, path)}
        assert len(found) <= 1, ".".join(path)


def _exactly(group: str, kind: str, path: Parts) -> list[Row]:
    """The rows that name the last part of a path."""
    return [
        row
        for row in (*table.rows_of(group, kind), *table.COMMON)
        if any(not one.value and one.parts[-1:] == path[-1:] and one.covers(path) for one in row.patterns)
    ]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.KIND.kind)
def test_no_row_is_about_a_field_that_does_not_exist(model: type[Resource]) -> None:
    group, kind = model.KIND.group_kind
    if table.rows_of(group, kind) == table.UNKNOWN:
        return
    known = [path for path, _ in fields(shape_of(model))]
    for row in table.rows_of(group, kind):
        for pattern in row.patterns:
            assert not pattern.parts or any(_leads_to(pattern, path) for path in known), pattern.text


def _leads_to(pattern: Pattern, path: Parts) -> bool:
    """Whether a pattern names a field, something above it, or something in content that no model types."""
    if pattern.covers(path) or any(pattern.covers(path[:end]) for end in range(1, len(path))):
        return True
    above = path[:-1] if path[-1] == "anything" else path
    return len(pattern.parts) > len(above) and Pattern("", pattern.parts[: len(above)]).covers(above)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.KIND.kind)
def test_only_open_content_is_declared_as_a_whole(model: type[Resource]) -> None:
    """A pattern that ends in ``**`` would take in fields that a model gets tomorrow."""
    group, kind = model.KIND.group_kind
    for path, shape in fields(shape_of(model)):
        if path[0] in ("status", "metadata") or isinstance(shape, Free) or shape == Scalar("any"):
            continue
        assert _exactly(group, kind, path), ".".join(path)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.KIND.kind)
def test_what_is_served_is_read(model: type[Resource]) -> None:
    """A field that is said to be served is named by code outside of the models: as an attribute, or as a text."""
    group, kind = model.KIND.group_kind
    unread = []
    for path, _ in fields(shape_of(model)):
        row = table.field_row(group, kind, path)
        if row and row.effect is Effect.SERVED and not {path[-1], _attribute(model, path)} & _names():
            unread.append(".".join(path))
    assert unread == []


def _attribute(model: type[Model], path: Parts) -> str:
    """The Python name of a field."""
    shape: Shape = shape_of(model)
    name = ""
    for part in path:
        while isinstance(shape, (ListOf, MapOf)) and part != "*":
            shape = shape.item if isinstance(shape, ListOf) else shape.value
        match shape:
            case Object(model=owner):
                known = {info.alias or name: name for name, info in owner.model_fields.items()}
                name = known.get(part, "get")
                shape = shape.fields[part].shape if part in shape.fields else Free()
            case MapOf(inner):
                shape = inner
    return name


def _names(found: set[str] = set()) -> set[str]:  # noqa: B006  # read once
    if not found:
        for file in SOURCE.rglob("*.py"):
            if file.parts[-2] == "effects" or file.parent.name in ("resources", "rules", "istio"):
                continue
            for node in ast.walk(ast.parse(file.read_text())):
                match node:
                    case ast.Attribute(attr=name) | ast.Constant(value=str(name)):
                        found.add(name)
                    case ast.MatchClass(kwd_attrs=names):
                        found.update(names)
    return found


def test_the_reference_pages_are_current() -> None:
    folder = SOURCE.parents[1] / "docs" / "reference"
    stale = [path for path, text in document.pages().items() if (folder / path).read_text() != text]
    assert stale == [], "run python -m lockgate.resources.effects.document docs/reference"


@pytest.mark.parametrize("row", rows("effects.yaml"))
def test_effects(row: dict[str, Any]) -> None:
    group, _, _version = row["manifest"]["apiVersion"].rpartition("/")
    found = table.notices(group, row["manifest"]["kind"], row["manifest"])
    assert [f"{'.'.join(map(str, notice.path)) or 'object'}: {notice.row.reason}" for notice in found] == row["notices"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=4),
    max_leaves=12,
)
_CONTENT = st.dictionaries(st.sampled_from(["spec", "data", "webhooks", "subsets"]), _JSON, max_size=2)


@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(group_kind=st.sampled_from(sorted(_declared())), content=_CONTENT, labels=_JSON)
def test_no_content_is_too_strange(group_kind: tuple[str, str], content: dict[str, Any], labels: Any) -> None:
    """What the API only stores may hold anything."""
    group, kind = group_kind
    metadata = {"name": "a", "namespace": "b", "annotations": labels}
    manifest = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": metadata, **content}
    for use in uses_of(manifest, table.notices(group, kind, manifest)):
        assert use.name in fault([use], None).message
    GatewayPods((("b", {"istio": "a"}),), "b").scope(manifest)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("spec.a", ("spec", "a")),
        ("metadata.annotations[a.b/c]", ("metadata", "annotations", "[a.b/c]")),
        ("", ()),
    ],
)
def test_parts_of_a_path(text: str, parts: Parts) -> None:
    assert parts_of(text) == parts


@pytest.mark.parametrize(
    ("pattern", "path", "covers"),
    [
        ("spec.a", "spec.a", True),
        ("spec.a", "spec.a.b", False),
        ("spec.*.b", "spec.*.b", True),
        ("spec.**", "spec.a.b", True),
        ("spec.**.c", "spec.c", True),
        ("spec.**.c", "spec.a.b.c", True),
        ("spec.**.c", "spec.a.b", False),
        ("metadata.annotations[x.*]", "metadata.annotations[x.y/z]", True),
        ("metadata.annotations[x.*]", "metadata.annotations", False),
    ],
)
def test_patterns(pattern: str, path: str, covers: bool) -> None:
    assert Pattern(pattern, parts_of(pattern)).covers(parts_of(path)) is covers
