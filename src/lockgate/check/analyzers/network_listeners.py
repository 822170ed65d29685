"""Listeners of Network Load Balancers that open other connections than the gateway behind them expects."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.edge.edge import Edge
from lockgate.ingress.annotations import services as a
from lockgate.loadbalancer.model import TargetGroup
from lockgate.loadbalancer.network import NetworkListener, NetworkLoadBalancer, sends_proxy_protocol
from lockgate.resources import core
from lockgate.resources.codes import network_to_gateway as codes
from lockgate.resources.faults import Code, Fault, Origin

CODES = (codes.TLS, codes.PROXY)


def analyze(edge: Edge) -> Iterator[Fault]:
    for balancer in edge.load_balancers:
        if not isinstance(balancer, NetworkLoadBalancer):
            continue
        for listener in balancer.listeners:
            for each in listener.forward.target_groups:
                yield from _differing(edge, balancer, listener, balancer.target_groups[each.target_group])


def _differing(
    edge: Edge, balancer: NetworkLoadBalancer, listener: NetworkListener, group: TargetGroup
) -> Iterator[Fault]:
    service = edge.network.behind(group, group.targets[0] if group.targets else None)
    leads = edge.network.gateways.get(service) if service else None
    gateway = edge.gateways.get(leads.workload) if leads else None
    if service is None or leads is None or gateway is None or leads.port == gateway.status_port:
        return
    found = next((each for each in gateway.listeners if each.port == leads.port), None)
    if found is None:
        return

    def fault(code: Code, *annotations: str) -> Fault:
        resource = edge.objects.get(core.Service, service.namespace, service.service)
        noted = resource.metadata.annotations if resource else {}
        written = next((each for each in annotations if each in noted), None)
        origin = listener.origin
        if resource is not None and written is not None:
            origin = Origin(resource.key, ("metadata", "annotations", written))
        return code.at(origin, balancer=balancer.name, port=listener.port)

    sends = sends_proxy_protocol(group)
    if sends != gateway.http.proxy_protocol:
        code = codes.PROXY if sends else codes.NO_PROXY
        yield fault(code, a.PROXY_PROTOCOL.key, a.PROXY_PROTOCOL_PORTS.key, a.TARGET_GROUP_ATTRIBUTES.key)
    encrypted = [chain.tls is not None or chain.passthrough for chain in found.filter_chains]
    if listener.protocol == "TLS" and encrypted:
        if group.protocol == "TLS" and not any(encrypted):
            yield fault(codes.TLS_AGAIN, a.BACKEND_PROTOCOL.key)
        elif group.protocol == "TCP" and all(encrypted):
            yield fault(codes.TLS, a.SSL_CERT.key)
