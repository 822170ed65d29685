"""Gateways and VirtualServices that take more hosts, or more owners, than they need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from lockgate.edge.edge import Edge
from lockgate.resources import istio
from lockgate.resources.codes import security as codes
from lockgate.resources.faults import Fault, Origin

CODES = (codes.ANY_HOST, codes.ANY_NAMESPACE)


def analyze(edge: Edge) -> Iterator[Fault]:
    owners: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for service in edge.objects.all(istio.VirtualService):
        gateways = [each for each in service.spec.gateways if each != "mesh"]
        for name in gateways:
            namespace, slash, rest = name.partition("/")
            owners[(namespace, rest) if slash else (service.namespace, name)].add(service.namespace)
        if gateways and "*" in service.spec.hosts:
            origin = Origin(service.key, ("spec", "hosts", service.spec.hosts.index("*")))
            yield codes.ANY_HOST.at(origin, gateway=gateways[0])
    for gateway in edge.objects.all(istio.Gateway):
        if len(owners[gateway.namespace, gateway.name]) < 2:
            continue
        for index, server in enumerate(gateway.spec.servers):
            open_hosts = [host for host in server.hosts if "/" not in host or host.startswith("*/")]
            if open_hosts:
                origin = Origin(gateway.key, ("spec", "servers", index, "hosts"))
                yield codes.ANY_NAMESPACE.at(origin, hosts=", ".join(open_hosts))
