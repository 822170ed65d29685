"""TargetGroupBinding objects of a stack.

Source: aws-load-balancer-controller `pkg/deploy/elbv2/target_group_binding_synthesizer.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lockgate.controllers.aws_load_balancer.site import MANAGER, Site
from lockgate.ingress.stack import BACKEND_SECURITY_GROUP, MANAGED_SECURITY_GROUP, Stack, TargetGroupBinding
from lockgate.ingress.target_groups import binding_labels
from lockgate.resources import kinds
from lockgate.resources.model import JsonObject
from lockgate.resources.status import ApiError

Name = tuple[str, str]


async def ensure(site: Site, stack: Stack, arns: Mapping[str, str], ids: Mapping[str, str]) -> tuple[Name, ...]:
    """Apply each binding; return the names of those to delete. One is found again by its target group, not its name."""
    labels = binding_labels(stack.group)
    current = {
        binding.spec.target_group_arn: binding
        for binding in site.cluster.bindings.values()
        if labels.items() <= binding.metadata.labels.items() and not binding.metadata.deletion_timestamp
    }
    peer = site.settings.backend_security_group or ids.get(BACKEND_SECURITY_GROUP) or ids.get(MANAGED_SECURITY_GROUP)
    kept = set()
    for desired in stack.bindings:
        arn = arns[desired.target_group]
        existing = current.get(arn)
        name = existing.name if existing else desired.name
        kept.add((desired.namespace, name))
        await site.kubernetes.apply(_manifest(desired, name, arn, peer), manager=MANAGER)
    return tuple(
        (binding.namespace, binding.name)
        for binding in current.values()
        if (binding.namespace, binding.name) not in kept
    )


async def delete(site: Site, names: Iterable[Name]) -> None:
    """Delete, and wait until their targets are deregistered and they are gone."""
    names = tuple(names)
    for namespace, name in names:
        try:
            await site.kubernetes.delete(kinds.TargetGroupBinding, name, namespace)
        except ApiError as error:
            if error.code != 404:
                raise
    bindings = site.cluster.bindings
    if names and not await site.cluster.until(lambda: not any(name in bindings for name in names), 60):
        raise TimeoutError("timed out waiting for TargetGroupBindings to be deleted")


def _manifest(desired: TargetGroupBinding, name: str, arn: str, peer: str | None) -> JsonObject:
    spec: JsonObject = {
        "targetGroupARN": arn,
        "targetType": desired.target_type,
        "targetGroupProtocol": desired.protocol,
        "ipAddressType": desired.ip_address_type,
        "serviceRef": {"name": desired.service, "port": desired.port},
    }
    if desired.vpc_id:
        spec["vpcID"] = desired.vpc_id
    if desired.node_selector:
        spec["nodeSelector"] = {"matchLabels": dict(desired.node_selector)}
    if desired.multi_cluster:
        spec["multiClusterTargetGroup"] = True
    if desired.open_ports is not None and peer is not None:
        source = [{"securityGroup": {"groupID": peer}}]
        ports: list[JsonObject] = [{"protocol": "TCP", "port": port} for port in desired.open_ports]
        rules = [{"from": source, "ports": [port]} for port in ports or [{"protocol": "TCP"}]]
        spec["networking"] = {"ingress": rules}
    return {
        "apiVersion": "elbv2.k8s.aws/v1beta1",
        "kind": "TargetGroupBinding",
        "metadata": {
            "name": name,
            "namespace": desired.namespace,
            "labels": dict(desired.labels),
            "finalizers": ["elbv2.k8s.aws/resources"],
        },
        "spec": spec,
    }
