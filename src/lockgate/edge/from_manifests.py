"""Builds an `Edge` from manifests, without running anything.

The pure functions that the running edge uses also decide here what a cluster and an account would add: node ports, Pods
and endpoints behind Services, load balancers' DNS names, their records, and the names in certificates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from zlib import crc32

from lockgate.dns.load_balancers import canonical_hosted_zone
from lockgate.dns.model import RecordSet
from lockgate.dns.model import Zone as HostedZone
from lockgate.dns.plan import Endpoint
from lockgate.dns.plan import plan as plan_records
from lockgate.edge.edge import Certificate, Edge, secret_reference
from lockgate.edge.endpoints import endpoints
from lockgate.edge.expected_pods import Brought, slices_of, with_pods
from lockgate.edge.exposure import addressed, addresses
from lockgate.edge.gateways import Gateways, built_gateways, gateway_secrets
from lockgate.edge.manifests import Manifests
from lockgate.edge.network import SERVICE_NAME, Network, ServicePort, network
from lockgate.edge.objects import Name, Objects, View
from lockgate.edge.options import Options
from lockgate.edge.plan import Plan, plan
from lockgate.edge.supply import Supply
from lockgate.edge.supply import Zone as SuppliedZone
from lockgate.edge.without_effect import without_effect
from lockgate.edge.workloads import gateway_pod, gateway_workloads
from lockgate.ingress.manifests import USED, Stacks, stack_from_manifests, with_node_ports
from lockgate.ingress.stack import GroupId, ServiceId
from lockgate.ingress.world import Account
from lockgate.ingress.world import Certificate as AcmCertificate
from lockgate.loadbalancer.model import Target, TargetGroup
from lockgate.loadbalancer.network import AnyLoadBalancer, NetworkLoadBalancer
from lockgate.resources import core, istio, networking
from lockgate.resources import workloads as apps
from lockgate.resources.memo import Memo
from lockgate.resources.meta import LoadBalancerIngress, LoadBalancerStatus

NODE = "i-0000000000000000"
"""The instance that has the Services' node ports, unless a Node says otherwise."""


@dataclass(slots=True)
class Memory:
    """The inputs and intermediate results of an edge, from which the next one is built incrementally."""

    plan: Plan
    stacks: Stacks
    gateways: Gateways = field(repr=False)
    memo: Memo = field(repr=False)
    names: Memo = field(repr=False)


def from_manifests(manifests: Manifests, options: Options, earlier: Edge | None = None) -> Edge:
    """The edge that `up` runs. With `earlier`, only what depends on a changed object is rebuilt."""
    memory = _memory(earlier)
    return from_plan(plan(manifests, options, earlier=memory.plan if memory else None), earlier)


def from_plan(planned: Plan, earlier: Edge | None = None) -> Edge:
    memory = _memory(earlier)
    memo, names = (memory.memo, memory.names) if memory else (Memo(), Memo())
    memo.turn()
    objects, brought = with_pods(_completed(planned.objects, memo), memo)
    services, deployments = objects.view(core.Service), objects.all(apps.Deployment)
    stacks = _stacks(planned, memory, memo)
    workloads = memo.depending(
        "workloads",
        [services, objects.view(istio.Gateway)],
        lambda: gateway_workloads(objects.all(core.Service), objects.all(istio.Gateway)),
    )
    slices = memo.made(_slices, objects.view(core.EndpointSlice), services, brought, memo)
    bindings = memo.made(_bindings, stacks, services)
    table = memo.depending(
        "network",
        [services, *workloads, slices, bindings],
        lambda: network(services.listed, workloads, slices, bindings),
    )
    balancers = memo.depending(
        "load balancers",
        [stacks, services, table, planned.supply.place],
        lambda: tuple(_load_balancers(stacks, table, objects, planned.supply)),
    )
    gateways = built_gateways(
        objects,
        [memo.made(gateway_pod, each, NODE, deployments) for each in workloads],
        slices,
        memory.gateways if memory else None,
    )
    documents = planned.manifests.documents
    remembered = earlier.remembered if earlier is not None else Memo()
    remembered.turn()
    return Edge(
        objects=objects,
        zones=_zones(planned.supply, objects, stacks, balancers, memo, names),
        load_balancers=balancers,
        network=table,
        gateways=gateways.by_workload,
        certificates=dict(_certificates(planned.supply, objects, memo)),
        faults=(
            *planned.manifests.faults,
            *stacks.faults,
            *gateways.faults,
            *without_effect(documents, planned.objects, stacks.foreign, memo),
        ),
        unseen={
            stack.load_balancer.name: stack.web_acl.arn
            for stack in stacks.stacks
            if stack.load_balancer and stack.web_acl and stack.web_acl.arn
        },
        fronts={
            reference: stack.load_balancer.name
            for stack in stacks.stacks
            if stack.load_balancer and stack.network
            for reference in stack.network.target_groups
        },
        members={stack.load_balancer.name: stack.members for stack in stacks.stacks if stack.load_balancer},
        supplied=planned.supplied,
        remembered=remembered,
        memory=Memory(planned, stacks, gateways, memo, names),
    )


