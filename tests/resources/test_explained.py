"""What kinds and fields do here, as `lockgate explain` says it; and settings without effect, in words."""

from __future__ import annotations

from typing import Any

import pytest

from lockgate.resources import kinds as _kinds  # noqa: F401  # registers them
from lockgate.resources.differences import difference
from lockgate.resources.effects.explain import FieldExplained, NotDeclared, explain
from lockgate.resources.effects.row import Effect
from lockgate.resources.effects.table import notices
from lockgate.resources.effects.uses import fault, messages_of, uses_of
from lockgate.resources.model import kinds


def test_a_kind_by_any_of_its_names() -> None:
    for name in ("VirtualService", "virtualservices", "vs", "VS"):
        (found,) = explain(name)  # type: ignore[misc]
        assert (found.group, found.kind, found.effect) == ("networking.istio.io", "VirtualService", Effect.SERVED)
        assert all(row.effect is not Effect.SERVED for row in found.rows)


def test_kinds_of_one_name_and_kinds_without_a_model() -> None:
    effects = {each.group: each.effect for each in explain("Gateway")}  # type: ignore[union-attr]
    assert effects == {"networking.istio.io": Effect.SERVED, "gateway.networking.k8s.io": Effect.ACCEPTED}
    field = explain("ExternalSecret.spec.target")
    assert isinstance(field, FieldExplained)
    assert field.row is not None
    assert field.row.effect is Effect.ACCEPTED


@pytest.mark.parametrize(
    ("text", "effect"),
    [
        ("Ingress.spec.rules.host", "served"),
        ("Service.spec.type", "served"),
        ("Service.spec.sessionAffinity", "accepted"),
        ("Ingress.metadata.annotations[cert-manager.io/ip-sans]", "accepted"),
        ("Ingress.metadata.annotations[team]", "served"),
        ("VirtualService.spec.http.headers.request.set", "served"),
    ],
)
def test_a_field(text: str, effect: str) -> None:
    found = explain(text)
    assert isinstance(found, FieldExplained)
    assert found.row is not None
    assert found.row.effect == effect


def test_single_values_and_subfields() -> None:
    field = explain("Service.spec.type")
    assert isinstance(field, FieldExplained)
    assert set(field.values) == {"LoadBalancer"}
    inside = explain("Service.spec")
    assert isinstance(inside, FieldExplained)
    assert inside.row is None
    assert inside.inside["type"] == "served, but for LoadBalancer"
    assert inside.inside["selector"] == "served"
    ports = explain("Service.spec.ports")
    assert isinstance(ports, FieldExplained)
    assert ports.inside["port"] == "served"
    whole = explain("VirtualService.spec")
    assert isinstance(whole, FieldExplained)
    assert "served, " in whole.inside["http"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("VirtualServise", "did you mean VirtualService?"),
        ("Nothing", "'Nothing' is not a declared kind"),
        ("", "'' is not a declared kind"),
        ("Ingress.spec.rulez", "Ingress.spec has no field rulez; did you mean rules?"),
        ("Ingress.spec.rules.host.x", "Ingress.spec.rules.host has no fields"),
        ("Ingress.spec.wxyz", "Ingress.spec has no field wxyz"),
    ],
)
def test_what_is_not_declared(text: str, message: str) -> None:
    with pytest.raises(NotDeclared) as refused:
        explain(text)
    assert message in str(refused.value)


def manifest(kind: str, name: str = "a", namespace: str = "shop", **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, **fields}


@pytest.mark.parametrize(
    ("group", "manifests", "says"),
    [
        ("batch", [manifest("CronJob")], "CronJob shop/a runs no container: counted as completed at once"),
        (
            "batch",
            [*(manifest("Job", f"j{n}") for n in range(4)), manifest("CronJob", "c")],
            "CronJob and 4 Jobs (shop/j0, shop/j1, shop/j2, …)",
        ),
        ("", [manifest("Endpoints"), manifest("Endpoints", "b")], "2 Endpoints (shop/a, shop/b, …)"),
        ("policy", [manifest("PodDisruptionBudget", namespace="")], "PodDisruptionBudget a has no effect"),
    ],
)
def test_objects_without_effect(group: str, manifests: list[dict[str, Any]], says: str) -> None:
    uses = [use for each in manifests for use in uses_of(each, notices(group, each["kind"], each))]
    message = fault(uses, None).message
    for part in says.split(" and "):
        assert part in message


def test_fields_without_effect_are_named_with_their_value_where_it_matters() -> None:
    service = kinds()["", "Service"].model_validate(
        manifest(
            "Service",
            metadata={
                "name": "a",
                "namespace": "shop",
                "annotations": {"external-dns.kubernetes.io/endpoints-type": "x"},
            },
            spec={"type": "LoadBalancer", "ports": [{"port": 1, "protocol": "UDP"}, {"port": 2, "protocol": "SCTP"}]},
        )
    )
    found = list(messages_of(service))
    assert any("spec.type LoadBalancer of Service shop/a has no effect" in each for each in found)
    assert any("annotation external-dns.kubernetes.io/endpoints-type of Service shop/a" in each for each in found)
    assert any("spec.ports.protocol SCTP of Service shop/a" in each for each in found)


def test_what_differs_between_two_lists() -> None:
    a, b, c, d = (object() for _ in range(4))
    before = [a, b, c]
    assert difference(before, before) is difference(before, [a, b, c]) is None
    grown = difference(before, [a, b, c, d])
    assert grown is not None
    assert (grown.first, grown.last, grown.removed, grown.added) == (3, 3, [], [d])
    shrunk = difference([a, a, a], [a, a])
    assert shrunk is not None
    assert (shrunk.removed, shrunk.added) == ([a], [])
    replaced = difference(before, [a, d, d, c])
    assert replaced is not None
    assert replaced.applied(["A", "B", "C"], ["D", "E"]) == ["A", "D", "E", "C"]
