"""Network Load Balancers: forwards each connection to the target that its flow hash selects, and ends TLS if told to.

`udp` forwards datagrams.

Source: "What is a Network Load Balancer?" and "Target groups for your Network Load Balancers".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.config.core.v3.proxy_protocol_pb2 import ProxyProtocolConfig
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener as EnvoyListener
from envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import TlsInspector
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from envoy.extensions.transport_sockets.proxy_protocol.v3.upstream_proxy_protocol_pb2 import (
    ProxyProtocolUpstreamTransport,
)
from envoy.extensions.transport_sockets.raw_buffer.v3.raw_buffer_pb2 import RawBuffer
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import SdsSecretConfig
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext, UpstreamTlsContext

from lockgate.loadbalancer.model import TargetGroup
from lockgate.loadbalancer.network import NetworkListener, NetworkLoadBalancer, sends_proxy_protocol
from lockgate.loadbalancer.policies import DEFAULT, POLICIES, policy, towards_targets
from lockgate.xds.loadbalancer.access_log import network_logs
from lockgate.xds.loadbalancer.clusters import plain_cluster
from lockgate.xds.loadbalancer.listeners import Socket
from lockgate.xds.loadbalancer.names import cluster_name, listener_name
from lockgate.xds.loadbalancer.tls import parameters
from lockgate.xds.protobuf import Message, pack
from lockgate.xds.telemetry import connection_logs, ended


def tcp_listener(
    balancer: NetworkLoadBalancer,
    listener: NetworkListener,
    at: Socket,
    served: frozenset[str] = frozenset(),
    records: str = "",
) -> Message:
    """`served` are the certificates whose material Envoy has, `records` is the file for records of its access log."""
    name = listener_name(balancer, listener.port)
    logs = network_logs(balancer, listener, records)
    proxy = TcpProxy(stat_prefix=name, access_log=(*connection_logs(name), *map(ended, logs)))
    proxy.access_log_options.flush_access_log_on_connected = True
    proxy.idle_timeout.FromSeconds(int(listener.attributes.get("tcp.idle_timeout.seconds", "350")))
    shares = [each for each in listener.forward.target_groups if each.weight]
    for each in shares:
        proxy.weighted_clusters.clusters.add(name=cluster_name(each.target_group), weight=each.weight)
    if not shares:
        proxy.cluster = "none"  # no cluster has this name: Envoy resets the connection, as AWS does
    if any(sticky(group) for group in balancer.target_groups.values()):
        proxy.hash_policy.add().source_ip.SetInParent()
    chain = FilterChain(filters=[Filter(name="envoy.filters.network.tcp_proxy", typed_config=pack(proxy))])
    if listener.protocol == "TLS":
        chain.transport_socket.name = _TLS_SOCKET
        chain.transport_socket.typed_config.CopyFrom(pack(_towards_clients(listener, served)))
    made = EnvoyListener(
        name=name,
        stat_prefix=name.replace(":", "_"),
        address={"socket_address": {"address": at.address, "port_value": at.port}},
        filter_chains=[chain],
    )
    if listener.protocol == "TLS" and logs:  # the server name is logged only if it was read before the handshake
        made.listener_filters.add(name="envoy.filters.listener.tls_inspector", typed_config=pack(TlsInspector()))
    return made


def tcp_cluster(group: TargetGroup, balancer: NetworkLoadBalancer) -> Message:
    """A flow hash is equivalent to random choice. With stickiness, the hash is of the client's address only."""
    made = plain_cluster(group)
    made.lb_policy = Cluster.MAGLEV if sticky(group) else Cluster.RANDOM
    transport = None
    if group.protocol == "TLS":
        transport = TransportSocket(name=_TLS_SOCKET, typed_config=pack(_towards_targets(group, balancer)))
    if sends_proxy_protocol(group):
        version = ProxyProtocolConfig(version=ProxyProtocolConfig.V2)
        raw = TransportSocket(name="envoy.transport_sockets.raw_buffer", typed_config=pack(RawBuffer()))
        proxied = ProxyProtocolUpstreamTransport(config=version, transport_socket=transport or raw)
        transport = TransportSocket(name="envoy.transport_sockets.upstream_proxy_protocol", typed_config=pack(proxied))
    if transport is not None:
        made.transport_socket.CopyFrom(transport)
    return made


_TLS_SOCKET: Final = "envoy.transport_sockets.tls"
# Source: "Update a TLS listener for your Network Load Balancer", "ALPN policies".
_ALPN: Final[Mapping[str, tuple[str, ...]]] = {
    "HTTP1Only": ("http/1.1", "http/1.0"),
    "HTTP2Only": ("h2",),
    "HTTP2Optional": ("http/1.1", "http/1.0", "h2"),
    "HTTP2Preferred": ("h2", "http/1.1", "http/1.0"),
}


def _towards_clients(listener: NetworkListener, served: frozenset[str]) -> Message:
    """The default certificate comes first: clients get it if they send no server name, or one without a certificate."""
    context = DownstreamTlsContext()
    common = context.common_tls_context
    common.tls_params.CopyFrom(parameters(policy(listener.ssl_policy) or POLICIES[DEFAULT]))
    common.alpn_protocols.extend(_ALPN.get(listener.alpn_policy, ()))
    for arn in listener.certificates:
        if arn in served:
            common.tls_certificate_sds_secret_configs.append(
                SdsSecretConfig(name=arn, sds_config={"ads": {}, "resource_api_version": "V3"})
            )
    return context


def _towards_targets(group: TargetGroup, balancer: NetworkLoadBalancer) -> Message:
    """No server name, and any certificate is accepted. A listener with one protocol only asks targets for it.

    Source: "Target groups for your Network Load Balancers", "Routing configuration".
    """
    using = [
        each
        for each in balancer.listeners
        if any(share.target_group == group.reference for share in each.forward.target_groups)
    ]
    context = UpstreamTlsContext()
    context.common_tls_context.tls_params.CopyFrom(parameters(towards_targets(using[0].ssl_policy if using else "")))
    if using and using[0].alpn_policy in ("HTTP1Only", "HTTP2Only"):
        context.common_tls_context.alpn_protocols.append(_ALPN[using[0].alpn_policy][0])
    return context


def sticky(group: TargetGroup) -> bool:
    return group.attributes.get("stickiness.enabled") == "true"
