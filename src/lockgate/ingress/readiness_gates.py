"""The readiness gates of a new Pod, with which it is ready only once its load balancers find it healthy.

Sources: aws-load-balancer-controller's guide page "Pod readiness gate", `pkg/inject/pod_readiness.go`; its Helm
chart's `webhook.yaml` for the namespaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from lockgate.resources import core, elbv2

PREFIX: Final = "target-health.elbv2.k8s.aws/"
_LEGACY: Final = "target-health.alb.ingress.k8s.aws"  # of the ALB Ingress Controller; no controller sets it any more
_LABEL: Final = ("elbv2.k8s.aws/pod-readiness-gate-inject", "enabled")


def gate_of(binding: elbv2.TargetGroupBinding) -> str:
    """The condition type for a Pod's health in the binding's target group."""
    return PREFIX + binding.name


def injected(namespace_labels: Mapping[str, str]) -> bool:
    return namespace_labels.get(_LABEL[0]) == _LABEL[1]


def with_gates(
    gates: Iterable[str],
    pod_labels: Mapping[str, str],
    bindings: Iterable[elbv2.TargetGroupBinding],
    services: Mapping[str, core.Service],
) -> tuple[str, ...]:
    """The condition types of a Pod's gates, including those in its spec. `bindings` and `services`, by name, are those
    of its namespace. A Service without a selector has no Pods."""
    desired = [
        gate_of(binding)
        for binding in bindings
        if binding.spec.target_type == "ip" and _selects(services.get(binding.spec.service_ref.name), pod_labels)
    ]
    if not desired:
        return tuple(gates)
    return tuple(dict.fromkeys((*(gate for gate in gates if not gate.startswith(_LEGACY)), *desired)))


def _selects(service: core.Service | None, labels: Mapping[str, str]) -> bool:
    return service is not None and bool(service.spec.selector) and service.spec.selector.items() <= labels.items()
