"""Equal parts of typed manifests are one object, and nothing else about them changes."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from lockgate.resources import interning, istio
from lockgate.resources.interning import interned, shared
from lockgate.resources.reader import read as read_file

ROUTE: dict[str, Any] = {"destination": {"host": "orders", "port": {"number": 8080}}}


def virtual_service(name: str, *http: dict[str, Any]) -> istio.VirtualService:
    spec = {"hosts": [f"{name}.example"], "http": list(http)}
    return istio.VirtualService.model_validate(
        {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": name}, "spec": spec}
    )


def read(name: str, *http: dict[str, Any]) -> istio.VirtualService:
    made = virtual_service(name, *http)
    interned(made)
    assert made == virtual_service(name, *http)
    assert made.manifest() == virtual_service(name, *http).manifest()
    return made


def test_equal_parts_are_one_object() -> None:
    first, other = read("first", {"route": [ROUTE]}), read("other", {"match": [{"port": 1}], "route": [ROUTE]})
    assert first.spec.http[0].route[0] is other.spec.http[0].route[0]
    assert first.spec.http[0] is not other.spec.http[0]
    assert first.spec.http[0] is read("third", {"route": [ROUTE]}).spec.http[0]


def test_parts_that_say_another_thing_stay_apart() -> None:
    plain, explicit = read("a", {"route": [ROUTE]}), read("b", {"route": [{**ROUTE, "weight": 0}]})
    assert plain.spec.http[0].route[0].model_fields_set != explicit.spec.http[0].route[0].model_fields_set
    one, two = ({"headers": {"x-team": {"exact": value}}} for value in ("one", "two"))
    assert read("c", {"match": [one]}).spec.http[0].match[0].headers["x-team"].exact == "one"
    assert read("d", {"match": [two]}).spec.http[0].match[0].headers["x-team"].exact == "two"


def test_a_copy_does_not_change_what_is_shared() -> None:
    first, other = read("first", {"timeout": "1s"}), read("other", {"timeout": "1s"})
    changed = first.spec.http[0].model_copy(update={"name": "n"})
    assert changed.model_fields_set == {"timeout", "name"}
    assert other.spec.http[0].model_fields_set == {"timeout"}


def test_equal_json_is_one_object() -> None:
    first, other = shared({"a": [ROUTE, 1]}), shared({"a": [copy.deepcopy(ROUTE), 1]})
    assert first is other
    assert first == {"a": [ROUTE, 1]}


@pytest.mark.parametrize(
    "values", [[1, True, 1.0, "1"], [[], {}, None, False, 0], [{"a": 1, "b": 2}, {"b": 2, "a": 1}]]
)
def test_json_that_differs_stays_apart(values: list[Any]) -> None:
    for place in (lambda value: [value], lambda value: {"spec": value}):
        assert [json.dumps(shared(place(value))) for value in values] == [json.dumps(place(value)) for value in values]


def test_documents_share_equal_parts_and_keep_their_own_metadata() -> None:
    text = "apiVersion: v1\nkind: Service\nmetadata: {name: NAME, labels: {a: b}}\nspec: {ports: [{port: 80}]}\n"
    both = "---\n".join(text.replace("NAME", name) for name in ("one", "two"))
    first, other = read_file(both, "f.yaml").documents
    assert first.manifest["spec"] is other.manifest["spec"]
    assert [each.manifest["metadata"] for each in (first, other)] == [
        {"name": name, "labels": {"a": "b"}, "namespace": "default"} for name in ("one", "two")
    ]


def test_the_table_is_bounded() -> None:
    for number in range(3 * interning._MOST):
        interned(virtual_service("many", {"timeout": f"{number}s"}))
        shared({"timeout": f"{number}s"})
    assert len(interning._parts) <= interning._MOST
    assert len(interning._json) <= interning._MOST + 1