def _memory(earlier: Edge | None) -> Memory | None:
    return earlier.memory if earlier is not None and isinstance(earlier.memory, Memory) else None


def _account(supply: Supply) -> Account:
    """The account's other contents: certificates are discovered by host."""
    return Account(certificates=tuple(AcmCertificate(each.arn, each.names) for each in supply.certificates))


def _stacks(planned: Plan, memory: Memory | None, memo: Memo) -> Stacks:
    account = memo.stable("account", _account(planned.supply))
    used = [planned.objects.view(kind) for kind in (*USED, apps.Deployment)]
    return memo.depending(
        "stacks",
        [account, *used],
        lambda: stack_from_manifests(
            (each for view in used for each in view.listed),
            account=account,
            earlier=memory.stacks if memory else None,
        ),
    )


def _completed(objects: Objects, memo: Memo) -> Objects:
    """The objects with what a cluster adds to Services: node ports, and the addresses of gateways."""
    kinds = (core.Service, istio.Gateway, networking.Ingress)
    given = memo.depending("addresses", [objects.view(kind) for kind in kinds], lambda: addresses(objects))
    return objects.replacing(core.Service, memo.made(_services, objects.view(core.Service), given, memo))


def _services(view: View[core.Service], given: Mapping[Name, str], memo: Memo) -> View[core.Service]:
    return View({name: memo.made(_service, each, given.get(name, "")) for name, each in view.named.items()})


def _service(service: core.Service, address: str) -> core.Service:
    return with_node_ports(addressed(service, address) if address else service)


# --- the network -------------------------------------------------------------------------------------------------


def _slices(
    given: View[core.EndpointSlice], services: View[core.Service], brought: Brought, memo: Memo
) -> Sequence[core.EndpointSlice]:
    """The endpoints in the manifests, and those of each Service without any: its Pods, the echo or a program."""
    names = {(each.namespace, each.metadata.labels.get(SERVICE_NAME, "")) for each in given.listed}
    found = list(given.listed)
    for name, service in services.named.items():
        if name not in names and service.spec.type != "ExternalName":
            found += slices_of(service, brought, memo)
    return found


def _bindings(stacks: Stacks, services: View[core.Service]) -> dict[str, ServicePort]:
    found: dict[str, ServicePort] = {}
    for stack in stacks.stacks:
        for binding in stack.bindings:
            service = services.named.get((binding.namespace, binding.service))
            for port in service.spec.ports if service else ():
                if binding.port in (port.port, port.name):
                    found[binding.target_group] = ServicePort(binding.namespace, binding.service, port.port)
                    break
    return found


# --- load balancers ----------------------------------------------------------------------------------------------


def _load_balancers(stacks: Stacks, table: Network, objects: Objects, supply: Supply) -> Iterator[AnyLoadBalancer]:
    for stack in stacks.stacks:
        for made in (stack.load_balancer, stack.network):
            if made is not None:
                yield _placed(made, table, objects, supply.place.region)


def _placed(made: AnyLoadBalancer, table: Network, objects: Objects, region: str) -> AnyLoadBalancer:
    """The load balancer with its DNS name and its targets."""
    if isinstance(made, NetworkLoadBalancer):
        name = f"{made.name}-{_digits(made.name)}.elb.{region}.amazonaws.com"
    else:
        prefix = "internal-" if made.scheme == "internal" else ""
        name = f"{prefix}{made.name}-{_digits(made.name)}.{region}.elb.amazonaws.com"
    groups = {each.reference: _registered(each, table, objects) for each in made.target_groups.values()}
    return replace(
        made, dns_name=name, canonical_hosted_zone_id=canonical_hosted_zone(name) or "", target_groups=groups
    )


def _digits(name: str) -> int:
    """The number in a load balancer's DNS name, which AWS draws at random. Here it is derived from the name."""
    return 1_000_000_000 + crc32(name.encode()) % 1_000_000_000


