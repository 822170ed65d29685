"""Target groups as clusters: load balancing, and connections to targets."""

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
from lockgate.xds.loadbalancer.tls import parameters, preserved_case
from lockgate.xds.protobuf import Message, duration, pack, uint32

CONNECT_SECONDS: Final = 10  # for TCP and TLS together; "HTTP 504", "HTTP 502" in AWS's troubleshooting page
RESPONSE_HEADERS_KB: Final = 32
ANOMALY_MILLISECONDS: Final = 10_000  # interval of anomaly detection
NO_LIMIT: Final = 1 << 30  # a load balancer has no circuit breaker


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The real address of a target. A draining endpoint finishes its requests and gets no new ones.

    `weight` compensates for targets with several endpoints, so that each target has the same total weight.
    """

    host: str
    port: int
    draining: bool = False
    weight: int = 1


def plain_cluster(group: TargetGroup) -> Message:
    """The settings that all target groups share."""
    return Cluster(
        name=cluster_name(group.reference),
        type=Cluster.EDS,
        eds_cluster_config={"eds_config": {"ads": {}, "resource_api_version": "V3"}},
        connect_timeout=duration(CONNECT_SECONDS),
        # Fail-open is decided from target health before endpoints get here; Envoy's panic mode would undo it.
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
            "idle_timeout": duration(int(load_balancer.attributes.get("idle_timeout.timeout_seconds", "60"))),
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
    """The group's algorithm and slow start. Cross-zone settings have no effect, because there is one zone."""
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
    """Anomaly mitigation: a target that fails more often than the others gets no requests for a while. AWS documents no
    thresholds, except that it needs three targets ("Automatic Target Weights"). If most targets fail, none is ejected.
    """
    return OutlierDetection(
        interval=duration(ANOMALY_MILLISECONDS / 1000),
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
    """TLS to targets as a load balancer speaks it: no server name, and any certificate is accepted.

    Source: "Target groups for your Application Load Balancers", "Protocol"; logs of servers behind load balancers show
    that no server name is sent (envoyproxy/gateway#4520).
    """
    policy = next((each.ssl_policy for each in load_balancer.listeners if each.protocol == "HTTPS"), "")
    context = UpstreamTlsContext()
    context.common_tls_context.tls_params.CopyFrom(parameters(towards_targets(policy)))
    if group.protocol_version != "HTTP1":
        context.common_tls_context.alpn_protocols.append("h2")
    return context
