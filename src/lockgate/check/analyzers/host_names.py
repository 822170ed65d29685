"""Hosts on which a load balancer and the gateway behind it do not agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from lockgate.check.connections import Connection, connections
from lockgate.check.ingresses import forwards
from lockgate.edge.edge import Edge
from lockgate.gateway.hosts import within
from lockgate.gateway.model import Gateway
from lockgate.loadbalancer.model import HostHeader, LoadBalancer
from lockgate.resources import istio
from lockgate.resources.codes import names as codes
from lockgate.resources.faults import Fault, Origin

CODES = (codes.NO_VIRTUAL_HOST, codes.NOT_FORWARDED)


def analyze(edge: Edge) -> Iterator[Fault]:
    if not edge.objects.among(istio.VirtualService):
        return  # they are in other files: teams keep them with their applications
    by_gateway: defaultdict[str, list[Connection]] = defaultdict(list)
    for each in connections(edge):
        if each.gateway is not None and each.listener is not None:
            by_gateway[each.gateway.workload].append(each)
    for workload, ways in by_gateway.items():
        gateway = edge.gateways[workload]
        domains = _domains(gateway)
        forwarded: set[str] = set()
        for way in ways:
            for origin, host in _forwarded(way.balancer, way.group.reference):
                forwarded.add(host)
                if host == "*" and not domains:
                    yield codes.NO_VIRTUAL_SERVICE.at(way.group.origin, balancer=way.balancer.name, service=way.service)
                elif not any(_overlap(host, domain) for domain in domains):
                    yield codes.NO_VIRTUAL_HOST.at(origin, balancer=way.balancer.name, host=host, service=way.service)
        if "*" in forwarded:
            continue
        for origin, host in _served(edge, gateway):
            if not any(_overlap(host, each) for each in forwarded):
                yield codes.NOT_FORWARDED.at(origin, host=host, balancer=ways[0].balancer.name)


def _domains(gateway: Gateway) -> set[str]:
    """All domains of the gateway's virtual hosts, without the catch-all that answers 404."""
    return {
        domain.partition(":")[0]
        for routes in gateway.routes.values()
        for host in routes.virtual_hosts
        if host.routes or host.require_tls
        for domain in host.domains
    }


def _forwarded(balancer: LoadBalancer, reference: str) -> Iterator[tuple[Origin | None, str]]:
    """The hosts of the rules that forward to a target group, as patterns; ``*`` for rules that take any host."""
    for listener in balancer.listeners:
        for rule, action in forwards(balancer, listener.port):
            if all(each.target_group != reference for each in action.target_groups):
                continue
            conditions = [each for each in (rule.conditions if rule else ()) if isinstance(each, HostHeader)]
            if not conditions or any(each.regex_values for each in conditions):
                yield None, "*"
            elif rule is not None:
                host_path = rule.origin.path[:3] if rule.origin else ()
                origin = Origin(rule.origin.key, (*host_path, "host")) if rule.origin and host_path else rule.origin
                yield from ((origin, value.lower()) for each in conditions for value in each.values)


def _served(edge: Edge, gateway: Gateway) -> Iterator[tuple[Origin, str]]:
    """The hosts of the VirtualServices at a gateway, each with its place."""
    keys = {
        route.origin.key
        for routes in gateway.routes.values()
        for host in routes.virtual_hosts
        for route in host.routes
        if route.origin is not None
    }
    for service in edge.objects.all(istio.VirtualService):
        if service.key in keys:
            for index, host in enumerate(service.spec.hosts):
                yield Origin(service.key, ("spec", "hosts", index)), host.lower()


def _overlap(one: str, other: str) -> bool:
    """Whether a name exists that both patterns cover. A pattern with a wildcard inside is taken to cover any."""
    if any("*" in each[1:] or "?" in each for each in (one, other)):
        return True
    return within(one, other) or within(other, one)
