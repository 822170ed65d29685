"""TargetGroupBindings of a stack: cluster objects that define which Service's endpoints are a target group's targets.

Source: aws-load-balancer-controller `pkg/deploy/elbv2/target_group_binding_synthesizer.go`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from lockgate.ingress.changes.change import Change, Changes, Comparison, Json, Resolve, named
from lockgate.ingress.stack import BACKEND_SECURITY_GROUP, MANAGED_SECURITY_GROUP, Opening, TargetGroupBinding
from lockgate.resources import elbv2

FINALIZER = "elbv2.k8s.aws/resources"


@dataclass(frozen=True, slots=True)
class ApplyBinding(Change):
    """By server-side apply. `peer` is the security group that reaches the targets, if any."""

    service: ClassVar[str] = "kubernetes"
    operation: ClassVar[str] = "apply"

    binding: TargetGroupBinding
    target_group: str
    name: str
    peer: str | None = None

    def parameters(self, resolved: Resolve) -> Json:
        """The manifest."""
        binding = self.binding
        spec: Json = {
            "targetGroupARN": resolved(self.target_group),
            "targetType": binding.target_type,
            "targetGroupProtocol": binding.protocol,
            "ipAddressType": binding.ip_address_type,
            "serviceRef": {"name": binding.service, "port": binding.port},
        }
        if binding.vpc_id:
            spec["vpcID"] = binding.vpc_id
        if binding.node_selector:
            spec["nodeSelector"] = {"matchLabels": dict(binding.node_selector)}
        if binding.multi_cluster:
            spec["multiClusterTargetGroup"] = True
        if binding.openings is not None:
            spec["networking"] = {"ingress": [self._rule(each, resolved) for each in binding.openings]}
        return {
            "apiVersion": "elbv2.k8s.aws/v1beta1",
            "kind": "TargetGroupBinding",
            "metadata": {
                "name": self.name,
                "namespace": binding.namespace,
                "labels": dict(binding.labels),
                "finalizers": [FINALIZER],
            },
            "spec": spec,
        }

    def _rule(self, opening: Opening, resolved: Resolve) -> Json:
        source: list[Json] = [{"ipBlock": {"cidr": each}} for each in opening.sources]
        if not source and self.peer is not None:
            source = [{"securityGroup": {"groupID": resolved(self.peer)}}]
        ports = [
            {"protocol": each.protocol} | ({} if each.port is None else {"port": each.port}) for each in opening.ports
        ]
        return {"from": source, "ports": ports}

    def __str__(self) -> str:
        binding = f"{self.binding.namespace}/{self.name}"
        service = f"{self.binding.service}:{self.binding.port}"
        return f"apply TargetGroupBinding {binding}: {service} in {named(self.target_group)}"


@dataclass(frozen=True, slots=True)
class DeleteBinding(Change):
    """It is deleted after its targets are deregistered."""

    service: ClassVar[str] = "kubernetes"
    operation: ClassVar[str] = "delete"

    namespace: str
    name: str

    def parameters(self, resolved: Resolve) -> Json:
        return {"kind": "TargetGroupBinding", "namespace": self.namespace, "name": self.name}

    def __str__(self) -> str:
        return f"delete TargetGroupBinding {self.namespace}/{self.name}"


def binding_changes(both: Comparison) -> Changes:
    for change, existing in _applications(both):
        if existing is None or not _holds(existing, change):
            yield change


def binding_deletions(both: Comparison) -> Changes:
    kept = {(change.binding.namespace, change.name) for change, _ in _applications(both)}
    for binding in _by_target_group(both).values():
        if (binding.namespace, binding.name) not in kept:
            yield DeleteBinding(binding.namespace, binding.name)


def _applications(both: Comparison) -> Iterator[tuple[ApplyBinding, elbv2.TargetGroupBinding | None]]:
    """Each binding of the stack as a change, with the existing one, found by its target group, not by its name."""
    current, peer = _by_target_group(both), _peer(both)
    for desired in both.stack.bindings:
        group = both.id(desired.target_group)
        existing = current.get(group)
        name = existing.name if existing else desired.name
        yield ApplyBinding(desired, group, name, peer, origin=desired.origin), existing


def _by_target_group(both: Comparison) -> dict[str, elbv2.TargetGroupBinding]:
    return {binding.spec.target_group_arn: binding for binding in both.existing.bindings}


def _holds(existing: elbv2.TargetGroupBinding, change: ApplyBinding) -> bool:
    desired = elbv2.TargetGroupBinding.model_validate(change.parameters(str))
    return (
        desired.spec == existing.spec
        and desired.metadata.labels.items() <= existing.metadata.labels.items()
        and FINALIZER in existing.metadata.finalizers
        and desired.metadata.namespace == existing.metadata.namespace
    )


def _peer(both: Comparison) -> str | None:
    if both.settings.backend_security_group:
        return both.settings.backend_security_group
    if both.stack.needs_backend_security_group:
        return both.id(BACKEND_SECURITY_GROUP)
    return both.id(MANAGED_SECURITY_GROUP) if both.stack.security_group is not None else None
