"""A Network Load Balancer as a plain value: it forwards connections and datagrams, and ends TLS at most.

It uses `model`'s target groups. A target group of type ``alb`` targets an Application Load Balancer.

Source: ELBv2 API reference, and AWS's NLB user guide for ranges and defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, get_args

from lockgate.loadbalancer.model import (
    EMPTY,
    Forward,
    IpAddressType,
    LoadBalancer,
    NetworkProtocol,
    Scheme,
    TargetGroup,
)
from lockgate.resources.faults import Origin

PRESERVE_CLIENT_IP: Final = "preserve_client_ip.enabled"
PROXY_PROTOCOL: Final = "proxy_protocol_v2.enabled"
PROTOCOLS: Final[tuple[NetworkProtocol, ...]] = get_args(NetworkProtocol)


@dataclass(frozen=True, slots=True)
class SubnetMapping:
    """A subnet, and its static addresses if any: an Elastic IP's allocation ID, or addresses of the subnet."""

    subnet: str
    allocation_id: str = ""
    private_ipv4_address: str = ""
    ipv6_address: str = ""


@dataclass(frozen=True, slots=True)
class NetworkListener:
    """`certificates` are ARNs, the default first; only a TLS listener has them, `ssl_policy` and `alpn_policy`."""

    port: int
    forward: Forward
    protocol: NetworkProtocol = "TCP"
    certificates: tuple[str, ...] = ()
    ssl_policy: str = ""
    alpn_policy: str = ""
    attributes: Mapping[str, str] = EMPTY
    tags: Mapping[str, str] = EMPTY
    arn: str = ""
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class NetworkLoadBalancer:
    """Listeners are in ascending port order; `target_groups` holds each referenced group, by its reference."""

    name: str
    listeners: tuple[NetworkListener, ...]
    target_groups: Mapping[str, TargetGroup]
    scheme: Scheme = "internal"
    ip_address_type: IpAddressType = "ipv4"
    security_groups: tuple[str, ...] = ()
    subnets: tuple[SubnetMapping, ...] = ()
    attributes: Mapping[str, str] = EMPTY
    tags: Mapping[str, str] = EMPTY
    arn: str = ""
    dns_name: str = ""
    canonical_hosted_zone_id: str = ""
    origin: Origin | None = None


def preserves_client_address(group: TargetGroup) -> bool:
    """Whether targets see the client's address as the source of a connection.

    Source: "Edit target group attributes for your Network Load Balancer", "Client IP preservation".
    """
    if group.protocol in ("UDP", "TCP_UDP"):
        return True
    written = group.attributes.get(PRESERVE_CLIENT_IP)
    return group.target_type == "instance" if written is None else written in ("1", "t", "T", "TRUE", "true", "True")


def sends_proxy_protocol(group: TargetGroup) -> bool:
    return group.attributes.get(PROXY_PROTOCOL) == "true"


AnyLoadBalancer: TypeAlias = LoadBalancer | NetworkLoadBalancer
