"""Tags and attributes of existing resources: both are set to the stack's values. Those of other owners are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from lockgate.ingress import shapes
from lockgate.ingress.changes.change import Change, Changes, Comparison, Json, Resolve, is_pending, named
from lockgate.ingress.world import Settings


@dataclass(frozen=True, slots=True)
class AddTags(Change):
    operation: ClassVar[str] = "add_tags"

    resource: str
    tags: Mapping[str, str]

    def parameters(self, resolved: Resolve) -> Json:
        return {"ResourceArns": [resolved(self.resource)], "Tags": shapes.tags(self.tags)}

    def __str__(self) -> str:
        return f"tag {named(self.resource)}: {_pairs(self.tags)}"


@dataclass(frozen=True, slots=True)
class RemoveTags(Change):
    operation: ClassVar[str] = "remove_tags"

    resource: str
    keys: tuple[str, ...]

    def parameters(self, resolved: Resolve) -> Json:
        return {"ResourceArns": [resolved(self.resource)], "TagKeys": list(self.keys)}

    def __str__(self) -> str:
        return f"remove tags of {named(self.resource)}: {', '.join(self.keys)}"


@dataclass(frozen=True, slots=True)
class AttributeChange(Change):
    parameter: ClassVar[str]

    resource: str
    attributes: Mapping[str, str]

    def parameters(self, resolved: Resolve) -> Json:
        return {self.parameter: resolved(self.resource), "Attributes": shapes.attributes(self.attributes)}

    def __str__(self) -> str:
        return f"set attributes of {named(self.resource)}: {_pairs(self.attributes)}"


@dataclass(frozen=True, slots=True)
class ModifyLoadBalancerAttributes(AttributeChange):
    operation: ClassVar[str] = "modify_load_balancer_attributes"
    parameter: ClassVar[str] = "LoadBalancerArn"


@dataclass(frozen=True, slots=True)
class ModifyTargetGroupAttributes(AttributeChange):
    operation: ClassVar[str] = "modify_target_group_attributes"
    parameter: ClassVar[str] = "TargetGroupArn"


@dataclass(frozen=True, slots=True)
class ModifyListenerAttributes(AttributeChange):
    operation: ClassVar[str] = "modify_listener_attributes"
    parameter: ClassVar[str] = "ListenerArn"


def tag_changes(both: Comparison, arn: str, desired: Mapping[str, str]) -> Changes:
    """Tags of an existing ELBv2 resource."""
    current = both.existing.tags.get(arn, {})
    if missing := missing_tags(desired, current):
        yield AddTags(arn, missing)
    if spare := spare_tags(both.settings, desired, current):
        yield RemoveTags(arn, spare)


def missing_tags(desired: Mapping[str, str], current: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in desired.items() if current.get(key) != value}


def spare_tags(settings: Settings, desired: Mapping[str, str], current: Mapping[str, str]) -> tuple[str, ...]:
    """Keys to remove, except AWS's, those of the controller's v1, and those managed elsewhere."""
    kept = {
        f"kubernetes.io/cluster/{settings.cluster_name}",
        "kubernetes.io/cluster-name",
        "kubernetes.io/namespace",
        "kubernetes.io/ingress-name",
        "kubernetes.io/service-name",
        "kubernetes.io/service-port",
        "ingress.k8s.aws/cluster",
        *settings.external_managed_tags,
    }
    return tuple(sorted(k for k in current if k not in desired and k not in kept and not k.startswith("aws:")))


def attribute_changes(
    both: Comparison, kind: type[AttributeChange], reference: str, desired: Mapping[str, str]
) -> Changes:
    """Compares only attributes in the stack. An attribute that is no longer in the stack is unchanged."""
    current = {} if is_pending(reference) else both.existing.attributes.get(reference, {})
    if changed := {key: value for key, value in desired.items() if current.get(key) != value}:
        yield kind(reference, changed)


def _pairs(values: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(values.items()))
