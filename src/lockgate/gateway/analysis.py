"""Faults between resources that no single gateway shows: dangling references, shared certificates.

Source: istio/istio `pkg/config/analysis/analyzers` for the checks and their codes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lockgate.gateway.build import Sources
from lockgate.gateway.hosts import fully_qualified, gateway_name, within
from lockgate.gateway.mesh import Mesh
from lockgate.gateway.registry import protocol
from lockgate.gateway.workload import Workload
from lockgate.resources import istio
from lockgate.resources.codes import istio as codes
from lockgate.resources.faults import Fault, Origin


def analyse(
    sources: Sources,
    workloads: Sequence[Workload],
    *,
    mesh: Mesh | None = None,
) -> tuple[Fault, ...]:
    """Faults between resources; `workloads` are all gateway workloads."""
    domain = (mesh or Mesh()).domain
    return (
        *_gateways_without_workload(sources.gateways, workloads),
        *_missing_gateways(sources),
        *_shared_certificates(sources.gateways, workloads),
        *_destination_rules(sources, domain),
        *_port_names(sources, domain),
    )


def _gateways_without_workload(gateways: Iterable[istio.Gateway], workloads: Sequence[Workload]) -> Iterable[Fault]:
    for gateway in gateways:
        selector = gateway.spec.selector
        if selector and not any(workload.selected_by(selector) for workload in workloads):
            labels = ", ".join(f"{name}={value}" for name, value in selector.items())
            yield codes.NO_WORKLOAD.at(Origin(gateway.key).under("spec", "selector"), selector=labels)


def _missing_gateways(sources: Sources) -> Iterable[Fault]:
    known = {f"{gateway.namespace}/{gateway.name}" for gateway in sources.gateways}
    for service in sources.virtual_services:
        for index, text in enumerate(service.spec.gateways):
            name = gateway_name(text, service.namespace)
            if name != "mesh" and name not in known:
                yield codes.GATEWAY_NOT_FOUND.at(Origin(service.key).under("spec", "gateways", index), gateway=name)


def _shared_certificates(gateways: Iterable[istio.Gateway], workloads: Sequence[Workload]) -> Iterable[Fault]:
    """A certificate in two Gateways of a workload: a client may reuse its HTTP/2 connection for the other's hosts, and
    get 404."""
    users: dict[tuple[str, str], list[istio.Gateway]] = {}
    for gateway in gateways:
        names = {server.tls.credential_name for server in gateway.spec.servers if server.tls} - {""}
        for workload in workloads:
            if workload.selected_by(gateway.spec.selector):
                for name in names:
                    users.setdefault((workload.name, name), []).append(gateway)
    reported: set[tuple[str, str]] = set()
    for (_, name), sharing in users.items():
        for gateway in sharing if len(sharing) > 1 else ():
            if (str(gateway.key), name) not in reported:
                reported.add((str(gateway.key), name))
                others = ", ".join(f"{one.namespace}/{one.name}" for one in sharing if one is not gateway)
                yield codes.SHARED_CERTIFICATE.at(Origin(gateway.key), name=name, others=others)


def _destination_rules(sources: Sources, domain: str) -> Iterable[Fault]:
    hosts = set(_service_hosts(sources, domain))
    wildcards = [host for host in hosts if host.startswith("*")]
    for rule in sources.destination_rules:
        origin = Origin(rule.key)
        host = fully_qualified(rule.spec.host, rule.namespace, domain).lower()
        if not _exists(host, hosts, wildcards):
            yield codes.UNKNOWN_DESTINATION_HOST.at(origin.under("spec", "host"), host=host)
        policy = rule.spec.traffic_policy
        if policy and _unverified(policy.tls):
            yield codes.UNVERIFIED_SERVER.at(origin.under("spec", "trafficPolicy", "tls"), host=host)
        for index, setting in enumerate(policy.port_level_settings if policy else ()):
            if _unverified(setting.tls):
                path = ("spec", "trafficPolicy", "portLevelSettings", index, "tls")
                number = setting.port.number if setting.port else 0
                yield codes.UNVERIFIED_PORT.at(origin.under(*path), host=host, port=number)


def _exists(host: str, hosts: set[str], wildcards: list[str]) -> bool:
    if host in hosts or any(within(host, wildcard) for wildcard in wildcards):
        return True
    return host.startswith("*") and any(within(other, host) for other in hosts)


def _unverified(tls: istio.ClientTLSSettings | None) -> bool:
    if tls is None or tls.mode not in ("SIMPLE", "MUTUAL"):
        return False
    return not (tls.ca_certificates or tls.credential_name)


def _service_hosts(sources: Sources, domain: str) -> Iterable[str]:
    for service in sources.services:
        yield f"{service.name}.{service.namespace}.svc.{domain}"
    for entry in sources.service_entries:
        yield from (host.lower() for host in entry.spec.hosts)


def _port_names(sources: Sources, domain: str) -> Iterable[Fault]:
    """Service ports with routes and without a known protocol: gateways use HTTP/1.1 for them."""
    routed = {
        fully_qualified(part.destination.host, service.namespace, domain).lower()
        for service in sources.virtual_services
        for route in service.spec.http
        for part in route.route
    }
    for service in sources.services:
        if f"{service.name}.{service.namespace}.svc.{domain}" not in routed:
            continue
        for index, port in enumerate(service.spec.ports):
            if port.protocol == "TCP" and not protocol(port.name, port.app_protocol, port.port):
                yield codes.PORT_NAME.at(
                    Origin(service.key).under(*("spec", "ports", index, "name")),
                    name=port.name or "(none)",
                    port=port.port,
                )
