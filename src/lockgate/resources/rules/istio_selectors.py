"""What policies apply to, as Istio's webhook reads it: `pkg/config/validation`, validateWorkloadSelector."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.resources import istio
from lockgate.resources.field_errors import FieldError, Path
from lockgate.resources.rules.istio_names import conflict, problem, q, required

_TARGETS = (
    ("", "Service"),
    ("networking.istio.io", "ServiceEntry"),
    ("gateway.networking.k8s.io", "Gateway"),
    ("gateway.networking.k8s.io", "GatewayClass"),
    ("networking.istio.io", "Gateway"),
)


def refusals(
    selector: istio.PolicySelector | None,
    target: istio.TargetReference | None,
    targets: tuple[istio.TargetReference, ...],
) -> Iterator[FieldError]:
    labels = selector.match_labels if selector else {}
    for name, value in labels.items():
        at = ("spec", "selector", "matchLabels", name)
        if not name:
            yield problem(at, f"empty key is not supported in selector: {q(f'{name}={value}')}")
        if "*" in name or "*" in value:
            yield problem(at, f"wildcard is not supported in selector: {q(f'{name}={value}')}")
    if target is not None:
        yield from _target(("spec", "targetRef"), target)
    for index, each in enumerate(targets):
        yield from _target(("spec", "targetRefs", index), each)


def warnings(selector: istio.PolicySelector | None) -> Iterator[FieldError]:
    if selector is not None and not selector.match_labels:
        yield problem(("spec", "selector"), "workload selector specified without labels")


def _target(path: Path, target: istio.TargetReference) -> Iterator[FieldError]:
    if not target.name:
        yield required((*path, "name"), "targetRef name must be set")
    if target.namespace:
        message = "targetRef namespace must not be set; cross namespace referencing is not supported"
        yield conflict((*path, "namespace"), message)
    group = "" if target.group == "core" else target.group
    if (group, target.kind) not in _TARGETS:
        named = " ".join(f"{group or 'core'}/{kind}" for group, kind in _TARGETS)
        yield problem((*path, "kind"), f"targetRef must be to one of [{named}] but was {target.group}/{target.kind}")
