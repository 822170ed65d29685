"""Builds an `Edge` from the objects of a cluster and an account: a running edge's APIs, or EKS and AWS.

The load balancers are those of the ELBv2 API, whoever created them. If the manifests lead to the same load balancer,
its rules or listeners get the manifests' lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from lockgate.dns.model import Zone
from lockgate.edge.edge import Certificate, Edge
from lockgate.edge.gateways import Gateways, built_gateways, gateway_secrets
from lockgate.edge.network import ServicePort, network
from lockgate.edge.objects import Objects
from lockgate.edge.workloads import NODE_ID, PROXY_LABEL, gateway_workloads
from lockgate.ingress.manifests import Stacks
from lockgate.ingress.stack import ServiceId, Stack
from lockgate.loadbalancer.model import Listener, Rule, TargetGroup
from lockgate.loadbalancer.network import AnyLoadBalancer, NetworkLoadBalancer
from lockgate.resources import core, elbv2, istio
from lockgate.resources.faults import Fault
from lockgate.resources.memo import Memo
from lockgate.resources.model import Resource


def from_state(
    resources: Iterable[Resource],
    zones: Sequence[Zone],
    load_balancers: Sequence[AnyLoadBalancer],
    certificates: Mapping[str, Certificate],
    *,
    stacks: Stacks | None = None,
    faults: Sequence[Fault] = (),
    earlier: Edge | None = None,
) -> Edge:
    """`resources` are the cluster's objects, `certificates` are ACM's by ARN, `stacks` are built from the manifests."""
    objects = Objects(resources)
    workloads = gateway_workloads(objects.all(core.Service), objects.all(istio.Gateway))
    marked = [pod for pod in objects.all(core.Pod) if pod.metadata.labels.get(PROXY_LABEL) == "istio"]
    pods = list({pod.metadata.annotations.get(NODE_ID): pod for pod in marked}.values())
    slices = objects.all(core.EndpointSlice)
    memory = earlier.memory if earlier is not None and isinstance(earlier.memory, Gateways) else None
    gateways = built_gateways(objects, pods, slices, memory)
    built = stacks.stacks if stacks else ()
    bindings = dict(_bindings(objects))
    by_name = {stack.load_balancer.name: stack for stack in built if stack.load_balancer}
    by_host = dict(_of_services(objects, built))
    return Edge(
        objects=objects,
        zones=tuple(zones),
        load_balancers=tuple(
            _placed(each, by_host.get(each.dns_name.lower()) or by_name.get(each.name), bindings)
            for each in load_balancers
        ),
        network=network(objects.all(core.Service), workloads, slices, bindings),
        gateways=gateways.by_workload,
        certificates={**certificates, **dict(gateway_secrets(objects, Memo()))},
        faults=(*faults, *gateways.faults),
        members={stack.load_balancer.name: stack.members for stack in built if stack.load_balancer},
        memory=gateways,
    )


def _bindings(objects: Objects) -> Iterator[tuple[str, ServicePort]]:
    for binding in objects.all(elbv2.TargetGroupBinding):
        ref = binding.spec.service_ref
        service = objects.get(core.Service, binding.namespace, ref.name)
        for port in service.spec.ports if service else ():
            if ref.port in (port.port, port.name):
                yield binding.spec.target_group_arn, ServicePort(binding.namespace, ref.name, port.port)
                break


def _of_services(objects: Objects, stacks: Iterable[Stack]) -> Iterator[tuple[str, Stack]]:
    """The stacks of Services by the host name in the Service's status: the load balancer's name has the UID, which the
    manifests do not know."""
    for stack in stacks:
        service = objects.get(core.Service, stack.id.namespace, stack.id.name)
        if isinstance(stack.id, ServiceId) and service is not None:
            yield from ((entry.hostname.lower(), stack) for entry in service.status.load_balancer.ingress)


def _placed(balancer: AnyLoadBalancer, stack: Stack | None, bound: Mapping[str, ServicePort]) -> AnyLoadBalancer:
    """Adds the manifests' origins to rules that equal those built from the manifests."""
    if stack is None or stack.inner is None:
        return balancer
    origins = {(each.namespace, each.service): each.origin for each in stack.bindings}
    by_port = {
        ServicePort(each.namespace, each.service, each.port): each.origin
        for each in stack.bindings
        if isinstance(each.port, int)
    }
    groups = dict(balancer.target_groups)
    for reference, group in groups.items():
        if (port := bound.get(reference)) is not None:
            origin = by_port.get(port) or origins.get((port.namespace, port.service))
            groups[reference] = replace(group, origin=origin)
    if isinstance(balancer, NetworkLoadBalancer):
        return _placed_network(balancer, stack.network, groups)
    if (made := stack.load_balancer) is None:
        return balancer
    listeners = {each.port: each for each in made.listeners}
    placed = tuple(_placed_listener(each, listeners.get(each.port)) for each in balancer.listeners)
    return replace(balancer, listeners=placed, target_groups=groups, origin=made.origin)


def _placed_network(
    balancer: NetworkLoadBalancer, made: NetworkLoadBalancer | None, groups: Mapping[str, TargetGroup]
) -> NetworkLoadBalancer:
    if made is None:
        return balancer
    origins = {each.port: each.origin for each in made.listeners}
    listeners = tuple(replace(each, origin=origins.get(each.port)) for each in balancer.listeners)
    return replace(balancer, listeners=listeners, target_groups=groups, origin=made.origin)


def _placed_listener(listener: Listener, made: Listener | None) -> Listener:
    if made is None:
        return listener
    rules = {rule.priority: rule for rule in made.rules}
    return replace(
        listener,
        rules=tuple(_placed_rule(each, rules.get(each.priority)) for each in listener.rules),
        origin=made.origin,
    )


def _placed_rule(rule: Rule, made: Rule | None) -> Rule:
    return replace(rule, origin=made.origin) if made is not None and made.conditions == rule.conditions else rule
