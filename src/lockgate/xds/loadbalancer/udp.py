"""Network Load Balancers: forwards the datagrams of a flow to the target that its flow hash selects.

Source: "What is a Network Load Balancer?", "Connection idle timeout": a flow ends after two minutes without datagrams.
"""

from __future__ import annotations

from typing import Final

from envoy.config.core.v3.address_pb2 import SocketAddress
from envoy.config.listener.v3.listener_components_pb2 import ListenerFilter
from envoy.config.listener.v3.listener_pb2 import Listener as EnvoyListener
from envoy.extensions.filters.udp.udp_proxy.v3.route_pb2 import Route
from envoy.extensions.filters.udp.udp_proxy.v3.udp_proxy_pb2 import UdpProxyConfig

from lockgate.loadbalancer.network import NetworkListener, NetworkLoadBalancer
from lockgate.xds.loadbalancer.listeners import Socket
from lockgate.xds.loadbalancer.names import cluster_name, datagram_listener_name
from lockgate.xds.loadbalancer.tcp import sticky
from lockgate.xds.protobuf import Message, pack

IDLE_SECONDS: Final = 120


def udp_listener(balancer: NetworkLoadBalancer, listener: NetworkListener, at: Socket) -> Message:
    """Envoy has no weights here: the target group with the largest weight gets all flows."""
    name = datagram_listener_name(balancer, listener.port)
    shares = [each for each in listener.forward.target_groups if each.weight]
    group = max(shares, key=lambda each: each.weight).target_group if shares else ""
    proxy = UdpProxyConfig(stat_prefix=name)
    proxy.idle_timeout.FromSeconds(IDLE_SECONDS)
    route = Route(cluster=cluster_name(group) if group else "none")
    proxy.matcher.on_no_match.action.name = "route"
    proxy.matcher.on_no_match.action.typed_config.CopyFrom(pack(route))
    if any(sticky(each) for each in balancer.target_groups.values()):
        proxy.hash_policies.add().source_ip = True
    address = {"address": at.address, "port_value": at.port, "protocol": SocketAddress.UDP}
    made = EnvoyListener(
        name=name,
        stat_prefix=name.replace(":", "_"),
        address={"socket_address": address},
        listener_filters=[ListenerFilter(name="envoy.filters.udp_listener.udp_proxy", typed_config=pack(proxy))],
    )
    made.udp_listener_config.downstream_socket_config.SetInParent()
    return made
