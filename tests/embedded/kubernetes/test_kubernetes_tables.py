"""The pure parts of the Kubernetes API, by the rows of tests/cases/embedded/kubernetes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from lockgate.embedded.kubernetes.custom import cel, structural
from lockgate.embedded.kubernetes.jsonpath import first
from lockgate.embedded.kubernetes.patch import json_patch, merge_patch, strategic_merge_patch
from lockgate.embedded.kubernetes.selectors import field_selector, label_selector
from lockgate.embedded.kubernetes.server_side_apply import Manager, apply, record_update
from lockgate.embedded.kubernetes.tables import age
from lockgate.embedded.kubernetes.tables import rows as table_rows
from lockgate.embedded.kubernetes.topology import OfSchema
from lockgate.resources import core
from lockgate.resources.field_errors import field_name
from lockgate.resources.model import JsonObject, Kind
from lockgate.resources.status import ApiError

CASES = Path(__file__).parents[2] / "cases/embedded/kubernetes"
WIDGET = Kind("example.test", ("v1",), "Widget", "widgets", selectable=("spec.kind",))


def rows(name: str) -> Any:
    return yaml.safe_load((CASES / name).read_text())


SELECTORS = rows("selectors.yaml")


def _picked(case: JsonObject, kind: str) -> list[str]:
    matches = label_selector(case["selector"]) if kind == "labels" else field_selector(case["selector"], WIDGET)
    return [
        name
        for name, metadata in SELECTORS["objects"].items()
        if matches({"metadata": {"name": name, **metadata}, "spec": {"kind": "ConfigMap"}})
    ]


@pytest.mark.parametrize(
    ("kind", "case"),
    [(kind, case) for kind in ("labels", "fields") for case in SELECTORS[kind]],
    ids=lambda value: value["selector"] or "empty" if isinstance(value, dict) else value,
)
def test_selector(kind: str, case: JsonObject) -> None:
    if "error" in case:
        with pytest.raises(ApiError) as refused:
            _picked(case, kind)
        assert refused.value.message == case["error"]
    else:
        assert _picked(case, kind) == case["picks"]


def _patched(case: JsonObject) -> Any:
    def key(path: tuple[str, ...]) -> str | None:
        return {"ports": "name", "env": "name", "finalizers": ""}.get(path[-1])

    match case["type"]:
        case "json":
            return json_patch(case["before"], case["patch"])
        case "merge":
            return merge_patch(case["before"], case["patch"])
        case _:
            return strategic_merge_patch(case["before"], case["patch"], key)


@pytest.mark.parametrize("case", rows("patches.yaml"), ids=lambda case: case["name"])
def test_patch(case: JsonObject) -> None:
    before = yaml.safe_dump(case["before"])
    if "error" in case:
        with pytest.raises(ApiError) as refused:
            _patched(case)
        assert refused.value.message == case["error"]
    else:
        assert _patched(case) == case["after"]
    assert yaml.safe_dump(case["before"]) == before, "a patch changes nothing in place"


# `ports` is a list with a key, `tags` a set, `selector` an atomic map, and every other list is atomic.
SCHEMA: JsonObject = {
    "properties": {
        "spec": {
            "properties": {
                "ports": {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "type": "array"},
                "tags": {"x-kubernetes-list-type": "set", "type": "array"},
                "selector": {"x-kubernetes-map-type": "atomic", "type": "object"},
            }
        }
    }
}


@pytest.mark.parametrize("case", rows("server_side_apply.yaml"), ids=lambda case: case["name"])
def test_server_side_apply(case: JsonObject) -> None:
    topology = OfSchema(SCHEMA)
    live: JsonObject = {"metadata": {"name": "one"}}
    for number, step in enumerate(case["steps"]):
        if "unowned" in step:
            live = {**step["unowned"], "metadata": {"name": "one"}}
            continue
        manager = Manager(step["by"], "example.test/v1", "", f"2030-01-01T00:00:0{number}Z")
        before = live
        if "update" in step:
            after = {**step["update"], "metadata": {"name": "one", **step["update"].get("metadata", {})}}
            entries = live["metadata"].get("managedFields", [])
            after["metadata"]["managedFields"] = record_update(live, after, entries, manager, topology)
            live = after
        elif "conflict" in step:
            with pytest.raises(ApiError) as refused:
                apply(live, step["apply"], manager, topology, force=False, kind=WIDGET)
            assert refused.value.message == step["conflict"]
        else:
            live = apply(live, step["apply"], manager, topology, force=step.get("force", False), kind=WIDGET)
        assert (live != before) is (step.get("writes", True) and "conflict" not in step)
    managed = live["metadata"].pop("managedFields")
    expected = {"metadata": {"name": "one", **case["object"].get("metadata", {})}}
    assert live == {**case["object"], **expected}
    if "owned" in case:
        assert {entry["manager"]: entry["fieldsV1"] for entry in managed} == case["owned"]


@pytest.mark.parametrize("case", rows("structural.yaml"), ids=lambda case: case["name"])
def test_structural_schema(case: JsonObject) -> None:
    schema, body = case["schema"], case["object"]
    faults = [str(fault) for fault in structural.refusals(schema, body)]
    expected = case.get("faults", [])
    assert len(faults) == len(expected), faults
    for fault, text in zip(faults, expected, strict=True):
        assert re.match(text.strip("/"), fault) if text.startswith("/") else fault == text
    assert [field_name(path) for path in structural.unknown_fields(schema, body)] == case.get("unknown", [])
    assert structural.defaulted(schema, body) == case.get("defaulted", body)
    if "stored" in case:
        assert structural.without_nulls(schema, body) == case["stored"]


@pytest.mark.parametrize("case", rows("cel.yaml"), ids=lambda case: case["name"])
def test_rules(case: JsonObject) -> None:
    found = cel.refusals(case["schema"], case["object"], case.get("old"))
    assert [f"{fault.reason} {fault}" for fault in found] == case.get("faults", [])


@pytest.mark.parametrize(
    "expression",
    ["self.foo(1)", "JSONPatch{op: 'add'}", "1 + 'a' == 2", "authorizer.group('')", "self ==", "semver(1)"],
)
def test_what_is_not_served_does_not_compile(expression: str) -> None:
    with pytest.raises(cel.CelError) as refused:
        if cel.Program(expression).evaluate({"self": 1}):
            pass
    name = re.search(r"[a-zA-Z0-9]+(?=\()|_\+_", expression)
    assert not name or name[0] in str(refused.value)


def test_a_list_is_distinguished_by_its_schema() -> None:
    ports = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "port"], "items": {}}
    inner = {"items": {"properties": {"ports": {**ports, "items": {"properties": {"tags": _SET}}}}}, "type": "array"}
    schema = {"properties": {"spec": {"properties": {"servers": inner, "hosts": {"type": "array"}}}}}
    assert OfSchema(schema).list_keys(("spec", "servers")) is None
    assert OfSchema(schema).list_keys(("spec", "servers", "ports")) == ("name", "port")
    assert OfSchema(schema).list_keys(("spec", "hosts")) is None
    assert OfSchema(schema).list_keys(("spec", "nothing", "there")) is None


_SET = {"type": "array", "x-kubernetes-list-type": "set"}


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "<invalid>"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (599, "9m59s"),
        (600, "10m"),
        (10799, "179m"),
        (10800, "3h"),
        (11000, "3h3m"),
        (28800, "8h"),
        (172799, "47h"),
        (172800, "2d"),
        (180000, "2d2h"),
        (691200, "8d"),
        (63072000, "2y"),
        (66000000, "2y33d"),
        (252288000, "8y"),
    ],
)
def test_age(seconds: int, shown: str) -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    since = (now - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert age(since, now) == shown


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (".spec.size", 3),
        ("{.spec.size}", 3),
        ("$.spec.size", 3),
        ('.status.conditions[?(@.type=="Ready")].status', "True"),
        (".status.conditions[?(@.type!='Ready')].status", "False"),
        (".spec.hosts[0]", "a.test"),
        (".spec.hosts[-1]", "b.test"),
        (".spec.hosts[9]", None),
        (".spec.hosts[*]", "a.test"),
        (r".metadata.annotations.a\.b/c", "x"),
        (".metadata.annotations['a.b/c']", "x"),
        (".spec.nothing.there", None),
        (".spec[", None),
    ],
)
def test_jsonpath(path: str, value: object) -> None:
    body = {
        "metadata": {"annotations": {"a.b/c": "x"}},
        "spec": {"size": 3, "hosts": ["a.test", "b.test"]},
        "status": {"conditions": [{"type": "Issuing", "status": "False"}, {"type": "Ready", "status": "True"}]},
    }
    assert first(path, body) == value


@pytest.mark.parametrize(
    ("times", "shown"),
    [
        ({"firstTimestamp": "2026-01-02T03:00:00Z", "lastTimestamp": "2026-01-02T03:04:00Z"}, "5s"),
        ({"eventTime": "2026-01-02T03:03:35.000000Z"}, "30s"),
        (
            {"eventTime": "2026-01-02T03:00:00Z", "series": {"count": 3, "lastObservedTime": "2026-01-02T03:04:03Z"}},
            "2s",
        ),
        ({}, "<unknown>"),
    ],
)
def test_when_an_event_was_seen_last(times: JsonObject, shown: str) -> None:
    event = {"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "p"}, **times}
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    (row,) = table_rows(core.Event.KIND, [event], include="None", now=now)
    assert row["cells"][0] == shown
