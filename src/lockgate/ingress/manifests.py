"""Builds stacks from manifests alone, without a cluster or an account.

Values that only a cluster or AWS knows get a substitute, and are reported: node ports, Service UIDs (and with them
target group names), subnets, discovered certificates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from zlib import crc32

from lockgate.ingress import faults
from lockgate.ingress.build import build
from lockgate.ingress.flags import controller
from lockgate.ingress.group import (
    InvalidClass,
    InvalidGroup,
    NotOurs,
    Owned,
    assemble,
    ownership,
)
from lockgate.ingress.references import secrets_of, services_of, shared_services
from lockgate.ingress.refusal import Refused
from lockgate.ingress.services.build import build as build_service
from lockgate.ingress.services.ownership import is_ours
from lockgate.ingress.stack import GroupId, Stack
from lockgate.ingress.world import Account, Name, Objects, Settings
from lockgate.resources import core, eks, elbv2, networking
from lockgate.resources.codes import load_balancer as codes
from lockgate.resources.faults import Fault, Origin
from lockgate.resources.memo import Memo
from lockgate.resources.model import ObjectKey, Resource

DEFAULTS: Final = Settings(cluster_name="lockgate")

USED: Final = (
    networking.Ingress,
    core.Service,
    core.Secret,
    networking.IngressClass,
    elbv2.IngressClassParams,
    eks.AutoIngressClassParams,
    core.Namespace,
)


@dataclass(frozen=True, slots=True)
class Stacks:
    """A stack for each group and Service that builds, and all faults. Pass it as `earlier` to rebuild only what
    changed."""

    stacks: tuple[Stack, ...]
    faults: tuple[Fault, ...]
    settings: Settings
    """The controller's settings for these stacks."""
    refused: Mapping[ObjectKey, Fault] = field(default_factory=dict)
    """Ingresses and Services without a load balancer, each with the fault, which may be another member's."""
    foreign: frozenset[ObjectKey] = frozenset()
    """Ingresses of other controllers, or of none."""
    memo: Memo = field(default_factory=Memo, repr=False, compare=False)


def stack_from_manifests(
    resources: Iterable[Resource],
    *,
    settings: Settings | None = None,
    account: Account | None = None,
    earlier: Stacks | None = None,
) -> Stacks:
    """All groups of the Ingresses in `resources`, and all Services that get a load balancer of their own. Without
    `settings`, the flags come from the controller's Deployment. What has not changed since `earlier` is not rebuilt."""
    found: list[Fault] = []
    refusals: dict[ObjectKey, Fault] = {}
    if settings is None:
        resources = list(resources)
        flags = controller(resources, DEFAULTS)
        found += flags.faults
        settings = flags.settings
    memo = earlier.memo if earlier else Memo()
    memo.turn()
    account = memo.stable("account", account or Account())
    settings = memo.stable("settings", settings)
    objects, substituted = _objects(resources, memo)
    groups: dict[GroupId, list[networking.Ingress]] = {}
    foreign: set[ObjectKey] = set()
    for ingress in objects.ingresses.values():
        match _owner(ingress, objects, settings):
            case None:
                foreign.add(ingress.key)
            case Fault() as fault:
                found.append(fault)
                refusals[ingress.key] = fault
            case GroupId() as owner:
                groups.setdefault(owner, []).append(ingress)
    stacks: list[Stack] = []
    for group_id in sorted(groups):
        result = _built(group_id, groups[group_id], objects, account, settings, memo)
        if isinstance(result, Refused):
            found.append(fault := faults.refused(result))
            refusals |= dict.fromkeys((ingress.key for ingress in groups[group_id]), fault)
        else:
            stacks.append(result)
            found += [*result.faults, *_substituted_node_ports(result, substituted)]
    for name in sorted(name for name, each in objects.services.items() if is_ours(each, settings)):
        service = objects.services[name]
        others = tuple(sorted({at for at in shared_services(service) if at in objects.services}))
        result = memo.depending(
            ("service", *name),
            [account, settings, service, others, *map(objects.services.__getitem__, others)],
            partial(build_service, service, account, settings, objects.services),
        )
        if isinstance(result, Refused):
            found.append(fault := faults.refused(result))
            refusals[service.key] = fault
        else:
            stacks.append(result)
            found += [*result.faults, *_substituted_node_ports(result, substituted)]
    # Groups that share a Service all report its faults.
    return Stacks(tuple(stacks), tuple(dict.fromkeys(found)), settings, refusals, frozenset(foreign), memo)


def _built(
    group_id: GroupId,
    ingresses: list[networking.Ingress],
    objects: Objects,
    account: Account,
    settings: Settings,
    memo: Memo,
) -> Stack | Refused:
    try:
        group = assemble(group_id, ingresses, objects, settings)
    except Refused as refused:
        return refused
    inputs: list[object] = [account, settings]
    for member in group.members:
        inputs += (member.ingress, member.params, member.auto)
        inputs += _used(member.ingress, objects, memo)
    return memo.depending(group_id, inputs, lambda: build(group, objects, account, settings))


