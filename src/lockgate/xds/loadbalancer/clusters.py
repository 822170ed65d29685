"""Target groups as clusters: how requests are spread, and how connections to targets are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.cluster.v3.outlier_detection_pb2 import OutlierDetection
from envoy.config.core.v3.health_check_pb2 import DRAINING, HEALTHY
from envoy.config.endpoint.v3.endpoint_components_pb2 import LbEndpoint, LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import UpstreamTlsContext
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions

from lockgate.loadbalancer.model import LoadBalancer, TargetGroup
from lockgate.loadbalancer.policies import towards_targets
from lockgate.xds.loadbalancer.names import TLS, cluster_name
from lockgate.xds.loadbalancer.protobuf import Message, milliseconds, pack, seconds, uint32
from lockgate.xds.loadbalancer.tls import parameters, preserved_case

CONNECT_SECONDS: Final = 10  # of TCP and TLS together; "HTTP 504", "HTTP 502" in AWS's troubleshooting page
RESPONSE_HEADERS_KB: Final = 32
ANOMALY_MILLISECONDS: Final = 10_000  # between looks for targets that are out of the ordinary
NO_LIMIT: Final = 1 << 30  # a load balancer has no circuit breaker


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a target really is. A draining one finishes what it has and gets nothing new.

    `weight` makes up for targets that are several endpoints: the endpoints of each target weigh the same together.
    """

    host: str
    port: int
    draining: bool = False
    weight: int = 1


def plain_cluster(group: TargetGroup) -> Message:
    """What all target groups have in common."""
    return Cluster(
        name=cluster_name(group.reference),
        type=Cluster.EDS,
        eds_cluster_config={"eds_config": {"ads": {}, "resource_api_version": "V3"}},
        connect_timeout=seconds(CONNECT_SECONDS),
        # Fail-open is decided from target health before endpoints get here; Envoy's own panic would undo it.
        common_lb_config={"healthy_panic_threshold": {"value": 0}},
        circuit_breakers={
            "thresholds": [
                {
                    "max_connections": uint32(NO_LIMIT),
                    "max_pending_requests": uint32(NO_LIMIT),
                    "max_requests": uint32(NO_LIMIT),
                }
            ]
        },
    )


def cluster(group: TargetGroup, load_balancer: LoadBalancer) -> Message:
    made = plain_cluster(group)
    _spread(made, group)
    options = HttpProtocolOptions(
        common_http_protocol_options={
            "idle_timeout": seconds(int(load_balancer.attributes.get("idle_timeout.timeout_seconds", "60"))),
            "max_response_headers_kb": uint32(RESPONSE_HEADERS_KB),
            "max_headers_count": uint32(1000),
        }
    )
    if group.protocol_version == "HTTP1":
        options.explicit_http_config.http_protocol_options.header_key_format.CopyFrom(
            preserved_case(with_phrase=group.target_type == "lambda")
        )
    else:
        options.explicit_http_config.http2_protocol_options.SetInParent()
    made.typed_extension_protocol_options[options.DESCRIPTOR.full_name].CopyFrom(pack(options))
    if group.protocol == "HTTPS":
        made.transport_socket.name = "envoy.transport_sockets.tls"
        made.transport_socket.typed_config.CopyFrom(pack(_tls(group, load_balancer)))
        made.metadata.filter_metadata[TLS].SetInParent()
    return made


def assignment(name: str, endpoints: Sequence[Endpoint]) -> Message:
    return ClusterLoadAssignment(
        cluster_name=name,
        endpoints=[
            LocalityLbEndpoints(
                lb_endpoints=[
                    LbEndpoint(
                        endpoint={"address": {"socket_address": {"address": at.host, "port_value": at.port}}},
                        health_status=DRAINING if at.draining else HEALTHY,
                        load_balancing_weight=uint32(at.weight),
                    )
                    for at in endpoints
                ]
            )
        ]
        if endpoints
        else [],
    )


def _spread(made: Message, group: TargetGroup) -> None:
    """The group's algorithm and slow start. Cross-zone settings have no effect: there is one zone, this machine."""
    ramp = int(group.attributes.get("slow_start.duration_seconds", "0"))
    match group.attributes.get("load_balancing.algorithm.type", "round_robin"):
        case "least_outstanding_requests":
            made.lb_policy = Cluster.LEAST_REQUEST
            made.least_request_lb_config.selection_method = Cluster.LeastRequestLbConfig.FULL_SCAN
        case "weighted_random":
            made.lb_policy = Cluster.RANDOM
            if group.attributes.get("load_balancing.algorithm.anomaly_mitigation") == "on":
                made.outlier_detection.CopyFrom(_mitigation())
        case _:
            made.lb_policy = Cluster.ROUND_ROBIN
            if ramp:
                made.round_robin_lb_config.slow_start_config.slow_start_window.FromSeconds(ramp)


def _mitigation() -> Message:
    """One target of several that fails where others do not gets nothing for a while. AWS tells no figures but that it
    takes three targets ("Automatic Target Weights"); where most of them fail, none is out of the ordinary.
    """
    return OutlierDetection(
        interval=milliseconds(ANOMALY_MILLISECONDS),
        failure_percentage_threshold=uint32(50),
        failure_percentage_minimum_hosts=uint32(3),
        failure_percentage_request_volume=uint32(10),
        enforcing_failure_percentage=uint32(100),
        max_ejection_percent=uint32(34),
        enforcing_success_rate=uint32(0),
        enforcing_consecutive_5xx=uint32(0),
        enforcing_consecutive_gateway_failure=uint32(0),
    )


def _tls(group: TargetGroup, load_balancer: LoadBalancer) -> Message:
    """TLS as a load balancer speaks it to targets: no server name, and whatever certificate comes is taken.

    Source: "Target groups for your Application Load Balancers", "Protocol"; that no server name is sent is what
    servers behind load balancers log (envoyproxy/gateway#4520).
    """
    policy = next((each.ssl_policy for each in load_balancer.listeners if each.protocol == "HTTPS"), "")
    context = UpstreamTlsContext()
    context.common_tls_context.tls_params.CopyFrom(parameters(towards_targets(policy)))
    if group.protocol_version != "HTTP1":
        context.common_tls_context.alpn_protocols.append("h2")
    return context
