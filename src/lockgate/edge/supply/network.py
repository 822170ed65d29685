"""Subnets and security groups of the VPC, with the IDs and Name tags in load balancers' settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lockgate.edge.supply.pieces import ElasticIp, IpamPool, Ipv6Blocks, SecurityGroup, Subnet
from lockgate.ingress.references import References

_LOCAL = "the load balancer has an address of this machine"


def subnets(references: Iterable[References]) -> tuple[Subnet, ...]:
    """Subnets of one list get different availability zones, as a load balancer requires."""
    zones: dict[str, int] = {}
    users: dict[str, str] = {}
    tagged: dict[tuple[tuple[str, str], ...], str] = {}
    addresses: dict[str, list[str]] = {}
    for each in references:
        for name, address in each.addresses:
            addresses.setdefault(name, []).append(address)
        for listed in each.subnets:
            taken = {zones[name] for name in listed if name in zones}
            for name in dict.fromkeys(listed):
                if name not in zones:
                    zones[name] = next(zone for zone in range(len(listed) + len(taken)) if zone not in taken)
                    taken.add(zones[name])
                    users[name] = each.label
        if each.subnet_tags:
            tagged.setdefault(_tags(each.subnet_tags), each.label)
    named = [_named(name, zone, users[name], addresses.get(name, ())) for name, zone in zones.items()]
    return (*named, *(_tagged(tags, zone, user) for tags, user in tagged.items() for zone in (0, 1)))


def ipv6_blocks(references: Iterable[References]) -> tuple[Ipv6Blocks, ...]:
    """One piece at most: whoever asks first."""
    user = next((each.label for each in references if each.ipv6), None)
    why = f"IPv6 address blocks of the default VPC's subnets: associated, because {user} asks for dualstack"
    return (Ipv6Blocks(why),) if user else ()


def security_groups(references: Iterable[References]) -> tuple[SecurityGroup, ...]:
    users: dict[str, str] = {}
    for each in references:
        for name in each.security_groups:
            users.setdefault(name, each.label)
    return tuple(
        SecurityGroup(
            name if name.startswith("sg-") else "",
            "" if name.startswith("sg-") else name,
            f"security group {name}: created in the default VPC, because {user} names it",
        )
        for name, user in users.items()
    )


def elastic_ips(references: Iterable[References]) -> tuple[ElasticIp, ...]:
    users: dict[str, str] = {}
    for each in references:
        for name in each.elastic_ips:
            users.setdefault(name, each.label)
    return tuple(
        ElasticIp(name, f"Elastic IP {name}: allocated, because {user} names it; {_LOCAL}")
        for name, user in users.items()
    )


def ipam_pools(references: Iterable[References]) -> tuple[IpamPool, ...]:
    pools = {each.ipam_pool: each.label for each in references if each.ipam_pool}
    return tuple(
        IpamPool(f"IPAM pool {pool}: the API takes any pool that {user} names, and allocates nothing from it; {_LOCAL}")
        for pool, user in pools.items()
    )


def _named(name: str, zone: int, user: str, addresses: Sequence[str]) -> Subnet:
    around = f", around {' and '.join(addresses)}" if addresses else ""
    why = f"subnet {name}: created in the default VPC{around}, because {user} names it"
    by_id = name.startswith("subnet-")
    return Subnet(name if by_id else "", () if by_id else (("Name", name),), zone, why, tuple(addresses))


def _tagged(tags: tuple[tuple[str, str], ...], zone: int, user: str) -> Subnet:
    shown = ", ".join(f"{key}={value}" for key, value in tags)
    return Subnet("", tags, zone, f"two subnets with the tags {shown}: created in the default VPC, because {user} asks")


def _tags(wanted: Iterable[tuple[str, Sequence[str]]]) -> tuple[tuple[str, str], ...]:
    """One value for each key: any value matches a key without values."""
    return tuple((key, values[0] if values else "") for key, values in wanted)
