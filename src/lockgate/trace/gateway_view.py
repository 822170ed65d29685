"""A gateway as plain JSON for `lockgate show gateway`: its listeners, routes and clusters, each with its line.

Names are Istio's and Envoy's, as `istioctl proxy-config` prints them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from lockgate.gateway import model
from lockgate.resources.faults import Locate, Origin
from lockgate.trace.gateway_hops import match_text

Json: TypeAlias = dict[str, Any]


def gateway_json(gateway: model.Gateway, locate: Locate) -> Json:
    """`from` is the line of the manifest that a part comes from."""
    view = _View(gateway, locate)
    return {
        "workload": gateway.workload,
        "listeners": [view.listener(each) for each in gateway.listeners],
        "routes": [view.configuration(each) for each in gateway.routes.values()],
        "clusters": [view.cluster(each) for each in gateway.clusters.values()],
    }


class _View:
    def __init__(self, gateway: model.Gateway, locate: Locate) -> None:
        self._gateway = gateway
        self._locate = locate

    def listener(self, listener: model.Listener) -> Json:
        return {
            "name": listener.name,
            "port": listener.port,
            "chains": [self._chain(each) for each in listener.filter_chains],
            **self._from(listener.origin),
        }

    def _chain(self, chain: model.FilterChain) -> Json:
        shown: Json = {"sni": list(chain.server_names) or ["*"]}
        if chain.tls:
            shown["credentials"] = list(chain.tls.credentials)
            if chain.tls.validation:
                shown["clientCertificates"] = "required" if chain.tls.validation.required else "optional"
        match chain.filter:
            case model.Http(routes):
                shown["routes"] = routes
            case model.Tcp(clusters):
                shown["clusters"] = _weighted(clusters)
        return {**shown, **self._from(chain.origin)}

    def configuration(self, configuration: model.RouteConfiguration) -> Json:
        return {
            "name": configuration.name,
            "virtualHosts": [
                {
                    "name": host.name,
                    "domains": list(host.domains),
                    **({"redirects": "https"} if host.require_tls else {}),
                    "routes": [self._route(each) for each in host.routes],
                }
                for host in configuration.virtual_hosts
            ],
            **self._from(configuration.origin),
        }

    def _route(self, route: model.Route) -> Json:
        named = {"name": route.name} if route.name else {}
        return {**named, "match": match_text(route.match), **_action(route.action), **self._from(route.origin)}

    def cluster(self, cluster: model.Cluster) -> Json:
        endpoints = self._gateway.endpoints.get(cluster.name) or cluster.dns_endpoints
        return {
            "name": cluster.name,
            "type": cluster.discovery,
            "protocol": cluster.protocol,
            "tls": cluster.tls is not None,
            "endpoints": [_endpoint(each) for each in endpoints],
            **self._from(cluster.origin),
        }

    def _from(self, origin: Origin | None) -> Json:
        position = self._locate(origin) if origin else None
        return {"from": str(position)} if position else {}


def _action(action: model.Action) -> Json:
    match action:
        case model.Forward(clusters):
            mirrors = [each.cluster for each in action.mirrors]
            return {"clusters": _weighted(clusters), **({"mirrors": mirrors} if mirrors else {})}
        case model.Redirect(status):
            port = f":{action.port}" if action.port else ""
            scheme = f"{action.scheme}:" if action.scheme else ""
            path = action.path or action.prefix
            return {"redirect": status, "to": f"{scheme}//{action.host}{port}{path}"}
        case model.DirectResponse(status):
            return {"response": status}


def _weighted(clusters: tuple[model.WeightedCluster, ...]) -> list[Json]:
    several = len(clusters) > 1
    return [{"name": each.cluster, **({"weight": each.weight} if several else {})} for each in clusters]


def _endpoint(endpoint: model.Endpoint) -> str:
    priority = f" priority {endpoint.priority}" if endpoint.priority else ""
    return f"{endpoint.address}:{endpoint.port}{priority}"


def lines(shown: Json) -> Iterator[tuple[str, str]]:
    """The JSON as lines of text, each with its place."""
    yield shown["workload"], ""
    for listener in shown["listeners"]:
        yield f"├ listener {listener['name']}", listener.get("from", "")
        for chain in listener["chains"]:
            tls = f" TLS {' '.join(chain['credentials'])}" if "credentials" in chain else ""
            asks = f" client certificate {chain['clientCertificates']}" if "clientCertificates" in chain else ""
            leads = chain["routes"] if "routes" in chain else _leads(chain)
            yield f"│   SNI {' '.join(chain['sni'])}{tls}{asks}  →  {leads}", chain.get("from", "")
    for configuration in shown["routes"]:
        yield f"├ routes {configuration['name']}", configuration.get("from", "")
        for host in configuration["virtualHosts"]:
            redirects = "  plain HTTP redirects to https" if "redirects" in host else ""
            yield f"│   {' '.join(host['domains'])}{redirects}", ""
            for route in host["routes"]:
                yield f"│     {route['match']}  →  {_leads(route)}", route.get("from", "")
    for cluster in shown["clusters"]:
        tls = " TLS" if cluster["tls"] else ""
        endpoints = ", ".join(cluster["endpoints"]) or "no endpoints"
        kind = f"{cluster['type']} {cluster['protocol']}{tls}"
        yield f"└ cluster {cluster['name']}  {kind}  {endpoints}", cluster.get("from", "")


def _leads(part: Json) -> str:
    if "redirect" in part:
        return f"{part['redirect']} to {part['to']}"
    if "response" in part:
        return f"answers {part['response']}"
    clusters = [f"{each['name']} ({each['weight']})" if "weight" in each else each["name"] for each in part["clusters"]]
    mirrors = f", mirrored to {', '.join(part['mirrors'])}" if "mirrors" in part else ""
    return ", ".join(clusters) + mirrors
