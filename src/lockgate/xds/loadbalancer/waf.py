"""Web ACLs: Envoy calls the load balancer's WAF for each request, before anything else.

Only listeners of load balancers with a web ACL have the filter. Bodies are buffered only if the web ACL inspects them.
gRPC bodies are never buffered: WAF does not receive them, and their clients may wait for a response before they end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_components_pb2 import LbEndpoint, LocalityLbEndpoints
from envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2 import ExtAuthz, ExtAuthzPerRoute
from envoy.extensions.filters.http.header_to_metadata.v3.header_to_metadata_pb2 import Config as HeaderToMetadata
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions

from lockgate.loadbalancer.error_reasons import WAF_SECONDS
from lockgate.loadbalancer.model import Listener, LoadBalancer
from lockgate.xds.loadbalancer.names import SIZE_HEADER
from lockgate.xds.loadbalancer.script import speaks_http2
from lockgate.xds.protobuf import Message, duration, pack

if TYPE_CHECKING:
    from lockgate.loadbalancer.waf.model import WebAcl

FILTER: Final = "lockgate.waf"
GRPC_FILTER: Final = "lockgate.waf.grpc"
CLUSTER_NAME: Final = "lockgate.waf"
LOAD_BALANCER: Final = "x-lockgate-load-balancer"  # metadata of the call: the load balancer's ARN
FINGERPRINT: Final = "x-lockgate-"  # likewise, followed by ja3 or ja4
SAYS: Final = "envoy.filters.http.ext_authz"  # namespace of this filter type's metadata, whatever the filter's name
ACTION: Final = "waf"  # WAF's verdict: ``allow`` or ``block``
CUSTOM: Final = "waf_custom"  # whether the client gets a custom response
IS_CUSTOM: Final = f'metadata.filter_metadata["{SAYS}"]["{CUSTOM}"] == true'


def cluster_of(socket: str) -> Message:
    """`socket` is the path of WAF's unix socket."""
    options = HttpProtocolOptions()
    options.explicit_http_config.http2_protocol_options.SetInParent()
    made = Cluster(
        name=CLUSTER_NAME,
        type=Cluster.STATIC,
        connect_timeout=duration(2),
        load_assignment={
            "cluster_name": CLUSTER_NAME,
            "endpoints": [
                LocalityLbEndpoints(lb_endpoints=[LbEndpoint(endpoint={"address": {"pipe": {"path": socket}}})])
            ],
        },
    )
    made.typed_extension_protocol_options[options.DESCRIPTOR.full_name].CopyFrom(pack(options))
    return made


def waf_filters(balancer: LoadBalancer, listener: Listener) -> list[Message]:
    """The filters in the order in which a request passes them; empty without a web ACL."""
    acl = balancer.web_acl
    if acl is None:
        return []
    from lockgate.loadbalancer.waf.fields import BODY_BYTES
    from lockgate.loadbalancer.waf.model import looks_at_body

    asked = _filter(balancer, acl)
    if not looks_at_body(acl):
        return [_named(FILTER, asked)]
    # One byte more than is inspected, to know whether the body is longer.
    asked.with_request_body.max_request_bytes = BODY_BYTES + 1
    asked.with_request_body.allow_partial_message = True
    asked.with_request_body.pack_as_bytes = True
    if not speaks_http2(balancer, listener):
        return [_named(FILTER, asked)]
    asked.filter_enabled_metadata.CopyFrom(_is_grpc())
    asked.filter_enabled_metadata.invert = True
    without_body = _filter(balancer, acl)
    without_body.filter_enabled_metadata.CopyFrom(_is_grpc())
    return [
        HttpFilter(name=f"{FILTER}.kind", typed_config=pack(_kind())),
        _named(FILTER, asked),
        _named(GRPC_FILTER, without_body),
    ]


def without_waf(route: Message, balancer: LoadBalancer) -> None:
    """Disables the filter for requests that are refused before WAF."""
    if balancer.web_acl is not None:
        for name in (FILTER, GRPC_FILTER):
            route.typed_per_filter_config[name].CopyFrom(pack(ExtAuthzPerRoute(disabled=True)))


def logged(balancer: LoadBalancer) -> dict[str, str]:
    """The WAF fields of access logs."""
    if balancer.web_acl is None:
        return {}
    fields = {"waf": f"%DYNAMIC_METADATA({SAYS}:{ACTION})%", "waf_fails_open": str(_fails_open(balancer)).lower()}
    for key, name in (("waf", FILTER), ("waf_of_grpc", GRPC_FILTER)):
        fields[f"{key}_microseconds"] = f"%FILTER_STATE({name}:FIELD:latency_us)%"
        fields[f"{key}_received"] = f"%FILTER_STATE({name}:FIELD:bytesReceived)%"
    return fields


def _fails_open(balancer: LoadBalancer) -> bool:
    return balancer.attributes.get("waf.fail_open.enabled") == "true"


def _filter(balancer: LoadBalancer, acl: WebAcl) -> Message:
    from lockgate.loadbalancer.waf.model import fingerprints

    metadata = [{"key": LOAD_BALANCER, "value": balancer.arn}]
    metadata += [
        {"key": f"{FINGERPRINT}{kind}", "value": f"%TLS_{kind.upper()}_FINGERPRINT%"}
        for kind in sorted(fingerprints(acl))
    ]
    return ExtAuthz(
        grpc_service={
            "envoy_grpc": {"cluster_name": CLUSTER_NAME},
            "timeout": duration(WAF_SECONDS),
            "initial_metadata": metadata,
        },
        transport_api_version="V3",
        status_on_error={"code": 500},
        failure_mode_allow=_fails_open(balancer),
        disallowed_headers={"patterns": [{"exact": SIZE_HEADER}]},
        encode_raw_headers=True,  # in order, with repeated headers
        emit_filter_state_stats=True,
        stat_prefix="waf",
    )


def _named(name: str, config: Message) -> Message:
    return HttpFilter(name=name, typed_config=pack(config))


def _kind() -> Message:
    return HeaderToMetadata(
        request_rules=[
            {
                "header": "content-type",
                "on_header_present": {"metadata_namespace": f"{FILTER}.kind", "key": "content_type"},
            }
        ]
    )


def _is_grpc() -> Message:
    return ExtAuthz(
        filter_enabled_metadata={
            "filter": f"{FILTER}.kind",
            "path": [{"key": "content_type"}],
            "value": {"string_match": {"prefix": "application/grpc"}},
        }
    ).filter_enabled_metadata
