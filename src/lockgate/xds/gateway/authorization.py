"""The filters that ask a server about requests: access control finds which ones, external authorization asks.

Source: istio/istio `pilot/pkg/security/authz/builder/extauthz.go`.
"""

from __future__ import annotations

from collections.abc import Iterable

from envoy.config.core.v3.base_pb2 import HeaderValue
from envoy.config.core.v3.config_source_pb2 import ApiVersion
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2 as http
from envoy.extensions.filters.network.ext_authz.v3 import ext_authz_pb2 as network
from envoy.type.matcher.v3.metadata_pb2 import MetadataMatcher
from envoy.type.matcher.v3.string_pb2 import ListStringMatcher, StringMatcher
from envoy.type.matcher.v3.value_pb2 import ValueMatcher

from lockgate.gateway import model
from lockgate.gateway.clusters import cluster_name
from lockgate.gateway.policies.build import EXTERNAL
from lockgate.gateway.policies.model import AuthServer
from lockgate.xds.gateway.texts import text_matcher
from lockgate.xds.protobuf import Message, duration

HTTP_EXT_AUTHZ = "envoy.filters.http.ext_authz"
NETWORK_EXT_AUTHZ = "envoy.filters.network.ext_authz"
SHADOW_PREFIX = "istio_ext_authz_"


def http_authorization(server: AuthServer, rbac: str) -> Message:
    """Asks about the requests for which the filter `rbac` found a rule."""
    message = http.ExtAuthz(
        failure_mode_allow=server.fail_open,
        transport_api_version=ApiVersion.V3,
        clear_route_cache=server.clear_route_cache,
        filter_enabled_metadata=_if_matched(rbac),
    )
    if server.status_on_error is not None:
        message.status_on_error.code = server.status_on_error
    if server.body:
        message.with_request_body.max_request_bytes = server.body.most
        message.with_request_body.allow_partial_message = server.body.partial
        message.with_request_body.pack_as_bytes = server.body.as_bytes
    if server.grpc:
        message.grpc_service.CopyFrom(_grpc(server))
    else:
        message.http_service.CopyFrom(_http(server))
        if server.sent:
            message.allowed_headers.CopyFrom(_any_of(server.sent))
    return message


def network_authorization(server: AuthServer, rbac: str) -> Message:
    return network.ExtAuthz(
        stat_prefix="tcp.",
        failure_mode_allow=server.fail_open,
        transport_api_version=ApiVersion.V3,
        grpc_service=_grpc(server),
        filter_enabled_metadata=_if_matched(rbac),
    )


def _if_matched(rbac: str) -> Message:
    return MetadataMatcher(
        filter=rbac,
        path=[MetadataMatcher.PathSegment(key=f"{SHADOW_PREFIX}shadow_effective_policy_id")],
        value=ValueMatcher(string_match=StringMatcher(prefix=EXTERNAL)),
    )


def _grpc(server: AuthServer) -> Message:
    """Servers reject an authority with ``|``."""
    cluster = cluster_name(server.host, server.port)
    service = GrpcService(timeout=duration(server.timeout))
    service.envoy_grpc.cluster_name = cluster
    service.envoy_grpc.authority = cluster.replace("|", "_.")
    return service


def _http(server: AuthServer) -> Message:
    service = http.HttpService(path_prefix=server.path_prefix)
    service.server_uri.uri = f"http://{server.host}"
    service.server_uri.cluster = cluster_name(server.host, server.port)
    service.server_uri.timeout.CopyFrom(duration(server.timeout))
    added = service.authorization_request.headers_to_add
    added.extend(HeaderValue(key=name, value=value) for name, value in server.added)
    answer = service.authorization_response
    if server.to_backend:
        answer.allowed_upstream_headers.CopyFrom(_any_of(server.to_backend))
    if server.to_client_on_deny:
        answer.allowed_client_headers.CopyFrom(_any_of(server.to_client_on_deny))
    if server.to_client_on_allow:
        answer.allowed_client_headers_on_success.CopyFrom(_any_of(server.to_client_on_allow))
    return service


def _any_of(matches: Iterable[model.TextMatch]) -> Message:
    return ListStringMatcher(patterns=[text_matcher(each) for each in matches])
