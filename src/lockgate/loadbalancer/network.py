"""A Network Load Balancer as a plain value: it forwards TCP connections and does not inspect them.

It uses `model`'s target groups, with protocol TCP. A target group of type ``alb`` targets an Application Load Balancer.

Source: ELBv2 API reference, and AWS's NLB user guide for ranges and defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from lockgate.loadbalancer.model import (
    EMPTY,
    Forward,
    IpAddressType,
    LoadBalancer,
    Scheme,
    TargetGroup,
)
from lockgate.resources.faults import Origin


@dataclass(frozen=True, slots=True)
class SubnetMapping:
    """A subnet, and its static address if any: an Elastic IP's allocation ID, or a private address."""

    subnet: str
    allocation_id: str = ""
    private_ipv4_address: str = ""


@dataclass(frozen=True, slots=True)
class TcpListener:
    port: int
    forward: Forward
    attributes: Mapping[str, str] = EMPTY
    tags: Mapping[str, str] = EMPTY
    arn: str = ""
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class NetworkLoadBalancer:
    """Listeners are in ascending port order; `target_groups` holds each referenced group, by its reference."""

    name: str
    listeners: tuple[TcpListener, ...]
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


AnyLoadBalancer: TypeAlias = LoadBalancer | NetworkLoadBalancer
