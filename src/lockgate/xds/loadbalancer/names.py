"""Names of Envoy's resources: the resource part of an ARN, so that statistics and logs read like AWS's console."""

from __future__ import annotations

from typing import Final

from lockgate.loadbalancer.network import AnyLoadBalancer

PEER: Final = "lockgate.peer"  # filter state: the address at the other end of the connection
LUA: Final = "envoy.filters.http.lua"
FUNCTIONS: Final = "lockgate.lambda"  # metadata of answers of Lambda functions
REWRITES: Final = "envoy.filters.http.header_to_metadata"
CLUSTER_HEADER: Final = "x-lockgate-cluster"  # from a script to the route: the target group that it chose
TARGET_HEADER: Final = "x-lockgate-target"  # from the route to a script: the target that answered
OWN_ANSWER: Final = "x-lockgate-own"  # marks what the load balancer answers itself, see `answers`
# How many bytes all headers of a request have together, and behind it its transfer coding, which Envoy tells no script.
SIZE_HEADER: Final = "x-lockgate-size"
TLS: Final = "lockgate.tls"  # in the metadata of clusters whose targets are reached over TLS


def cluster_name(reference: str) -> str:
    """``targetgroup/NAME/ID`` of a target group's ARN; a reference that is no ARN stays as it is."""
    return reference.rpartition(":")[2] if reference.startswith("arn:") else reference


def listener_name(load_balancer: AnyLoadBalancer, port: int) -> str:
    """``app/NAME/ID:PORT`` or ``net/NAME/ID:PORT``; also the name of the listener's route configuration, if any."""
    short = load_balancer.arn.partition(":loadbalancer/")[2] or load_balancer.name
    return f"{short}:{port}"
