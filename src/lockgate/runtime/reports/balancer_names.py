"""Identifies a live load balancer's owner by the status of its Ingresses or Service, because it keeps its first
name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from lockgate.ingress.annotations import registry as a
from lockgate.ingress.annotations import services
from lockgate.ingress.group import groups_held
from lockgate.ingress.services.ownership import has_resources
from lockgate.ingress.stack import ServiceId, Stack, StackId
from lockgate.loadbalancer.network import AnyLoadBalancer, NetworkLoadBalancer
from lockgate.resources import core, networking
from lockgate.resources.codes import load_balancer as codes
from lockgate.resources.faults import Fault, Origin
from lockgate.runtime.observed import State

Owner: TypeAlias = tuple[StackId, bool]  # its group or Service; whether it is a network load balancer


def desired(stack: Stack) -> Iterator[tuple[Owner, AnyLoadBalancer]]:
    if stack.load_balancer is not None:
        yield (stack.id, False), stack.load_balancer
    if stack.network is not None:
        yield (stack.id, True), stack.network


def stacks_held(resource: networking.Ingress | core.Service) -> tuple[StackId, ...]:
    """The stacks whose finalizers the object has."""
    if isinstance(resource, networking.Ingress):
        return groups_held(resource)
    return (ServiceId(resource.namespace, resource.name),) if has_resources(resource) else ()


def owners(state: State) -> tuple[networking.Ingress | core.Service, ...]:
    """The objects that may have a load balancer."""
    desired = {(each.id.namespace, each.id.name) for each in _stacks(state) if isinstance(each.id, ServiceId)}
    services = state.cluster.all(core.Service)
    having = (each for each in services if has_resources(each) or (each.namespace, each.name) in desired)
    return (*state.cluster.all(networking.Ingress), *having)


def _stacks(state: State) -> tuple[Stack, ...]:
    return state.stacks.stacks if state.stacks else ()


def live(state: State) -> Mapping[Owner, str]:
    """The names of the stacks' load balancers: the controller writes their host names into its objects' status."""
    by_host = {balancer.dns_name.lower(): balancer for balancer in state.balancing.all}
    return {
        (stack, isinstance(balancer, NetworkLoadBalancer)): balancer.name
        for each in owners(state)
        for entry in each.status.load_balancer.ingress
        if (balancer := by_host.get(entry.hostname.lower())) is not None
        for stack in stacks_held(each)
    }


def kept(state: State) -> Iterator[Fault]:
    """A warning for each load balancer whose objects give it another name, which has no effect."""
    names = live(state)
    for stack in _stacks(state):
        balancer = stack.inner
        name = names.get((stack.id, isinstance(balancer, NetworkLoadBalancer)))
        if balancer is None or name is None or name == balancer.name:
            continue
        annotation = services.NAME if isinstance(stack.id, ServiceId) else a.LOAD_BALANCER_NAME
        naming = (each for each in owners(state) if annotation.key in each.metadata.annotations)
        found = next((each for each in naming if stack.id in stacks_held(each)), None)
        if found is None and isinstance(stack.id, ServiceId):
            continue  # its own name has the UID, which manifests do not know
        origin = Origin(found.key, annotation.path()) if found else balancer.origin
        yield codes.KEEPS_ITS_NAME.at(origin, name=name, wanted=balancer.name)