def _registered(group: TargetGroup, table: Network, objects: Objects) -> TargetGroup:
    """The group with the targets that the controller registers for its Service."""
    bound = table.bindings.get(group.reference)
    service = objects.get(core.Service, bound.namespace, bound.service) if bound else None
    port = next((each for each in service.spec.ports if each.port == bound.port), None) if bound and service else None
    if port is None:
        return group
    if group.target_type == "instance":
        return replace(group, targets=(Target(NODE, port.node_port),)) if port.node_port else group
    ipv6 = group.ip_address_type == "ipv6"
    behind = [address for address, found in table.addresses.items() if found == bound and (":" in address[0]) == ipv6]
    return replace(group, targets=tuple(Target(address, number) for address, number in behind))


# --- names -------------------------------------------------------------------------------------------------------


def _zones(
    supply: Supply,
    objects: Objects,
    stacks: Stacks,
    balancers: Sequence[AnyLoadBalancer],
    memo: Memo,
    names: Memo,
) -> tuple[HostedZone, ...]:
    """The hosted zones with the records that external-dns writes."""
    desired = endpoints(with_host_names(objects, stacks, balancers, memo), names)
    return memo.made(_recorded, desired, memo.stable("zones", list(supply.zones)))


def with_host_names(objects: Objects, stacks: Stacks, balancers: Sequence[AnyLoadBalancer], memo: Memo) -> Objects:
    """The objects with the DNS names that the controller will write into the statuses of Ingresses and Services."""
    published = memo.stable("published", _published(stacks, balancers, GroupId))
    of_services = memo.stable("published by Services", _published(stacks, balancers, ServiceId))
    ingresses = memo.made(_with_statuses, objects.view(networking.Ingress), published)
    services = memo.made(_with_service_statuses, objects.view(core.Service), of_services)
    return objects.replacing(networking.Ingress, ingresses).replacing(core.Service, services)


def stacks_of(edge: Edge) -> Stacks:
    """What an edge of manifests was built from."""
    memory = _memory(edge)
    assert memory is not None, "its edge is of a cluster"
    return memory.stacks


def _recorded(desired: Sequence[Endpoint], zones: Sequence[SuppliedZone]) -> tuple[HostedZone, ...]:
    empty = [HostedZone(each.zone_id or each.name, f"{each.name}.", ()) for each in zones]
    changes = plan_records(desired, empty, "default").changes
    return tuple(replace(zone, record_sets=tuple(_created(changes.get(zone.id, ())))) for zone in empty)


def _created(groups: Iterable[Iterable[object]]) -> Iterator[RecordSet]:
    from lockgate.dns.plan import Change

    for group in groups:
        for change in group:
            assert isinstance(change, Change)
            yield change.record_set


def _published(
    stacks: Stacks, balancers: Iterable[AnyLoadBalancer], kind: type[GroupId] | type[ServiceId]
) -> dict[Name, str]:
    """The DNS name that the controller writes into each object's status: the one of the load balancer in front."""
    by_name = {(each.name, isinstance(each, NetworkLoadBalancer)): each.dns_name for each in balancers}
    return {
        member: by_name[stack.outer.name, stack.network is not None]
        for stack in stacks.stacks
        if isinstance(stack.id, kind) and stack.outer is not None
        for member in (stack.members if isinstance(stack.id, GroupId) else ((stack.id.namespace, stack.id.name),))
    }


def _with_statuses(ingresses: View[networking.Ingress], published: Mapping[Name, str]) -> View[networking.Ingress]:
    return View({name: _with_status(each, published.get(name)) for name, each in ingresses.named.items()})


def _with_service_statuses(services: View[core.Service], published: Mapping[Name, str]) -> View[core.Service]:
    return View({name: _with_service_status(each, published.get(name)) for name, each in services.named.items()})


def _with_service_status(service: core.Service, name: str | None) -> core.Service:
    if name is None:
        return service
    status = LoadBalancerStatus(ingress=(LoadBalancerIngress(hostname=name),))
    return service.model_copy(update={"status": service.status.model_copy(update={"load_balancer": status})})


def _with_status(ingress: networking.Ingress, name: str | None) -> networking.Ingress:
    if name is None:
        return ingress
    status = LoadBalancerStatus(ingress=(LoadBalancerIngress(hostname=name),))
    return ingress.model_copy(update={"status": ingress.status.model_copy(update={"load_balancer": status})})


# --- certificates ------------------------------------------------------------------------------------------------


def _certificates(supply: Supply, objects: Objects, memo: Memo) -> Iterator[tuple[str, Certificate]]:
    for each in supply.certificates:
        yield each.arn, Certificate(each.names, "Amazon, by DNS validation")
    for pair in supply.key_pairs:
        yield secret_reference(pair.namespace, pair.name), Certificate(pair.names, "this edge's own CA")
    yield from gateway_secrets(objects, memo)
