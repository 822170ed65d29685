"""Load balancers and the Ingresses that they are built from."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.edge.edge import Edge
from lockgate.ingress.annotations.spec import AnyAnnotation
from lockgate.loadbalancer.model import Forward, LoadBalancer, Rule
from lockgate.loadbalancer.network import AnyLoadBalancer
from lockgate.resources import networking
from lockgate.resources.faults import Origin
from lockgate.resources.model import ObjectKey


def members(edge: Edge, balancer: AnyLoadBalancer) -> tuple[networking.Ingress, ...]:
    """The Ingresses of a load balancer, those with rules in the order of their rules."""
    keys = dict.fromkeys(_keys(balancer))
    ingresses = edge.objects.among(networking.Ingress)
    return tuple(found for key in keys if (found := ingresses.get((key.namespace, key.name))) is not None)


def written(edge: Edge, balancer: AnyLoadBalancer, annotation: AnyAnnotation) -> Origin | None:
    """Where the annotation is, or would be: on the first Ingress that has it, else the first Ingress.

    None for a load balancer that no Ingress builds.
    """
    found = members(edge, balancer)
    if not found:
        return None
    having = next((each for each in found if annotation.key in each.metadata.annotations), None)
    return Origin(having.key, annotation.path()) if having else Origin(found[0].key)


def forwards(balancer: LoadBalancer, port: int) -> Iterator[tuple[Rule | None, Forward]]:
    """The forwarding rules of a listener; None is its default rule."""
    for listener in balancer.listeners:
        if listener.port != port:
            continue
        for rule in (*listener.rules, None):
            action = (rule.actions if rule else listener.default_actions)[-1]
            if isinstance(action, Forward):
                yield rule, action


def _keys(balancer: AnyLoadBalancer) -> Iterator[ObjectKey]:
    for each in (balancer, *balancer.listeners):
        if each.origin is not None:
            yield each.origin.key
    if isinstance(balancer, LoadBalancer):
        for listener in balancer.listeners:
            for rule in listener.rules:
                if rule.origin is not None:
                    yield rule.origin.key
