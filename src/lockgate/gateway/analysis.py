"""Faults between resources that no single gateway shows: dangling references, shared certificates.

Source: istio/istio `pkg/config/analysis/analyzers` for the checks and their codes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Final

from lockgate.gateway.build import Sources
from lockgate.gateway.discovery import Discovery
from lockgate.gateway.hosts import fully_qualified, gateway_name, within
from lockgate.gateway.mesh import Mesh
from lockgate.gateway.registry import protocol
from lockgate.gateway.revisions import KINDS, LABEL, label
from lockgate.gateway.workload import Workload
from lockgate.resources import core, istio
from lockgate.resources.codes import gateway as gateway_codes
from lockgate.resources.codes import istio as codes
from lockgate.resources.faults import Code, Fault, Origin
from lockgate.resources.memo import Memo
from lockgate.resources.model import Resource

# What istiod skips without a word, by operation.
_IGNORED: Final[Mapping[str, tuple[Code, tuple[str, ...]]]] = {
    "REPLACE": (codes.IGNORED_REPLACE, ("LISTENER", "FILTER_CHAIN", "ROUTE_CONFIGURATION", "HTTP_ROUTE", "CLUSTER")),
    "ADD": (codes.IGNORED_ADD, ("ROUTE_CONFIGURATION",)),
    "REMOVE": (codes.IGNORED_REMOVE, ("ROUTE_CONFIGURATION",)),
}


def analyse(
    sources: Sources,
    workloads: Sequence[Workload],
    *,
    mesh: Mesh | None = None,
    memo: Memo | None = None,
) -> tuple[Fault, ...]:
    """Faults between resources; `workloads` are all gateway workloads."""
    mesh, memo = mesh or Mesh(), memo or Memo()
    domain = mesh.domain
    return (
        *_gateways_without_workload(sources.gateways, workloads),
        *_unread(sources, workloads, memo),
        *_undiscovered(sources, mesh),
        *_missing_gateways(sources, memo),
        *_shared_certificates(sources.gateways, workloads),
        *memo.made(_destination_rules, sources.destination_rules, sources.services, sources.service_entries, domain),
        *memo.made(_ignored_patches, sources.envoy_filters),
        *memo.made(_port_names, sources.services, _routed(sources, domain, memo), domain),
    )


def _gateways_without_workload(gateways: Iterable[istio.Gateway], workloads: Sequence[Workload]) -> Iterable[Fault]:
    for gateway in gateways:
        selector = gateway.spec.selector
        if selector and not any(workload.selected_by(selector) for workload in workloads):
            labels = ", ".join(f"{name}={value}" for name, value in selector.items())
            yield codes.NO_WORKLOAD.at(Origin(gateway.key).under("spec", "selector"), selector=labels)


def _unread(sources: Sources, workloads: Sequence[Workload], memo: Memo) -> Iterable[Fault]:
    """Objects of a revision that no gateway has."""
    known = {workload.revision for workload in workloads}
    for kind in KINDS if workloads else ():
        objects: Sequence[Resource] = getattr(sources, kind)
        labels = memo.facts(f"revisions of {kind}", label, objects)
        if set(labels) <= known | {""}:
            continue
        for labelled, revision in zip(objects, labels, strict=True):
            if revision and revision not in known:
                origin = Origin(labelled.key).under("metadata", "labels", LABEL)
                yield gateway_codes.NO_REVISION.at(origin, revision=revision, known=", ".join(sorted(known)))


def _undiscovered(sources: Sources, mesh: Mesh) -> Iterable[Fault]:
    """Namespaces of Istio's objects that no selector selects, each at its first object."""
    discovery = Discovery(mesh, sources.namespaces)
    if discovery.everywhere:
        return
    found: dict[str, list[Resource]] = {}
    objects: Iterable[Resource] = chain.from_iterable(getattr(sources, kind) for kind in KINDS)
    for each in objects:
        if not discovery.reads(each.namespace):
            found.setdefault(each.namespace, []).append(each)
    for namespace, unread in found.items():
        count = "this object" if len(unread) == 1 else f"its {len(unread)} objects of Istio"
        yield gateway_codes.UNDISCOVERED.at(Origin(unread[0].key), namespace=namespace, what=count)


def _ignored_patches(filters: Iterable[istio.EnvoyFilter]) -> list[Fault]:
    """istioctl also reports some patches that istiod does apply: ADD and REMOVE of HTTP_ROUTE, and REPLACE of
    VIRTUAL_HOST and LISTENER_FILTER."""
    found: list[Fault] = []
    for each in filters:
        for index, one in enumerate(each.spec.config_patches):
            code, ignored = _IGNORED.get(one.patch.operation if one.patch else "", (None, ()))
            if code is not None and one.apply_to in ignored:
                origin = Origin(each.key).under("spec", "configPatches", index, "patch", "operation")
                found.append(code.at(origin, target=one.apply_to))
    return found


def _missing_gateways(sources: Sources, memo: Memo) -> Iterable[Fault]:
    known = memo.stable("known gateways", frozenset(f"{each.namespace}/{each.name}" for each in sources.gateways))
    return chain.from_iterable(filter(None, memo.each("missing gateways", _missing, sources.virtual_services, known)))


def _missing(service: istio.VirtualService, known: frozenset[str]) -> list[Fault]:
    names = ((index, gateway_name(text, service.namespace)) for index, text in enumerate(service.spec.gateways))
    return [
        codes.GATEWAY_NOT_FOUND.at(Origin(service.key).under("spec", "gateways", index), gateway=name)
        for index, name in names
        if name != "mesh" and name not in known
    ]


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


def _destination_rules(
    rules: Iterable[istio.DestinationRule],
    services: Iterable[core.Service],
    entries: Iterable[istio.ServiceEntry],
    domain: str,
) -> list[Fault]:
    hosts = set(_service_hosts(services, entries, domain))
    wildcards = [host for host in hosts if host.startswith("*")]
    return [fault for rule in rules for fault in _destination_rule(rule, hosts, wildcards, domain)]


def _destination_rule(
    rule: istio.DestinationRule, hosts: set[str], wildcards: list[str], domain: str
) -> Iterable[Fault]:
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


def _service_hosts(
    services: Iterable[core.Service], entries: Iterable[istio.ServiceEntry], domain: str
) -> Iterable[str]:
    for service in services:
        yield f"{service.name}.{service.namespace}.svc.{domain}"
    for entry in entries:
        yield from (host.lower() for host in entry.spec.hosts)


def _routed(sources: Sources, domain: str, memo: Memo) -> frozenset[str]:
    """The hosts of destinations."""
    return memo.made(_all, memo.facts("routed hosts", _hosts_of, sources.virtual_services, domain))


def _hosts_of(service: istio.VirtualService, domain: str) -> frozenset[str]:
    parts = (part for route in service.spec.http for part in route.route)
    return frozenset(fully_qualified(part.destination.host, service.namespace, domain).lower() for part in parts)


def _all(hosts: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*hosts)


def _port_names(services: Iterable[core.Service], routed: frozenset[str], domain: str) -> list[Fault]:
    """Service ports with routes and without a known protocol: gateways use HTTP/1.1 for them."""
    found: list[Fault] = []
    for service in services:
        if f"{service.name}.{service.namespace}.svc.{domain}" not in routed:
            continue
        for index, port in enumerate(service.spec.ports):
            if port.protocol == "TCP" and not protocol(port.name, port.app_protocol, port.port):
                origin = Origin(service.key, ("spec", "ports", index, "name"))
                found.append(codes.PORT_NAME.at(origin, name=port.name or "(none)", port=port.port))
    return found
