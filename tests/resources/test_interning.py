"""Equal parts of typed manifests are one object, and nothing else about them changes."""

from __future__ import annotations

from typing import Any

from lockgate.resources import interning, istio
from lockgate.resources.interning import interned

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


def test_the_table_is_bounded() -> None:
    for number in range(3 * interning._MOST):
        interned(virtual_service("many", {"timeout": f"{number}s"}))
    assert len(interning._parts) <= interning._MOST
