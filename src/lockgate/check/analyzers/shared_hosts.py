"""Hosts that two load balancers, or two VirtualServices at one gateway, both claim."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lockgate.check.ingresses import members
from lockgate.edge.edge import Edge
from lockgate.gateway.hosts import gateway_name
from lockgate.resources import istio
from lockgate.resources.codes import names as codes
from lockgate.resources.faults import Fault, Origin
from lockgate.resources.model import ObjectKey

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
    remembered = edge.remembered
    yield from remembered.made(_twice, remembered.facts("claims", _claims, edge.objects.all(istio.VirtualService)))


@dataclass(frozen=True, slots=True)
class _Claims:
    """The hosts of a VirtualService, and the Gateways at which it claims them."""

    key: ObjectKey
    hosts: tuple[str, ...]
    gateways: tuple[str, ...]


def _claims(service: istio.VirtualService) -> _Claims:
    gateways = {gateway_name(each, service.namespace) for each in service.spec.gateways} - {"mesh"}
    return _Claims(service.key, service.spec.hosts, tuple(sorted(gateways)))


def _twice(every: Iterable[_Claims]) -> list[Fault]:
    found: list[Fault] = []
    claimed: dict[tuple[str, str], _Claims] = {}
    for each in every:
        for index, host in enumerate(each.hosts):
            others = [claimed.setdefault((gateway, host.lower()), each) for gateway in each.gateways]
            other = next((one for one in others if one is not each), None)
            if other is not None:
                origin = Origin(each.key, ("spec", "hosts", index))
                found.append(codes.HOST_OF_TWO_SERVICES.at(origin, host=host, first=other.key))
    return found
