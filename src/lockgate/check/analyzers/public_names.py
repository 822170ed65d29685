"""Hosts that an edge serves, and that its certificate or its DNS does not have."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.check.ingresses import members
from lockgate.dns.answer import answer, zone_of
from lockgate.edge.edge import Certificate, Edge
from lockgate.loadbalancer.model import LoadBalancer
from lockgate.resources.codes import certificates, names
from lockgate.resources.faults import Fault, Origin

CODES = (certificates.HOST_NOT_COVERED, names.NO_RECORD)


def analyze(edge: Edge) -> Iterator[Fault]:
    for balancer in edge.application_load_balancers:
        presented = list(_presented(edge, balancer))
        for origin, host in _hosts(edge, balancer):
            for port, served in presented:
                covered = any(host in each.names if host.startswith("*.") else each.covers(host) for each in served)
                if not covered:
                    shown = ", ".join(dict.fromkeys(name for each in served for name in each.names))
                    values = {"balancer": balancer.name, "port": port, "names": shown, "host": host}
                    yield certificates.HOST_NOT_COVERED.at(origin, **values)
            if not host.startswith("*.") and not _has_record(edge, host):
                yield names.NO_RECORD.at(origin, host=host)


def _presented(edge: Edge, balancer: LoadBalancer) -> Iterator[tuple[int, tuple[Certificate, ...]]]:
    """The HTTPS listeners all of whose certificates are known, with these."""
    for listener in balancer.listeners:
        served = tuple(edge.certificates[each] for each in listener.certificates if each in edge.certificates)
        if served and len(served) == len(listener.certificates):
            yield listener.port, served


def _hosts(edge: Edge, balancer: LoadBalancer) -> Iterator[tuple[Origin, str]]:
    for ingress in members(edge, balancer):
        for index, rule in enumerate(ingress.spec.rules):
            if rule.host:
                yield Origin(ingress.key, ("spec", "rules", index, "host")), rule.host.lower()


def _has_record(edge: Edge, host: str) -> bool:
    """Whether a name in one of the edge's zones exists. Names in other zones are not the edge's to know."""
    name = f"{host}."
    if zone_of(edge.zones, name) is None:
        return True
    found = answer(edge.zones, name, "A", lambda dns_name: ("192.0.2.1",) if edge.load_balancer(dns_name) else ())
    return bool(found.answer)
