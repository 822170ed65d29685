"""Sets up moto's EC2 for an edge: the default VPC with the tags that EKS needs, and the node's instance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Final

# The load balancer controller finds subnets by these tags (its documentation, "Subnet auto discovery").
SUBNET_TAGS = {"kubernetes.io/role/elb": "1", "kubernetes.io/role/internal-elb": "1"}


def regions() -> frozenset[str]:
    """All AWS regions, of every partition."""
    from lockgate.embedded.aws import moto_import

    moto_import.load()
    from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend

    return frozenset(str(region.name) for region in RegionsAndZonesBackend.regions)


def prepare(account: str, region: str) -> None:
    """Must be called before the first use of the region."""
    _backend(account, region)


def default_vpc(account: str, region: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Its ID, and its subnets' IDs and Availability Zones, in the same order."""
    backend = _backend(account, region)
    subnets = sorted(
        (subnet for zone in backend.subnets.values() for subnet in zone.values() if subnet.default_for_az),
        key=lambda subnet: str(subnet.availability_zone),
    )
    return (
        str(backend.default_vpc.id),
        tuple(str(subnet.id) for subnet in subnets),
        tuple(str(subnet.availability_zone) for subnet in subnets),
    )


def create_instance(account: str, region: str, instance_id: str, private_ip: str, zone: str) -> None:
    """Raises `ValueError` if the zone has no default subnet."""
    backend = _backend(account, region)
    if any(instance.id == instance_id for instance in _instances(backend)):
        return
    _, subnets, zones = default_vpc(account, region)
    if zone not in zones:
        raise ValueError(f"{region} has no default subnet in {zone}; it has {', '.join(zones)}")
    with _without_images(backend):
        reservation = backend.run_instances(
            "ami-12c6146b",
            1,
            None,
            [],
            instance_type="m5.large",
            is_instance_type_default=True,
            region_name=region,
            subnet_id=subnets[zones.index(zone)],
            tags={"instance": {"Name": instance_id}},
        )
    instance = reservation.instances[0]
    backend.tags[instance_id] = backend.tags.pop(instance.id, {})
    instance.id = instance_id
    instance.virtualization_type = "hvm"
    for interface in instance.nics.values():
        interface.private_ip_address = private_ip
        interface.private_ip_addresses = [{"Primary": True, "PrivateIpAddress": private_ip}]


def private_address(account: str, region: str, instance_id: str) -> str | None:
    found = (each for each in _instances(_backend(account, region)) if each.id == instance_id)
    return next((str(each.private_ip) for each in found), None)


def create_subnet(
    account: str, region: str, subnet_id: str, tags: Mapping[str, str], zone: int, addresses: Sequence[str] = ()
) -> None:
    """Creates a subnet in the default VPC and its `zone`-th Availability Zone (from 0), with exactly this ID or,
    without one, with these tags. Its blocks contain the `addresses`, if they are valid and in no other subnet. An
    existing one is unchanged. Raises `ValueError` if the zone does not exist or the VPC is full."""
    backend = _backend(account, region)
    zones = default_vpc(account, region)[2]
    if zone >= len(zones):
        raise ValueError(f"{region} has {len(zones)} availability zones, and this subnet needs one more")
    there = [subnet for each in backend.subnets.values() for subnet in each.values()]
    if any(subnet.id == subnet_id if subnet_id else _in_zone(subnet, tags, zones[zone]) for subnet in there):
        return
    taken = [subnet.cidr for subnet in there]
    around = [
        ip_network(f"{each}/{24 if '.' in each else 64}", strict=False) for each in addresses if _is_address(each)
    ]
    wanted = [each for each in around if isinstance(each, IPv4Network)]
    block = next((each for each in (*wanted, *_BLOCKS) if not any(each.overlaps(other) for other in taken)), None)
    if block is None:
        raise ValueError("the default VPC has no addresses left for another subnet")
    from moto.ec2.models import subnets

    vpc = backend.default_vpc
    if not block.subnet_of(IPv4Network(vpc.cidr_block)):
        vpc.associate_vpc_cidr_block(str(block))
    with _drawing(subnets, "random_subnet_id", subnet_id):
        made = backend.create_subnet(vpc.id, str(block), availability_zone=zones[zone], tags={"subnet": dict(tags)})
    for each in around:
        if isinstance(each, IPv6Network):
            made.attach_ipv6_cidr_block_associations(str(each))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def associate_ipv6_blocks(account: str, region: str) -> None:
    """Adds an IPv6 /64 to every subnet of the default VPC that has none."""
    backend = _backend(account, region)
    vpc = backend.default_vpc
    if not vpc.get_cidr_block_association_set(ipv6=True):
        vpc.associate_vpc_cidr_block(None, amazon_provided_ipv6_cidr_block=True)
    subnets = [each for zone in backend.subnets.values() for each in zone.values() if each.vpc_id == vpc.id]
    taken = {block["ipv6CidrBlock"] for subnet in subnets for block in subnet.ipv6_cidr_block_association_set}
    network = IPv6Network(vpc.get_cidr_block_association_set(ipv6=True)[0]["cidr_block"], strict=False)
    free = (str(block) for block in network.subnets(new_prefix=64) if str(block) not in taken)
    for subnet in subnets:
        if not subnet.ipv6_cidr_block_association_set:
            subnet.attach_ipv6_cidr_block_associations(next(free))


