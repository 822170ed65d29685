"""Gateways and VirtualServices that take more hosts, or more owners, than they need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lockgate.edge.edge import Edge
from lockgate.resources import istio
from lockgate.resources.codes import security as codes
from lockgate.resources.faults import Fault, Origin

CODES = (codes.ANY_HOST, codes.ANY_NAMESPACE)


def analyze(edge: Edge) -> Iterator[Fault]:
    remembered = edge.remembered
    found = remembered.facts("bound", _bound, edge.objects.all(istio.VirtualService))
    owners, anywhere = remembered.made(_owners, found)
    yield from anywhere
    for gateway in edge.objects.all(istio.Gateway):
        if len(owners.get((gateway.namespace, gateway.name), ())) < 2:
            continue
        for index, server in enumerate(gateway.spec.servers):
            open_hosts = [host for host in server.hosts if "/" not in host or host.startswith("*/")]
            if open_hosts:
                origin = Origin(gateway.key, ("spec", "servers", index, "hosts"))
                yield codes.ANY_NAMESPACE.at(origin, hosts=", ".join(open_hosts))


@dataclass(frozen=True, slots=True)
class _Bound:
    """A VirtualService: its namespace, the Gateways that it names, and a fault if it takes any host."""

    namespace: str
    gateways: tuple[tuple[str, str], ...]
    anywhere: Fault | None


def _bound(service: istio.VirtualService) -> _Bound:
    written = [each for each in service.spec.gateways if each != "mesh"]
    parts = (name.partition("/") for name in written)
    gateways = tuple((namespace, rest) if slash else (service.namespace, namespace) for namespace, slash, rest in parts)
    if not written or "*" not in service.spec.hosts:
        return _Bound(service.namespace, gateways, None)
    origin = Origin(service.key, ("spec", "hosts", service.spec.hosts.index("*")))
    return _Bound(service.namespace, gateways, codes.ANY_HOST.at(origin, gateway=written[0]))


def _owners(every: Iterable[_Bound]) -> tuple[dict[tuple[str, str], set[str]], list[Fault]]:
    """The namespaces with VirtualServices at each Gateway; and the faults."""
    owners: dict[tuple[str, str], set[str]] = {}
    for each in every:
        for gateway in each.gateways:
            owners.setdefault(gateway, set()).add(each.namespace)
    return owners, [each.anywhere for each in every if each.anywhere is not None]
