"""What a rule does, as the part of a route behind its match."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from envoy.config.route.v3.route_components_pb2 import RedirectAction, Route
from envoy.extensions.filters.http.lua.v3.lua_pb2 import LuaPerRoute

from lockgate.loadbalancer.model import (
    FixedResponse,
    Forward,
    Listener,
    LoadBalancer,
    Redirect,
    Rule,
)
from lockgate.loadbalancer.pages import CONTENT_TYPE, page
from lockgate.xds.loadbalancer.errors import server_header
from lockgate.xds.loadbalancer.names import LUA, cluster_name
from lockgate.xds.loadbalancer.protobuf import header, literal, pack, seconds
from lockgate.xds.loadbalancer.script import redirecting

Outcome: TypeAlias = Any  # a Route without match

_CODES: Final = {"HTTP_301": RedirectAction.MOVED_PERMANENTLY, "HTTP_302": RedirectAction.FOUND}


def outcome(balancer: LoadBalancer, listener: Listener, rule: Rule | None) -> Outcome:
    """The outcome of a rule; None is the default rule."""
    actions = rule.actions if rule else listener.default_actions
    final = actions[-1]
    match final:
        case Forward():
            return _forward(balancer, listener, final)
        case Redirect():
            return _redirect(listener, final)
        case FixedResponse():
            return _fixed(listener, final)
        case _:
            return answer(500, listener)


def answer(status: int, listener: Listener) -> Outcome:
    """One of the load balancer's own pages."""
    return _direct(listener, status, page(status), CONTENT_TYPE)


def _forward(balancer: LoadBalancer, listener: Listener, forward: Forward) -> Outcome:
    """Weights are shares of their sum; a group with weight 0 gets nothing, and with no weight left none can serve."""
    groups = [each for each in forward.target_groups if each.weight > 0 and each.target_group in balancer.target_groups]
    if not groups:
        return answer(503, listener)
    route = Route(route={"timeout": seconds(0)})
    if len(groups) == 1:
        route.route.cluster = cluster_name(groups[0].target_group)
    else:
        for each in groups:
            route.route.weighted_clusters.clusters.add(
                name=cluster_name(each.target_group), weight={"value": each.weight}
            )
    return route


def _redirect(listener: Listener, redirect: Redirect) -> Outcome:
    """Envoy's own redirect where it can say it, else the script's. Location always carries the port."""
    protocol = redirect.protocol.replace("#{protocol}", listener.protocol).lower()
    port = redirect.port.replace("#{port}", str(listener.port))
    simple_host = redirect.host == "#{host}" or "#{" not in redirect.host
    if redirect.path == "/#{path}" and redirect.query == "#{query}" and simple_host and port.isdigit():
        action = RedirectAction(
            scheme_redirect=protocol,
            port_redirect=int(port),
            host_redirect="" if redirect.host == "#{host}" else redirect.host,
            response_code=_CODES[redirect.status_code],
        )
        return _without_script(Route(redirect=action))
    script = redirecting(listener, redirect)
    return Route(
        direct_response={"status": 500},
        typed_per_filter_config={LUA: pack(LuaPerRoute(source_code={"inline_string": script}))},
    )


def _fixed(listener: Listener, fixed: FixedResponse) -> Outcome:
    body = fixed.message_body or ""
    return _direct(listener, int(fixed.status_code), body, (fixed.content_type or "text/plain") if body else "")


def _direct(listener: Listener, status: int, body: str, content_type: str) -> Outcome:
    headers = server_header(listener)
    if content_type:
        headers.append(header("content-type", literal(content_type)))
    return _without_script(
        Route(
            direct_response={"status": status, "body": {"inline_string": body} if body else None},
            response_headers_to_add=headers,
        )
    )


def _without_script(route: Outcome) -> Outcome:
    route.typed_per_filter_config[LUA].CopyFrom(pack(LuaPerRoute(disabled=True)))
    return route