def create_security_group(account: str, region: str, group_id: str, name: str) -> None:
    """Creates it in the default VPC, with exactly this ID or, without one, the Name tag `name`, unless it exists."""
    backend = _backend(account, region)
    groups = backend.groups[backend.default_vpc.id]
    if group_id in groups if group_id else any(_tags(each).get("Name") == name for each in groups.values()):
        return
    from moto.ec2.models import security_groups

    with _drawing(security_groups, "random_security_group_id", group_id):
        backend.create_security_group(
            group_id or name, "supplied by Lockgate", backend.default_vpc.id, tags={"Name": name} if name else {}
        )


def allocate_elastic_ip(account: str, region: str, allocation_id: str) -> None:
    """Allocates an Elastic IP with exactly this ID, unless it exists."""
    backend = _backend(account, region)
    if allocation_id in elastic_addresses(account, region):
        return
    from moto.ec2.models import elastic_ip_addresses

    with _drawing(elastic_ip_addresses, "random_eip_allocation_id", allocation_id):
        backend.allocate_address("vpc")


# The upper quarter of the default VPC. Its default subnets have /20 blocks from the lower end.
_BLOCKS: Final = tuple(IPv4Network(f"172.31.{third}.0/24") for third in range(255, 191, -1))


def _in_zone(subnet: Any, tags: Mapping[str, str], zone: str) -> bool:
    return subnet.availability_zone == zone and tags.items() <= _tags(subnet).items()


def _tags(item: Any) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in item.get_tags()}


@contextmanager
def _without_images(backend: Any) -> Iterator[None]:
    """moto looks up an instance's image, for which it would create all images. Without one it assumes x86_64 and
    Linux, which is true of the node."""
    backend.describe_images = lambda **_: []  # hides the method of the class
    try:
        yield
    finally:
        del backend.describe_images


@contextmanager
def _drawing(module: Any, name: str, id_: str) -> Iterator[None]:
    """Makes moto use `id_`, unless empty, as the next ID that it generates: the ID is part of rules, tags and ARNs."""
    real = getattr(module, name)
    if id_:
        setattr(module, name, lambda: id_)
    try:
        yield
    finally:
        setattr(module, name, real)


def subnet_zones(account: str, region: str) -> dict[str, tuple[str, str]]:
    """Every subnet's VPC and availability zone."""
    return {
        str(subnet.id): (str(subnet.vpc_id), str(subnet.availability_zone))
        for zone in _backend(account, region).subnets.values()
        for subnet in zone.values()
    }


def subnet_blocks(account: str, region: str) -> dict[str, tuple[str, ...]]:
    """Every subnet's address blocks: that of IPv4, and those of IPv6."""
    subnets = (subnet for zone in _backend(account, region).subnets.values() for subnet in zone.values())
    return {
        str(each.id): (
            str(each.cidr_block),
            *(str(block["ipv6CidrBlock"]) for block in each.ipv6_cidr_block_association_set),
        )
        for each in subnets
    }


def elastic_addresses(account: str, region: str) -> dict[str, str]:
    """Every Elastic IP, by its allocation id."""
    return {str(item.allocation_id): str(item.public_ip) for item in _backend(account, region).addresses}


def security_groups(account: str, region: str) -> dict[str, tuple[str, str]]:
    """Every security group's VPC and name."""
    backend = _backend(account, region)
    return {
        str(group.id): (str(vpc), str(group.name))
        for vpc, groups in backend.groups.items()
        for group in groups.values()
    }


def instances(account: str, region: str) -> dict[str, str]:
    """Every instance's state."""
    return {str(instance.id): str(instance.state) for instance in _instances(_backend(account, region))}


def vpcs(account: str, region: str) -> dict[str, tuple[str, ...]]:
    """Every VPC's address blocks."""
    return {
        str(vpc.id): tuple(str(block["cidr_block"]) for block in vpc.get_cidr_block_association_set())
        for vpc in _backend(account, region).vpcs.values()
    }


def _instances(backend: Any) -> list[Any]:
    return [instance for reservation in backend.reservations.values() for instance in reservation.instances]


def _backend(account: str, region: str) -> Any:
    from lockgate.embedded.aws import moto_import

    moto_import.load()
    from moto.ec2.models import ec2_backends

    fresh = region not in dict.keys(ec2_backends[account])
    backend = ec2_backends[account][region]
    if fresh:
        for zone in backend.subnets.values():
            for subnet in zone.values():
                subnet.add_tags(SUBNET_TAGS)
    return backend
