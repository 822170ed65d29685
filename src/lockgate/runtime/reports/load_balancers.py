"""A line for each load balancer: what it serves, or why it is not made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lockgate.ingress.stack import StackId
from lockgate.loadbalancer.network import AnyLoadBalancer, NetworkLoadBalancer
from lockgate.resources import core, networking
from lockgate.resources.codes import load_balancer as codes
from lockgate.resources.faults import Fault, Origin
from lockgate.resources.model import ObjectKey
from lockgate.runtime.observed import State
from lockgate.runtime.parts import Line, Readiness, count
from lockgate.runtime.reports import balancer_names, rejected

_PART = "load balancer"


def load_balancers(state: State) -> Iterator[Line]:
    owners = balancer_names.owners(state)
    published = {each.hostname.lower() for owner in owners for each in owner.status.load_balancer.ingress}
    names = balancer_names.live(state)
    failing = _failing(state)
    wanted = {
        names.get(owner, made.name): owner[0]
        for stack in (state.stacks.stacks if state.stacks else ())
        for owner, made in balancer_names.desired(stack)
    }
    stuck = {stack for owner, _ in failing.values() for stack in balancer_names.stacks_held(owner)}
    for balancer in state.balancing.all:
        # The controller writes a status when all of the load balancer is made; scripts make theirs alone.
        made = balancer.name not in wanted or balancer.dns_name.lower() in published
        if made or wanted[balancer.name] not in stuck:  # else its owner says why it is half made
            yield _served(state, balancer, made=made)
    there = {balancer.name for balancer in state.balancing.all}
    for name, group in wanted.items():
        if name not in there and group not in stuck:
            yield Line(_PART, name, Readiness.WAITING, "is being made")
    for name, (_, message) in failing.items():
        yield Line(_PART, name, Readiness.FAILED, message)
    for key, fault in sorted(state.refused.items()):
        if key.kind == networking.Ingress.KIND.kind or fault.code.id == codes.NOT_BUILT.id:
            yield _refused(state, key, fault)


def _served(state: State, balancer: AnyLoadBalancer, *, made: bool) -> Line:
    balancing, envoy = state.balancing, state.alb
    states = {reference: balancing.targets.get(reference, {}) for reference in balancer.target_groups}
    targets = [target for group in states.values() for target in group.values()]
    healthy = targets.count("healthy") + targets.count("unavailable")  # functions that nobody checks take requests
    complaints = (why for reference in balancer.target_groups for why in balancing.complaints.get(reference, ()))
    ports = (f"{balancer.name}:{listener.port}" for listener in balancer.listeners)
    unserved = [f"listener {port}: {balancing.unserved[port]}" for port in ports if port in balancing.unserved]
    detail = " · ".join(
        (
            count(len(balancer.listeners), "listener"),
            count(len(balancer.target_groups), "target group"),
            f"{healthy}/{len(targets)} healthy",
            *dict.fromkeys(complaints),
            *unserved,
        )
    )
    if envoy.trouble:
        return Line(_PART, balancer.name, Readiness.FAILED, envoy.trouble)
    if rejection := rejected.held_up(envoy.rejections, balancer.name):
        return Line(_PART, balancer.name, Readiness.FAILED, str(rejection))
    # Where no target is healthy, all get traffic: with one target, such as a load balancer, it is that one either way.
    fit = healthy == len(targets) or isinstance(balancer, NetworkLoadBalancer)
    served = balancing.current and envoy.settled and made and balancer.dns_name.lower() in balancing.addresses
    unbound = {group.name for group in state.supply.target_groups if not group.bound} if state.supply else ()
    complete = all(states[group.reference] or group.name in unbound for group in balancer.target_groups.values())
    ready = served and complete and fit and not unserved
    return Line(_PART, balancer.name, Readiness.READY if ready else Readiness.WAITING, detail)


def _failing(state: State) -> Mapping[str, tuple[networking.Ingress | core.Service, str]]:
    """The objects whose latest event is a warning: the controller tries them again. By name, one of those that have
    the same message: a warning about a group is on all of its members."""
    found: dict[str, tuple[networking.Ingress | core.Service, str]] = {}
    messages: set[tuple[tuple[StackId, ...], str]] = set()
    for owner in balancer_names.owners(state) if state.cluster.warnings else ():
        message = state.cluster.warnings.get(owner.metadata.uid)
        if message is None or owner.key in state.refused:
            continue
        alike = balancer_names.stacks_held(owner), message
        if alike not in messages:
            messages.add(alike)
            found[f"{owner.namespace}/{owner.name}"] = owner, message
    return found


def _refused(state: State, key: ObjectKey, fault: Fault) -> Line:
    name = f"{key.namespace}/{key.name}"
    if fault.subject not in ("", str(key)):
        return Line(_PART, name, Readiness.UNSERVED, f"{fault.subject} of its group is refused [{fault.code.id}]")
    position = state.locate(fault.origin) if isinstance(fault.origin, Origin) else fault.origin
    return Line(_PART, name, Readiness.REFUSED, f"refused{f', {position}' if position else ''} [{fault.code.id}]")
