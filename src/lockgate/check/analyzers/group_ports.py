"""Members of an IngressGroup whose rules are on the plain port only, while other members have HTTPS."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.edge.edge import Edge
from lockgate.ingress.annotations import registry as a
from lockgate.loadbalancer.model import LoadBalancer
from lockgate.resources import networking
from lockgate.resources.codes import to_gateway as codes
from lockgate.resources.faults import Fault, Origin
from lockgate.resources.model import ObjectKey

CODES = (codes.NO_RULE_ON_HTTPS,)


def analyze(edge: Edge) -> Iterator[Fault]:
    for balancer in edge.application_load_balancers:
        port = next((each.port for each in balancer.listeners if each.protocol == "HTTPS"), None)
        members = edge.members.get(balancer.name, ())
        if port is None or len(members) < 2:
            continue
        secure = _with_rules(balancer, "HTTPS")
        for namespace, name in members:
            ingress = edge.objects.get(networking.Ingress, namespace, name)
            if ingress is None or ingress.key in secure or a.LISTEN_PORTS.key in ingress.metadata.annotations:
                continue
            if any(rule.http for rule in ingress.spec.rules):
                host = next((rule.host for rule in ingress.spec.rules if rule.host), "its hosts")
                origin = Origin(ingress.key)
                yield codes.NO_RULE_ON_HTTPS.at(origin, balancer=balancer.name, port=port, host=host)


def _with_rules(balancer: LoadBalancer, protocol: str) -> frozenset[ObjectKey]:
    """The Ingresses with rules on listeners of a protocol. With ssl-redirect, plain listeners have none."""
    return frozenset(
        rule.origin.key
        for listener in balancer.listeners
        if listener.protocol == protocol
        for rule in listener.rules
        if rule.origin is not None
    )
