"""Identifies a live load balancer's owner by its Ingress group, because it keeps its first name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from lockgate.ingress.annotations import registry as a
from lockgate.ingress.group import groups_held
from lockgate.ingress.stack import GroupId, Stack
from lockgate.loadbalancer.network import AnyLoadBalancer, NetworkLoadBalancer
from lockgate.resources import networking
from lockgate.resources.codes import load_balancer as codes
from lockgate.resources.faults import Fault, Origin
from lockgate.runtime.observed import State

Owner: TypeAlias = tuple[GroupId, bool]  # its group; whether it is the network load balancer in front


def desired(stack: Stack) -> Iterator[tuple[Owner, AnyLoadBalancer]]:
    if stack.load_balancer is not None:
        yield (stack.group, False), stack.load_balancer
    if stack.frontend is not None:
        yield (stack.group, True), stack.frontend


def live(balancers: Iterable[AnyLoadBalancer], ingresses: Iterable[networking.Ingress]) -> Mapping[Owner, str]:
    """The names of the groups' load balancers: the controller writes their host names into its Ingresses' status."""
    by_host = {balancer.dns_name.lower(): balancer for balancer in balancers}
    return {
        (group, isinstance(balancer, NetworkLoadBalancer)): balancer.name
        for ingress in ingresses
        for entry in ingress.status.load_balancer.ingress
        if (balancer := by_host.get(entry.hostname.lower())) is not None
        for group in groups_held(ingress)
    }


def kept(state: State) -> Iterator[Fault]:
    """A warning for each load balancer whose Ingresses give it another name, which has no effect."""
    ingresses = state.cluster.all(networking.Ingress)
    names = live(state.balancing.all, ingresses)
    for stack in state.stacks.stacks if state.stacks else ():
        balancer = stack.load_balancer
        name = names.get((stack.group, False))
        if balancer is None or name is None or name == balancer.name:
            continue
        naming = (each for each in ingresses if a.LOAD_BALANCER_NAME.key in each.metadata.annotations)
        ingress = next((each for each in naming if stack.group in groups_held(each)), None)
        origin = Origin(ingress.key, a.LOAD_BALANCER_NAME.path()) if ingress else balancer.origin
        yield codes.KEEPS_ITS_NAME.at(origin, name=name, wanted=balancer.name)
