"""Reads ELBv2 API responses into `NetworkLoadBalancer` values, as `elbv2` does for Application Load Balancers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lockgate.loadbalancer.elbv2 import Answers, Json, UnknownShape, actions_of, attributes_of, certificates_of
from lockgate.loadbalancer.model import Forward, TargetGroup
from lockgate.loadbalancer.network import PROTOCOLS, NetworkListener, NetworkLoadBalancer, SubnetMapping


def is_network(answer: Json) -> bool:
    return answer.get("Type") == "network"


def network_load_balancer(answer: Json, groups: Mapping[str, TargetGroup], answers: Answers) -> NetworkLoadBalancer:
    """One load balancer, with those of `groups` that its listeners forward to. Raises `UnknownShape`."""
    arn = answer["LoadBalancerArn"]
    items = sorted(answers.listeners.get(arn, ()), key=lambda item: int(item["Port"]))
    listeners = tuple(_listener(item, answers) for item in items)
    return NetworkLoadBalancer(
        name=answer["LoadBalancerName"],
        listeners=listeners,
        target_groups={reference: groups[reference] for reference in forwarded(listeners) if reference in groups},
        scheme=answer.get("Scheme", "internet-facing"),
        ip_address_type=answer.get("IpAddressType", "ipv4"),
        security_groups=tuple(answer.get("SecurityGroups", ())),
        subnets=tuple(_mapping(zone) for zone in answer.get("AvailabilityZones", ()) if "SubnetId" in zone),
        attributes=attributes_of(answers.load_balancer_attributes.get(arn, ())),
        arn=arn,
        dns_name=answer.get("DNSName", ""),
        canonical_hosted_zone_id=answer.get("CanonicalHostedZoneId", ""),
    )


def forwarded(listeners: Iterable[NetworkListener]) -> tuple[str, ...]:
    """The target groups that listeners forward to, in order, without duplicates."""
    return tuple(dict.fromkeys(each.target_group for item in listeners for each in item.forward.target_groups))


def _listener(answer: Json, answers: Answers) -> NetworkListener:
    arn = answer["ListenerArn"]
    if answer["Protocol"] not in PROTOCOLS:
        raise UnknownShape(arn, f"listener with the protocol {answer['Protocol']!r}")
    match actions_of(arn, answer.get("DefaultActions", ())):
        case (Forward() as forward,):
            return NetworkListener(
                int(answer["Port"]),
                forward,
                answer["Protocol"],
                certificates_of(answer, answers),
                answer.get("SslPolicy", ""),
                "".join(answer.get("AlpnPolicy") or ()),
                attributes=attributes_of(answers.listener_attributes.get(arn, ())),
                arn=arn,
            )
        case other:
            raise UnknownShape(arn, f"actions of a network load balancer's listener: {other!r}")


def _mapping(zone: Json) -> SubnetMapping:
    address: Json = next(iter(zone.get("LoadBalancerAddresses") or ()), {})
    return SubnetMapping(
        zone["SubnetId"],
        address.get("AllocationId", ""),
        address.get("PrivateIPv4Address", ""),
        address.get("IPv6Address", ""),
    )
