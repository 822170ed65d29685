"""Rules that authenticate: Envoy calls the load balancer's authentication service before it continues.

The filter is enabled only for their routes, so that other requests do not pay for it.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_components_pb2 import LbEndpoint, LocalityLbEndpoints
from envoy.config.route.v3.route_components_pb2 import Route, RouteMatch
from envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2 import ExtAuthz, ExtAuthzPerRoute, HttpService
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter

from lockgate.loadbalancer.error_reasons import HEADER
from lockgate.loadbalancer.model import (
    AuthenticateCognito,
    AuthenticateOidc,
    JwtValidation,
    Listener,
    LoadBalancer,
    PreAction,
    Rule,
)
from lockgate.loadbalancer.sessions import CALLBACK
from lockgate.xds.loadbalancer.actions import Outcome, answer
from lockgate.xds.loadbalancer.names import SIZE_HEADER
from lockgate.xds.protobuf import Message, duration, pack

FILTER: Final = "envoy.filters.http.ext_authz"
CLUSTER_NAME: Final = "lockgate.authentication"
SECONDS: Final = 15
_KINDS: Final = (AuthenticateOidc, AuthenticateCognito, JwtValidation)


def authentication_of(listener: Listener, rule: Rule | None) -> PreAction | None:
    """The authentication action of a rule, which must succeed before its final action; None is the default rule."""
    actions = rule.actions if rule else listener.default_actions
    return next((each for each in actions if isinstance(each, _KINDS)), None)


def logs_in(listener: Listener, rule: Rule | None) -> bool:
    """Whether the rule redirects users to an identity provider and handles their callback."""
    return isinstance(authentication_of(listener, rule), AuthenticateOidc | AuthenticateCognito)


def authenticates(listener: Listener) -> bool:
    return any(authentication_of(listener, rule) for rule in (*listener.rules, None))


def rule_key(balancer: LoadBalancer, listener: Listener, rule: Rule | None) -> str:
    """The key by which the service identifies a rule."""
    place = f"{balancer.arn} {listener.port} {rule.priority if rule else 0}"
    return blake2b(place.encode(), digest_size=12).hexdigest()


def cluster_of(address: str, port: int) -> Message:
    at = {"address": {"socket_address": {"address": address, "port_value": port}}}
    endpoints = [LocalityLbEndpoints(lb_endpoints=[LbEndpoint(endpoint=at)])]
    return Cluster(
        name=CLUSTER_NAME,
        type=Cluster.STATIC,
        connect_timeout=duration(2),
        load_assignment={"cluster_name": CLUSTER_NAME, "endpoints": endpoints},
    )


def authorization_filter() -> Message:
    config = ExtAuthz(
        http_service=_service(""),
        status_on_error={"code": 500},
        allowed_headers={"patterns": [{"safe_regex": {"regex": ".*"}}]},
        disallowed_headers={"patterns": [{"exact": SIZE_HEADER}]},
    )
    return HttpFilter(name=FILTER, typed_config=pack(config), disabled=True)


def ask_first(route: Outcome, key: str) -> None:
    """Makes Envoy call the service before it takes `route`."""
    per_route = ExtAuthzPerRoute(check_settings={"http_service": _service(f"/{key}")})
    route.typed_per_filter_config[FILTER].CopyFrom(pack(per_route))


def callback_route(balancer: LoadBalancer, listener: Listener) -> Message:
    """The callback path of identity providers, which precedes all rules."""
    route = Route(name="-1", match=RouteMatch(path=CALLBACK))
    route.MergeFrom(answer(500, listener))  # the service answers first
    ask_first(route, rule_key(balancer, listener, None))
    return route


def _service(prefix: str) -> Message:
    return HttpService(
        server_uri={"uri": "http://authentication.lockgate", "cluster": CLUSTER_NAME, "timeout": duration(SECONDS)},
        path_prefix=prefix,
        authorization_response={
            "allowed_upstream_headers": {"patterns": [{"prefix": "x-amzn-oidc-"}]},
            "allowed_client_headers": {"patterns": [{"exact": "location"}, {"exact": "set-cookie"}]},
            "allowed_client_headers_on_success": {"patterns": [{"exact": "set-cookie"}]},
            "dynamic_metadata_from_headers": {"patterns": [{"exact": HEADER}]},
        },
    )
