"""A web ACL before everything else: Envoy asks the load balancer's own WAF about each request.

Only listeners of load balancers that have a web ACL get the filter. Bodies are held back for it only where the web ACL
looks at them, and never those of gRPC: WAF is not given them, and their clients may wait for an answer in the middle.
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
from lockgate.xds.loadbalancer.protobuf import Message, pack, seconds
from lockgate.xds.loadbalancer.script import speaks_http2

if TYPE_CHECKING:
    from lockgate.loadbalancer.waf.model import WebAcl

FILTER: Final = "lockgate.waf"
GRPC_FILTER: Final = "lockgate.waf.grpc"
CLUSTER_NAME: Final = "lockgate.waf"
LOAD_BALANCER: Final = "x-lockgate-load-balancer"  # metadata of the call: whose web ACL is meant
FINGERPRINT: Final = "x-lockgate-"  # likewise: and then ja3 or ja4
SAYS: Final = "envoy.filters.http.ext_authz"  # namespace of what any filter of this kind is told, whatever its name
ACTION: Final = "waf"  # what WAF tells Envoy of a request: ``allow`` or ``block``,
CUSTOM: Final = "waf_custom"  # and whether the client gets a custom response
IS_CUSTOM: Final = f'metadata.filter_metadata["{SAYS}"]["{CUSTOM}"] == true'


def cluster_of(socket: str) -> Message:
    """`socket` is the path of the unix socket where WAF is asked."""
    options = HttpProtocolOptions()
    options.explicit_http_config.http2_protocol_options.SetInParent()
    made = Cluster(
        name=CLUSTER_NAME,
        type=Cluster.STATIC,
        connect_timeout=seconds(2),
        load_assignment={
            "cluster_name": CLUSTER_NAME,
            "endpoints": [
                LocalityLbEndpoints(lb_endpoints=[LbEndpoint(endpoint={"address": {"pipe": {"path": socket}}})])
            ],
        },
    )
    made.typed_extension_protocol_options[options.DESCRIPTOR.full_name].CopyFrom(pack(options))
    return made


def firewall_filters(balancer: LoadBalancer, listener: Listener) -> list[Message]:
    """In the order in which a request meets them; none without a web ACL."""
    acl = balancer.web_acl
    if acl is None:
        return []
    from lockgate.loadbalancer.waf.fields import BODY_BYTES
    from lockgate.loadbalancer.waf.model import looks_at_body

    asked = _filter(balancer, acl)
    if not looks_at_body(acl):
        return [_named(FILTER, asked)]
    # A byte more than is looked at: whether there is more is then known, too.
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


def unasked(route: Message, balancer: LoadBalancer) -> None:
    """For requests that are refused before WAF sees them."""
    if balancer.web_acl is not None:
        for name in (FILTER, GRPC_FILTER):
            route.typed_per_filter_config[name].CopyFrom(pack(ExtAuthzPerRoute(disabled=True)))


def logged(balancer: LoadBalancer) -> dict[str, str]:
    """What access logs have to know of WAF."""
    if balancer.web_acl is None:
        return {}
    told = {"waf": f"%DYNAMIC_METADATA({SAYS}:{ACTION})%", "waf_fails_open": str(_fails_open(balancer)).lower()}
    for key, name in (("waf", FILTER), ("waf_of_grpc", GRPC_FILTER)):
        told[f"{key}_microseconds"] = f"%FILTER_STATE({name}:FIELD:latency_us)%"
        told[f"{key}_received"] = f"%FILTER_STATE({name}:FIELD:bytesReceived)%"
    return told


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
            "timeout": seconds(WAF_SECONDS),
            "initial_metadata": metadata,
        },
        transport_api_version="V3",
        status_on_error={"code": 500},
        failure_mode_allow=_fails_open(balancer),
        disallowed_headers={"patterns": [{"exact": SIZE_HEADER}]},
        encode_raw_headers=True,  # in their order, and each of those that come twice
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
