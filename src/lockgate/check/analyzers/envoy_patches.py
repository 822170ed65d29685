"""Patches of EnvoyFilters that cannot be applied, that match nothing, and rate limits that refuse nothing."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.edge.edge import Edge
from lockgate.gateway.model import Gateway
from lockgate.gateway.patches import ISTIO_VERSION, Patch, is_of_version
from lockgate.gateway.rate_limits import idle
from lockgate.resources import core, istio
from lockgate.resources.codes import policies as codes
from lockgate.resources.faults import Fault, Origin

CODES = (codes.REFUSED_PATCH, codes.UNSERVED_PATCH, codes.UNMATCHED_PATCH, codes.IDLE_LIMIT)


def analyze(edge: Edge) -> Iterator[Fault]:
    yield from _of_other_versions(edge)
    patches: dict[Origin | None, list[tuple[Patch, Gateway]]] = {}
    for gateway in edge.gateways.values():
        for patch in gateway.patches:
            patches.setdefault(patch.origin, []).append((patch, gateway))
    if not patches:
        return
    from lockgate.xds.gateway.patched import mistake, unreadable  # Envoy's types take a third of a second to import
    from lockgate.xds.gateway.unmatched import unmatched

    for origin, places in patches.items():
        if (reason := mistake(places[0][0])) is not None:
            yield codes.REFUSED_PATCH.at(origin, reason=reason)
            continue
        if (reason := unreadable(places[0][0])) is not None:
            yield codes.UNSERVED_PATCH.at(origin, reason=reason)
            continue
        reasons = [unmatched(patch, gateway, _clusters(edge, patch, gateway)) for patch, gateway in places]
        if all(reasons):
            yield codes.UNMATCHED_PATCH.at(origin, reason=reasons[0])
        elif all(idles := [idle(patch, gateway.patches) for patch, gateway in places]):
            yield codes.IDLE_LIMIT.at(origin, reason=idles[0])


def _of_other_versions(edge: Edge) -> Iterator[Fault]:
    for each in edge.objects.all(istio.EnvoyFilter):
        for index, one in enumerate(each.spec.config_patches):
            match = one.match
            if match and match.context == "GATEWAY" and match.proxy and not is_of_version(match.proxy):
                origin = Origin(each.key, ("spec", "configPatches", index, "match", "proxy", "proxyVersion"))
                reason = f"its Istio is {ISTIO_VERSION}, and the patch is for {match.proxy.proxy_version}"
                yield codes.UNMATCHED_PATCH.at(origin, reason=reason)


def _clusters(edge: Edge, patch: Patch, gateway: Gateway) -> Iterator[str]:
    """The gateway's own, which lead somewhere, and those that a real gateway has of other services, as far as the patch
    may be about them."""
    yield from gateway.clusters
    if patch.apply_to != "CLUSTER" or patch.cluster is None:
        return
    asked = patch.cluster
    if asked.name == "BlackHoleCluster":
        yield asked.name
    subsets = {"", *(each.name for rule in edge.objects.all(istio.DestinationRule) for each in rule.spec.subsets)}
    for service in edge.objects.all(core.Service):
        host = f"{service.name}.{service.namespace}.svc"
        if f"{host}." in f"{asked.service}{asked.name}." or not (asked.service or asked.name):
            domain = asked.service.removeprefix(f"{host}.") or "cluster.local"
            yield from _named(f"{host}.{domain}", (port.port for port in service.spec.ports), subsets)
    for entry in edge.objects.all(istio.ServiceEntry):
        for host in entry.spec.hosts:
            yield from _named(host, (port.number for port in entry.spec.ports), subsets)


def _named(host: str, ports: Iterator[int], subsets: set[str]) -> Iterator[str]:
    yield from (f"outbound|{port}|{subset}|{host}" for port in ports for subset in subsets)
