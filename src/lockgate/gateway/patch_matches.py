"""Compares the matches of an EnvoyFilter's patches with parts of the gateway's configuration.

Each function returns None if the part matches, otherwise the first field that differs.

Source: istio/istio `pilot/pkg/networking/core/envoyfilter`: `listener_patch.go`, `rc_patch.go`, `cluster_patch.go`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from lockgate.resources import istio
from lockgate.resources.istio.envoy_filter import FilterChainMatch
from lockgate.resources.istio.filter_names import is_called


class Mismatch(NamedTuple):
    """`field` stands below ``match``; `has` is what the part has instead of what is `wanted`."""

    field: str
    wanted: str
    has: str


def listener(match: istio.ListenerMatch | None, name: str, port: int) -> Mismatch | None:
    """`port` is the listener's as Istio sees it, 8443 where a Gateway has 443."""
    if match is None:
        return None
    pairs = (("listener.portNumber", _number(match.port_number), str(port)), ("listener.name", match.name, name))
    return _first(pairs)


def chain(
    match: FilterChainMatch | None,
    name: str,
    server_names: Collection[str],
    transport: str = "",
    protocols: Collection[str] = (),
    destination_port: int = 0,
) -> Mismatch | None:
    if match is None:
        return None
    if match.sni and match.sni not in server_names:
        return Mismatch("listener.filterChain.sni", match.sni, ", ".join(server_names) or "no server name")
    asked = [each for each in match.application_protocols.split(",") if each]
    if any(each not in protocols for each in asked):
        has = ", ".join(protocols) or "no protocol"
        return Mismatch("listener.filterChain.applicationProtocols", match.application_protocols, has)
    return _first(
        (
            ("listener.filterChain.name", match.name, name),
            ("listener.filterChain.transportProtocol", match.transport_protocol, transport),
            ("listener.filterChain.destinationPort", _number(match.destination_port), str(destination_port)),
        )
    )


def routes(match: istio.RouteConfigurationMatch | None, name: str, port: int) -> Mismatch | None:
    """`port` is the Gateway's, 80 for the route configuration ``http.8080``."""
    if match is None:
        return None
    # Names of HTTPS servers tell the Gateway: https.<port>.<port's name>.<name>.<namespace>.
    parts = name.split(".")
    told = (parts[2], f"{parts[4]}/{parts[3]}") if parts[0] == "https" and len(parts) == 5 else ("", "")
    return _first(
        (
            ("routeConfiguration.name", match.name, name),
            ("routeConfiguration.portNumber", _number(match.port_number), str(port)),
            ("routeConfiguration.portName", match.port_name, told[0]),
            ("routeConfiguration.gateway", match.gateway, told[1]),
        )
    )


def virtual_host(match: istio.RouteConfigurationMatch | None, name: str, domains: Collection[str]) -> Mismatch | None:
    wanted = match.vhost if match else None
    if wanted is None:
        return None
    if wanted.domain_name and wanted.domain_name not in domains:
        return Mismatch("routeConfiguration.vhost.domainName", wanted.domain_name, ", ".join(domains))
    return _first((("routeConfiguration.vhost.name", wanted.name, name),))


def route(match: istio.RouteConfigurationMatch | None, name: str, action: str) -> Mismatch | None:
    """`action` is ROUTE, REDIRECT, DIRECT_RESPONSE or, for another, ANY."""
    wanted = match.vhost.route if match and match.vhost else None
    if wanted is None:
        return None
    asked = "" if wanted.action == "ANY" else wanted.action
    return _first(
        (
            ("routeConfiguration.vhost.route.name", wanted.name, name),
            ("routeConfiguration.vhost.route.action", asked, action),
        )
    )


def cluster(match: istio.ClusterMatch | None, name: str) -> Mismatch | None:
    """With a name, the other fields are not read."""
    if match is None:
        return None
    if match.name:
        return _first((("cluster.name", match.name, name),))
    parts = name.split("|")
    _, port, subset, host = parts if len(parts) == 4 else ("", "0", "", name)
    return _first(
        (
            ("cluster.service", match.service, host),
            ("cluster.portNumber", _number(match.port_number), port),
            ("cluster.subset", match.subset, subset),
        )
    )


def is_of_filter(match: istio.ListenerMatch | None, name: str) -> bool:
    wanted = filter_name(match)
    return not wanted or is_called(name, wanted)


def is_of_sub_filter(match: istio.ListenerMatch | None, name: str) -> bool:
    wanted = sub_filter_name(match)
    return not wanted or is_called(name, wanted)


def filter_name(match: istio.ListenerMatch | None) -> str:
    found = match.filter_chain.filter if match and match.filter_chain else None
    return found.name if found else ""


def sub_filter_name(match: istio.ListenerMatch | None) -> str:
    found = match.filter_chain.filter if match and match.filter_chain else None
    return found.sub_filter.name if found and found.sub_filter else ""


def _number(number: int) -> str:
    return str(number) if number else ""


def _first(pairs: Iterable[tuple[str, str, str]]) -> Mismatch | None:
    return next((Mismatch(*pair) for pair in pairs if pair[1] and pair[1] != pair[2]), None)
