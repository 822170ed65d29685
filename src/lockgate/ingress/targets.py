"""Selects the targets of a TargetGroupBinding from nodes, endpoints and Pods.

Source: aws-load-balancer-controller `pkg/backend/endpoint_resolver.go`, `endpoint_utils.go`, `pkg/k8s/node_utils.go`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final

from lockgate.ingress.refusal import Refused
from lockgate.loadbalancer.model import Target
from lockgate.resources import core
from lockgate.resources.meta import LabelSelector, condition

# The label on EndpointSlices of programs on this machine, which are not Pods.
LOCAL_ENDPOINTS: Final = ("endpointslice.kubernetes.io/managed-by", "nodes.lockgate.dev")


@dataclass(frozen=True, slots=True)
class PodTarget:
    """A target and its Pod, None for a program on this machine."""

    target: Target
    pod: core.Pod | None


def instance_targets(
    service: core.Service,
    port: core.ServicePort,
    nodes: Iterable[core.Node],
    selector: LabelSelector | None,
    *,
    fail_open: bool = True,
) -> tuple[Target, ...]:
    """Suitable nodes at the Service's node port. Raises `Refused`.

    With `fail_open`, if no node is ready, nodes of unknown status are used.
    """
    if service.spec.type not in ("NodePort", "LoadBalancer"):
        raise Refused(f"service type must be either 'NodePort' or 'LoadBalancer': {service.namespace}/{service.name}")
    ready: list[core.Node] = []
    unknown: list[core.Node] = []
    for node in nodes:
        if not _suitable(node) or (selector is not None and not selector.matches(node.metadata.labels)):
            continue
        state = condition(node.status.conditions, "Ready")
        if state is not None and state.status == "True":
            ready.append(node)
        elif state is not None and state.status == "Unknown":
            unknown.append(node)
    chosen = ready or (unknown if fail_open else [])
    return tuple(sorted({Target(instance_id(node), port.node_port) for node in chosen}))


def instance_id(node: core.Node) -> str:
    provider = node.spec.provider_id
    if not provider:
        raise Refused(f"providerID is not specified for node: {node.name}")
    last = provider.rpartition("/")[2]
    if provider.startswith("eks-hybrid://"):
        if not re.fullmatch(r"mi-[^/]*", last):
            raise Refused(f"providerID {provider} is invalid for EKS hybrid instances, node: {node.name}")
        return f"hybrid-{last}"
    if not re.fullmatch(r"i-[^/]*", last):
        raise Refused(f"providerID {provider} is invalid for EC2 instances, node: {node.name}")
    return last


def pod_targets(
    port: core.ServicePort,
    slices: Iterable[core.EndpointSlice],
    pods: Mapping[tuple[str, str], core.Pod],
    nodes: Mapping[str, core.Node],
    *,
    ip_family: str = "ipv4",
    fail_open: bool = True,
) -> tuple[PodTarget, ...]:
    """Endpoints of a Service port: ready ones, and those that only wait for their readiness gate."""
    family = "IPv6" if ip_family == "ipv6" else "IPv4"
    found: dict[Target, core.Pod | None] = {}
    last_resort: dict[Target, core.Pod | None] = {}
    for endpoints in slices:
        if endpoints.address_type != family:
            continue
        local = endpoints.metadata.labels.get(LOCAL_ENDPOINTS[0]) == LOCAL_ENDPOINTS[1]
        numbers = [item.port for item in endpoints.ports if item.port and (not port.name or item.name == port.name)]
        for endpoint in endpoints.endpoints:
            reference = endpoint.target_ref
            pod: core.Pod | None = None
            if reference is not None and reference.kind == "Pod":
                pod = pods.get((reference.namespace or endpoints.namespace, reference.name))
            if pod is None and not (local and reference is None):
                continue
            targets = {Target(endpoint.addresses[0], number): pod for number in numbers}
            if endpoint.conditions.ready in (None, True):
                found |= targets
            elif pod is not None:
                match _waits_for_its_gate(pod, nodes):
                    case "True" if not endpoint.conditions.terminating:
                        found |= targets
                    case "Unknown" if fail_open:
                        last_resort |= targets
    return tuple(PodTarget(target, pod) for target, pod in sorted((found or last_resort).items(), key=lambda i: i[0]))


def within(address: str, blocks: Iterable[str]) -> bool:
    """Whether the address is in one of the blocks, which are CIDRs of either family."""
    return any(ip_address(address) in ip_network(block) for block in blocks)


def find_service_port(service: core.Service, port: int | str) -> core.ServicePort | None:
    """A port by number or name; None if the Service does not have it."""
    for candidate in service.spec.ports:
        if (candidate.name if isinstance(port, str) else candidate.port) == port:
            return candidate
    return None


@dataclass(frozen=True, slots=True)
class Registration:
    """The changes to a target group, in this order."""

    deregister: tuple[Target, ...]
    register: tuple[Target, ...]


def registration(
    desired: Iterable[Target],
    registered: Iterable[Target],
    draining: Iterable[Target],
    *,
    owned: frozenset[tuple[str, int]] | None = None,
    most: int = 0,
) -> Registration:
    """Targets are identified by ID and port. Draining targets are ignored, or registered again once they return. `most`
    is the maximum number of targets, including draining ones; 0 means unlimited.

    `owned` are the targets that this cluster registered in a shared target group, None if the group is not shared.
    """
    wanted = {(target.id, target.port): target for target in desired}
    leaving = {(target.id, target.port) for target in draining}
    there = {(target.id, target.port): target for target in registered if (target.id, target.port) not in leaving}
    gone = [target for key, target in there.items() if key not in wanted and (owned is None or key in owned)]
    new = [target for key, target in wanted.items() if key not in there]
    room = max(most - len(there) - len(leaving), 0) if most else len(new)
    return Registration(tuple(sorted(gone)), tuple(sorted(new)[:room]))


_EXCLUDING_LABELS: Final = (
    "node-role.kubernetes.io/master",
    "node.kubernetes.io/exclude-from-external-load-balancers",
    "alpha.service-controller.kubernetes.io/exclude-balancer",
)


def _suitable(node: core.Node) -> bool:
    """Cordoned nodes, other taints and control planes are suitable."""
    labels = node.metadata.labels
    if any(label in labels for label in _EXCLUDING_LABELS):
        return False
    if labels.get("eks.amazonaws.com/compute-type") == "fargate":
        return False
    return not any(
        taint.key == "ToBeDeletedByClusterAutoscaler"
        or (taint.key == "karpenter.sh/disrupted" and taint.effect == "NoSchedule")
        for taint in node.spec.taints
    )


def _waits_for_its_gate(pod: core.Pod, nodes: Mapping[str, core.Node]) -> str:
    """The readiness of the Pod's node if the Pod only lacks its gate, else ""."""
    containers = condition(pod.status.conditions, "ContainersReady")
    if containers is None or containers.status != "True":
        return ""
    node = nodes.get(pod.spec.node_name)
    state = condition(node.status.conditions, "Ready") if node else None
    return state.status if state else ""
