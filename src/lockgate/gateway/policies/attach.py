"""The policies of a gateway workload, in the order in which istiod reads them.

A policy applies to the workloads of its namespace that its selector selects; a policy of the root namespace to those of
every namespace. A policy with `targetRefs` applies to the workloads of a Gateway of the Gateway API alone.

Source: istio/istio `pilot/pkg/model/policyattachment.go` (ShouldAttachPolicy), `authorization.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from lockgate.gateway.workload import Workload
from lockgate.resources import istio
from lockgate.resources.model import ObjectMeta

GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"


class _Spec(Protocol):
    @property
    def selector(self) -> istio.PolicySelector | None: ...
    @property
    def target_ref(self) -> istio.TargetReference | None: ...
    @property
    def target_refs(self) -> tuple[istio.TargetReference, ...]: ...


class _Policy(Protocol):
    @property
    def metadata(self) -> ObjectMeta: ...
    @property
    def spec(self) -> _Spec: ...


PolicyT = TypeVar("PolicyT", bound=_Policy)


def attached(policies: Iterable[PolicyT], workload: Workload, root: str) -> Iterator[PolicyT]:
    """Those of the root namespace first, and older ones before younger ones."""
    ordered = sorted(policies, key=age)
    for namespace in dict.fromkeys((root, workload.namespace)):
        for policy in ordered:
            if policy.metadata.namespace == namespace and applies(policy, workload):
                yield policy


def applies(policy: _Policy, workload: Workload) -> bool:
    targets = targets_of(policy)
    gateway = workload.labels.get(GATEWAY_NAME)
    if targets:
        return policy.metadata.namespace == workload.namespace and any(
            target.group == "gateway.networking.k8s.io" and target.kind == "Gateway" and target.name == gateway
            for target in targets
        )
    selector = policy.spec.selector
    return selector is None or workload.selected_by(selector.match_labels)


def targets_of(policy: _Policy) -> tuple[istio.TargetReference, ...]:
    if policy.spec.target_refs:
        return policy.spec.target_refs
    return (policy.spec.target_ref,) if policy.spec.target_ref else ()


def age(policy: _Policy) -> tuple[str, str, str]:
    metadata = policy.metadata
    return metadata.creation_timestamp, metadata.name, metadata.namespace
