"""Members of an IngressGroup whose rules are on the plain port only, while other members have HTTPS."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.check.ingresses import members
from lockgate.edge.edge import Edge
from lockgate.ingress.annotations import registry as a
from lockgate.loadbalancer.model import LoadBalancer
from lockgate.resources.codes import to_gateway as codes
from lockgate.resources.faults import Fault, Origin
from lockgate.resources.model import ObjectKey

CODES = (codes.NO_RULE_ON_HTTPS,)


def analyze(edge: Edge) -> Iterator[Fault]:
    for balancer in edge.application_load_balancers:
        secure = _members(balancer, "HTTPS")
        plain = _members(balancer, "HTTP")
        port = next((each.port for each in balancer.listeners if each.protocol == "HTTPS"), None)
        if port is None or len(secure | plain) < 2:
            continue
        ingresses = {each.key: each for each in members(edge, balancer)}
        for key in sorted(plain - secure):
            ingress = ingresses.get(key)
            if ingress is None or a.LISTEN_PORTS.key in ingress.metadata.annotations:
                continue
            host = next((rule.host for rule in ingress.spec.rules if rule.host), "its hosts")
            yield codes.NO_RULE_ON_HTTPS.at(Origin(key), balancer=balancer.name, port=port, host=host)


def _members(balancer: LoadBalancer, protocol: str) -> set[ObjectKey]:
    """The Ingresses with rules on listeners of a protocol."""
    return {
        rule.origin.key
        for listener in balancer.listeners
        if listener.protocol == protocol
        for rule in listener.rules
        if rule.origin is not None
    }
