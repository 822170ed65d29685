"""Names of Envoy's resources: the resource part of an ARN, so that statistics and logs read like AWS's console."""

from __future__ import annotations

from typing import Final

from lockgate.loadbalancer.network import AnyLoadBalancer

PEER: Final = "lockgate.peer"  # filter state: the peer's address
LUA: Final = "envoy.filters.http.lua"
FUNCTIONS: Final = "lockgate.lambda"  # metadata on responses of Lambda functions
REWRITES: Final = "envoy.filters.http.header_to_metadata"
CLUSTER_HEADER: Final = "x-lockgate-cluster"  # from a script to the route: the chosen target group
TARGET_HEADER: Final = "x-lockgate-target"  # from the route to a script: the target that answered
OWN_ANSWER: Final = "x-lockgate-own"  # marks the load balancer's own responses, see `answers`
# The total size of a request's headers, followed by its transfer coding, which scripts cannot read otherwise.
SIZE_HEADER: Final = "x-lockgate-size"
TLS: Final = "lockgate.tls"  # in the metadata of clusters that use TLS to targets


def cluster_name(reference: str) -> str:
    """``targetgroup/NAME/ID`` of a target group's ARN. A reference that is not an ARN is returned unchanged."""
    return reference.rpartition(":")[2] if reference.startswith("arn:") else reference


def datagram_listener_name(load_balancer: AnyLoadBalancer, port: int) -> str:
    """The listener of a port's datagrams, beside the one of its connections."""
    return f"{listener_name(load_balancer, port)}/udp"


def listener_name(load_balancer: AnyLoadBalancer, port: int) -> str:
    """``app/NAME/ID:PORT`` or ``net/NAME/ID:PORT``; also the name of the listener's route configuration, if any."""
    short = load_balancer.arn.partition(":loadbalancer/")[2] or load_balancer.name
    return f"{short}:{port}"
