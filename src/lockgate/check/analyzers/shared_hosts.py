"""Hosts that two load balancers, or two VirtualServices at one gateway, both claim."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.check.ingresses import members
from lockgate.edge.edge import Edge
from lockgate.gateway.hosts import gateway_name
from lockgate.resources import istio
from lockgate.resources.codes import names as codes
from lockgate.resources.faults import Fault, Origin

CODES = (codes.HOST_OF_TWO_BALANCERS, codes.HOST_OF_TWO_SERVICES)


def analyze(edge: Edge) -> Iterator[Fault]:
    balancers: dict[tuple[str, str], str] = {}
    for balancer in edge.application_load_balancers:
        for ingress in members(edge, balancer):
            for index, rule in enumerate(ingress.spec.rules):
                first = balancers.setdefault((balancer.scheme, rule.host.lower()), balancer.name)
                if rule.host and first != balancer.name:
                    origin = Origin(ingress.key, ("spec", "rules", index, "host"))
                    yield codes.HOST_OF_TWO_BALANCERS.at(origin, first=first, second=balancer.name, host=rule.host)
    services: dict[tuple[str, str], istio.VirtualService] = {}
    for service in edge.objects.all(istio.VirtualService):
        gateways = {gateway_name(each, service.namespace) for each in service.spec.gateways} - {"mesh"}
        for index, host in enumerate(service.spec.hosts):
            others = [services.setdefault((gateway, host.lower()), service) for gateway in sorted(gateways)]
            other = next((each for each in others if each is not service), None)
            if other is not None:
                origin = Origin(service.key, ("spec", "hosts", index))
                yield codes.HOST_OF_TWO_SERVICES.at(origin, host=host, first=other.key)