def _used(ingress: networking.Ingress, objects: Objects, memo: Memo) -> Iterator[Resource | None]:
    """Every object that the stack depends on because of this Ingress; None for a missing object."""
    services = [objects.services.get((ingress.namespace, name)) for name in memo.made(_service_names, ingress)]
    yield from services
    for name in memo.made(_secret_names, ingress, *services):
        yield objects.secrets.get((ingress.namespace, name))


def _service_names(ingress: networking.Ingress) -> list[str]:
    return sorted(services_of(ingress))


def _secret_names(ingress: networking.Ingress, *services: core.Service | None) -> list[str]:
    return sorted(secrets_of(ingress, {(each.namespace, each.name): each for each in services if each is not None}))


def _owner(ingress: networking.Ingress, objects: Objects, settings: Settings) -> GroupId | Fault | None:
    """The group of an Ingress, or why it has none; None for an Ingress of another controller."""
    match ownership(ingress, objects, settings):
        case Owned(owner):
            return owner
        case InvalidClass(message):
            origin = Origin(ingress.key, ("spec", "ingressClassName"))
            return codes.CLASS_NOT_RESOLVED.at(origin, refusal=message)
        case InvalidGroup(message):
            origin = Origin(ingress.key, ("metadata", "annotations", "alb.ingress.kubernetes.io/group.name"))
            return codes.GROUP_NOT_VALID.at(origin, refusal=message)
        case NotOurs():
            return None


def _objects(resources: Iterable[Resource], memo: Memo) -> tuple[Objects, frozenset[Name]]:
    """The objects by name, and the Services with substituted node ports."""
    ingresses: dict[Name, networking.Ingress] = {}
    services: dict[Name, core.Service] = {}
    secrets: dict[Name, core.Secret] = {}
    classes: dict[str, networking.IngressClass] = {}
    params: dict[str, elbv2.IngressClassParams] = {}
    auto_params: dict[str, eks.AutoIngressClassParams] = {}
    namespaces: dict[str, dict[str, str]] = {}
    substituted: set[Name] = set()
    for resource in resources:
        if not isinstance(resource, USED):
            continue
        name = (resource.namespace, resource.name)
        resource = memo.stable(resource.key, resource)  # read again without a change, it is the same object
        match resource:
            case networking.Ingress():
                ingresses[name] = resource
            case core.Service():
                services[name] = memo.made(with_node_ports, resource)
                if services[name] is not resource:
                    substituted.add(name)
            case core.Secret():
                secrets[name] = resource
            case networking.IngressClass():
                classes[resource.name] = resource
            case elbv2.IngressClassParams():
                params[resource.name] = resource
            case eks.AutoIngressClassParams():
                auto_params[resource.name] = resource
            case core.Namespace():
                namespaces[resource.name] = resource.metadata.labels
    found = Objects(ingresses, services, secrets, classes, params, auto_params, namespaces)
    return found, frozenset(substituted)


def with_node_ports(service: core.Service) -> core.Service:
    """A Service that needs node ports gets stable ones if the manifest leaves them to the cluster."""
    ports = service.spec.ports
    spec = service.spec
    if spec.type not in ("NodePort", "LoadBalancer"):
        return service
    local = spec.type == "LoadBalancer" and spec.external_traffic_policy == "Local" and not spec.health_check_node_port
    wanted = spec.type == "NodePort" or spec.allocate_load_balancer_node_ports is not False
    if not local and (not wanted or all(port.node_port for port in ports)):
        return service
    taken = {port.node_port for port in ports} | {spec.health_check_node_port}
    found = [
        port.model_copy(update={"node_port": _node_port(service, str(port.port), taken)})
        if wanted and not port.node_port
        else port
        for port in ports
    ]
    changed: dict[str, object] = {"ports": tuple(found)}
    if local:
        changed["health_check_node_port"] = _node_port(service, "healthCheckNodePort", taken)
    return service.model_copy(update={"spec": spec.model_copy(update=changed)})


def _node_port(service: core.Service, name: str, taken: set[int]) -> int:
    number = 30000 + crc32(f"{service.namespace}/{service.name}:{name}".encode()) % 2768
    while number in taken:
        number = 30000 + (number - 29999) % 2768
    taken.add(number)
    return number


def _substituted_node_ports(stack: Stack, substituted: frozenset[Name]) -> Iterator[Fault]:
    reported: set[Name] = set()
    for binding in stack.bindings:
        name = (binding.namespace, binding.service)
        if binding.target_type == "instance" and name in substituted and name not in reported:
            reported.add(name)
            key = ObjectKey("", "Service", *name)
            yield codes.NODE_PORTS_OPEN.at(Origin(key, ("spec", "ports")))
