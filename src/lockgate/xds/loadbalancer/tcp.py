"""Network Load Balancers: forwards each connection to the target that its flow hash selects.

Source: "What is a Network Load Balancer?" and "Target groups for your Network Load Balancers".
"""

from __future__ import annotations

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.config.core.v3.proxy_protocol_pb2 import ProxyProtocolConfig
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener as EnvoyListener
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from envoy.extensions.transport_sockets.proxy_protocol.v3.upstream_proxy_protocol_pb2 import (
    ProxyProtocolUpstreamTransport,
)
from envoy.extensions.transport_sockets.raw_buffer.v3.raw_buffer_pb2 import RawBuffer

from lockgate.loadbalancer.model import TargetGroup
from lockgate.loadbalancer.network import NetworkLoadBalancer, TcpListener
from lockgate.xds.loadbalancer.clusters import plain_cluster
from lockgate.xds.loadbalancer.listeners import Socket
from lockgate.xds.loadbalancer.names import cluster_name, listener_name
from lockgate.xds.protobuf import Message, pack
from lockgate.xds.telemetry import connection_logs


def tcp_listener(balancer: NetworkLoadBalancer, listener: TcpListener, at: Socket) -> Message:
    name = listener_name(balancer, listener.port)
    proxy = TcpProxy(stat_prefix=name, access_log=connection_logs(name))
    proxy.access_log_options.flush_access_log_on_connected = True
    proxy.idle_timeout.FromSeconds(int(listener.attributes.get("tcp.idle_timeout.seconds", "350")))
    shares = [each for each in listener.forward.target_groups if each.weight]
    for each in shares:
        proxy.weighted_clusters.clusters.add(name=cluster_name(each.target_group), weight=each.weight)
    if not shares:
        proxy.cluster = "none"  # no cluster has this name: Envoy resets the connection, as AWS does
    if any(_sticky(group) for group in balancer.target_groups.values()):
        proxy.hash_policy.add().source_ip.SetInParent()
    return EnvoyListener(
        name=name,
        stat_prefix=name.replace(":", "_"),
        address={"socket_address": {"address": at.address, "port_value": at.port}},
        filter_chains=[FilterChain(filters=[Filter(name="envoy.filters.network.tcp_proxy", typed_config=pack(proxy))])],
    )


def tcp_cluster(group: TargetGroup) -> Message:
    """A flow hash is equivalent to random choice. With stickiness, the hash is of the client's address only."""
    made = plain_cluster(group)
    made.lb_policy = Cluster.MAGLEV if _sticky(group) else Cluster.RANDOM
    if group.attributes.get("proxy_protocol_v2.enabled") == "true":
        raw = TransportSocket(name="envoy.transport_sockets.raw_buffer", typed_config=pack(RawBuffer()))
        transport = ProxyProtocolUpstreamTransport(
            config=ProxyProtocolConfig(version=ProxyProtocolConfig.V2), transport_socket=raw
        )
        made.transport_socket.name = "envoy.transport_sockets.upstream_proxy_protocol"
        made.transport_socket.typed_config.CopyFrom(pack(transport))
    return made


def _sticky(group: TargetGroup) -> bool:
    return group.attributes.get("stickiness.enabled") == "true"
