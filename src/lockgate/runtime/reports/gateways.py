"""A line for each gateway of Istio: what it serves, or why it is not there yet."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.edge.workloads import gateway_workloads
from lockgate.gateway.install import install
from lockgate.resources import core, istio
from lockgate.runtime.observed import Cluster, Proxy, State
from lockgate.runtime.parts import Line, Readiness, count
from lockgate.runtime.reports import rejected

_PART = "gateway"


def gateways(state: State) -> Iterator[Line]:
    workloads = gateway_workloads(services(state.cluster), state.cluster.all(istio.Gateway))
    names = {workload.node_id: workload.name for workload in workloads}
    for node, envoy in sorted(state.envoys.items()):
        if node != "alb":
            yield _line(envoy, names.get(node, node))
    for node, name in names.items():
        if node not in state.envoys:
            yield Line(_PART, name, Readiness.WAITING, "its Pod is being made")


def services(cluster: Cluster) -> tuple[core.Service, ...]:
    """The cluster's, and those that IstioOperators are about to install."""
    there = cluster.all(core.Service)
    known = {service.key for service in there}
    installed = (
        core.Service.model_validate(gateway.service)
        for operator in cluster.all(istio.IstioOperator)
        for gateway in install(operator).gateways
    )
    return (*there, *(service for service in installed if service.key not in known))


def _line(envoy: Proxy, name: str) -> Line:
    gateway = envoy.gateway
    if wrong := envoy.trouble or str(rejected.held_up(envoy.rejections, whole=bool(envoy.istiod)) or ""):
        return Line(_PART, name, Readiness.FAILED, wrong)
    if gateway is None:
        return Line(_PART, name, Readiness.WAITING, "Envoy starts")
    hosts = sum(len(each.virtual_hosts) for each in gateway.routes.values())
    listening = [each for each in gateway.listeners if each.port != gateway.status_port]
    detail = envoy.istiod or f"{count(len(listening), 'listener')} · {count(hosts, 'virtual host')}"
    return Line(_PART, name, Readiness.READY if envoy.settled else Readiness.WAITING, detail)
