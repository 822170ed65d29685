"""Every field of Istio's kinds that the reference calls served stands in a row of `tests/cases/gateway`.

Blocks that stand in several places count once: what a traffic policy says does the same for a host, its ports and its
subsets, and rows of their own show which one applies.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from gateway_cases import CASES, load

from lockgate.resources.effects.row import Effect, Pattern, served
from lockgate.resources.effects.table import TABLE

ALIKE = (
    ("spec.subsets.trafficPolicy", "spec.trafficPolicy"),
    ("spec.trafficPolicy.portLevelSettings", "spec.trafficPolicy"),
    ("spec.unvalidatedValues.", "spec.values."),
    ("spec.values.meshConfig", "spec.meshConfig"),
    ("spec.components.egressGateways", "spec.components.ingressGateways"),
)
GROUPS = ("networking", "security", "telemetry", "extensions", "install")


def _manifests() -> Iterator[dict[str, Any]]:
    for file in sorted(CASES.glob("*.yaml")):
        for case, written in zip(load(file.name), yaml.safe_load(file.read_text()), strict=True):
            yield from case.manifests
            yield _operator(written.get("mesh", {}))
    for file in sorted((CASES / "served").glob("*.yaml")):
        yield from yaml.safe_load_all(file.read_text())
    for folder in ("install", "analysis"):
        for file in sorted((CASES / folder).glob("*.yaml")):
            for row in yaml.safe_load(file.read_text()):
                yield from (each for each in yaml.safe_load_all(row.get("manifests", "")) if each)
                yield _operator(row.get("mesh", {}))
                yield {**_operator({}), "spec": row.get("operator", {})}


def _operator(mesh: dict[str, Any]) -> dict[str, Any]:
    """The object that sets meshConfig."""
    return {"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator", "spec": {"meshConfig": mesh}}


def _stands(pattern: Pattern, manifests: list[dict[str, Any]]) -> bool:
    text = pattern.text
    for place, same in ALIKE:
        if text.startswith(place) and text.removeprefix(place) != ".port.number":
            text = same + text.removeprefix(place)
    alike = served(text, text.removesuffix(".**")).patterns
    return any(any(each.find(manifest)) for manifest in manifests for each in (pattern, *alike))


def test_every_served_field_has_a_row() -> None:
    by_kind: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for manifest in _manifests():
        group = manifest["apiVersion"].rpartition("/")[0]
        by_kind.setdefault((group, manifest["kind"]), []).append(manifest)
    missing = [
        f"{kind} {pattern.text}"
        for row in TABLE
        for group in row.groups
        for kind in row.kinds
        if group.removesuffix(".istio.io") in GROUPS and row.effect is Effect.SERVED
        for pattern in row.patterns
        if pattern.text and not _stands(pattern, by_kind.get((group, kind), []))
    ]
    assert missing == []
