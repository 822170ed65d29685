"""Rejections by Envoys, as faults of the manifests that caused them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lockgate.dataplane.desired import Rejection
from lockgate.ingress.stack import Stack
from lockgate.loadbalancer.model import Listener
from lockgate.resources.codes import machine as codes
from lockgate.resources.faults import Fault, Origin
from lockgate.runtime.observed import State
from lockgate.runtime.reports import balancer_names
from lockgate.xds.snapshot import LISTENER, ROUTE, Source


def faults(state: State) -> Iterator[Fault]:
    for envoy in state.envoys.values():
        for rejection in () if envoy.istiod else envoy.rejections:  # the user's istiod answers for what it sends
            code = codes.LEFT_OUT if rejection.left_out else codes.REJECTED
            yield code.at(
                rejection.source.origin or _in_stacks(state, rejection.source),
                envoy=rejection.node,
                part=str(rejection.source) or rejection.name,
                reason=rejection.message,
            )


def held_up(rejections: Iterable[Rejection], balancer: str = "", *, whole: bool = False) -> Rejection | None:
    """The rejection that prevents a whole resource from being served, for this load balancer or for none in
    particular. With `whole`, each prevents all that came with it."""
    kept = (each for each in rejections if whole or (not each.left_out and each.type_url in (LISTENER, ROUTE)))
    return next((each for each in kept if each.source.balancer in ("", balancer)), None)


def _in_stacks(state: State, source: Source) -> Origin | None:
    """The Ingress rule of a live load balancer. None for a load balancer of another client."""
    names = balancer_names.live(state)
    for stack in state.stacks.stacks if state.stacks else ():
        for owner, made in balancer_names.desired(stack):
            if names.get(owner, made.name) == source.balancer:
                return _in_stack(stack, source) or made.origin
    return None


def _in_stack(stack: Stack, source: Source) -> Origin | None:
    listeners = stack.inner.listeners if stack.inner is not None else ()
    listener = next((each for each in listeners if each.port == source.port), None)
    if not isinstance(listener, Listener):
        return listener.origin if listener is not None else None
    rule = next((each for each in listener.rules if each.priority == source.priority), None)
    return rule.origin if rule else listener.origin
