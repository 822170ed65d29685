"""Load balancers: subnets, security groups, address types and attributes."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Sequence
from typing import Any

from lockgate.dns.load_balancers import canonical_hosted_zone
from lockgate.embedded.aws.elbv2 import attributes, tags
from lockgate.embedded.aws.elbv2.state import LoadBalancer, Shape, State
from lockgate.embedded.aws.elbv2.types import APPLICATION, NETWORK, Type, served_type
from lockgate.embedded.aws.paging import page
from lockgate.embedded.aws.protocol import Refusal, Result


def create(state: State, given: Shape) -> Result:
    kind = served_type(given.get("Type", APPLICATION.name))
    name = given["Name"]
    _check_name(name)
    scheme = given.get("Scheme", "internet-facing")
    subnets, vpc = _subnets(state, kind, given)
    known = next((item for item in state.load_balancers.values() if item.name == name), None)
    family = _ip_address_type(kind, given.get("IpAddressType", "ipv4"), scheme)
    addresses = _addresses(state, kind, scheme, family, given, known)
    groups = _security_groups(state, kind, vpc, given.get("SecurityGroups"))
    pool = given.get("IpamPools", {}).get("Ipv4IpamPoolId", "")
    _check_ipam_pool(kind, pool, scheme)
    made_of_tags = tags.read(given.get("Tags", ()))
    if known is not None:
        former = (known.type, known.scheme, set(known.subnets), set(known.security_groups), known.ip_address_type)
        if former != (kind, scheme, set(subnets), set(groups), family):
            raise Refusal(
                "DuplicateLoadBalancerName",
                f"A load balancer with the same name '{name}' exists, but with different settings",
            )
        return {"LoadBalancers": [shown(state, known)]}
    if sum(item.type is kind for item in state.load_balancers.values()) >= state.quotas[kind.quota]:
        raise Refusal("TooManyLoadBalancers", "The maximum number of load balancers has been reached on your account")
    path = f"loadbalancer/{kind.path}/{name}"
    identity = state.new_id(path)
    arn = state.arn(f"{path}/{identity}")
    dns_name = _dns_name(state, kind, name, scheme, arn)
    settings = attributes.defaults(kind.attributes)
    if scheme == "internal":
        settings["ipv6.deny_all_igw_traffic"] = "true"
    made = state.load_balancers[arn] = LoadBalancer(
        arn=arn,
        type=kind,
        name=name,
        dns_name=dns_name,
        hosted_zone=canonical_hosted_zone(dns_name) or "",
        scheme=scheme,
        vpc_id=vpc,
        subnets=subnets,
        security_groups=groups,
        ip_address_type=family,
        created=state.now(),
        attributes=settings,
        tags=made_of_tags,
        ipam_pool=pool,
        coip_pool=given.get("CustomerOwnedIpv4Pool", ""),
        addresses=addresses,
    )
    return {"LoadBalancers": [shown(state, made) | {"State": {"Code": "provisioning"}}]}


def describe(state: State, given: Shape) -> Result:
    arns, names = given.get("LoadBalancerArns"), given.get("Names")
    if arns and names:
        raise Refusal(
            "ValidationError", "Load balancer names and load balancer ARNs cannot be specified at the same time"
        )
    if arns:
        found = [state.load_balancer(arn) for arn in arns]
    elif names:
        found = [item for item in state.load_balancers.values() if item.name in names]
        if missing := [name for name in names if name not in {item.name for item in found}]:
            raise Refusal("LoadBalancerNotFound", f"Load balancers '[{', '.join(missing)}]' not found")
    else:
        found = list(state.load_balancers.values())
    items, marker = paged(found, given)
    return {"LoadBalancers": [shown(state, item) for item in items], **marker}


def delete(state: State, given: Shape) -> Result:
    """Succeeds if the load balancer does not exist."""
    arn = given["LoadBalancerArn"]
    balancer = state.load_balancers.get(arn)
    if balancer is None:
        return {}
    if balancer.attributes["deletion_protection.enabled"] == "true":
        raise Refusal(
            "OperationNotPermitted",
            f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled",
        )
    if state.registrations_of(arn):
        raise Refusal(
            "ResourceInUse",
            f"Load balancer '{arn}' cannot be deleted because it is currently associated with another service",
        )
    for listener in state.listeners_of(arn):
        state.remove_listener(listener)
    del state.load_balancers[arn]
    return {}


def describe_attributes(state: State, given: Shape) -> Result:
    return {"Attributes": attributes.shown(state.load_balancer(given["LoadBalancerArn"]).attributes)}


def modify_attributes(state: State, given: Shape) -> Result:
    balancer = state.load_balancer(given["LoadBalancerArn"])
    settings = attributes.changed(balancer.type.attributes, balancer.attributes, given["Attributes"], "Load balancer")
    for logs in balancer.type.logs:
        if settings[f"{logs}.s3.enabled"] == "true" and not settings[f"{logs}.s3.bucket"]:
            raise Refusal("InvalidConfigurationRequest", f"The value of '{logs}.s3.bucket' cannot be empty")
    balancer.attributes = settings
    return {"Attributes": attributes.shown(settings)}


def set_subnets(state: State, given: Shape) -> Result:
    balancer = state.load_balancer(given["LoadBalancerArn"])
    subnets, vpc = _subnets(state, balancer.type, given)
    family = _ip_address_type(balancer.type, given.get("IpAddressType", balancer.ip_address_type), balancer.scheme)
    addresses = _addresses(state, balancer.type, balancer.scheme, family, given, balancer)
    if vpc != balancer.vpc_id:
        raise Refusal("InvalidConfigurationRequest", "The subnets must belong to the VPC of the load balancer")
    balancer.subnets, balancer.addresses, balancer.ip_address_type = subnets, addresses, family
    return {"AvailabilityZones": zones(state, balancer), "IpAddressType": family}


def set_security_groups(state: State, given: Shape) -> Result:
    balancer = state.load_balancer(given["LoadBalancerArn"])
    if "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic" in given:
        if balancer.type is NETWORK:
            raise Refusal("OperationNotPermitted", "PrivateLink is not served here")
        raise Refusal(
            "InvalidConfigurationRequest",
            "Inbound rules on PrivateLink traffic can be enforced on load balancers of type 'network' only",
        )
    if balancer.type is NETWORK and not balancer.security_groups:
        raise Refusal(
            "InvalidConfigurationRequest",
            "You cannot set security groups on a Network Load Balancer which was created without any security groups.",
        )
    balancer.security_groups = _security_groups(state, balancer.type, balancer.vpc_id, given["SecurityGroups"])
    return {"SecurityGroupIds": list(balancer.security_groups)}


def set_ip_address_type(state: State, given: Shape) -> Result:
    balancer = state.load_balancer(given["LoadBalancerArn"])
    balancer.ip_address_type = _ip_address_type(balancer.type, given["IpAddressType"], balancer.scheme)
    return {"IpAddressType": balancer.ip_address_type}


def modify_ip_pools(state: State, given: Shape) -> Result:
    """EC2 has no IPAM here. Any pool ID is accepted, and no addresses are allocated from it."""
    balancer = state.load_balancer(given["LoadBalancerArn"])
    pool = given.get("IpamPools", {}).get("Ipv4IpamPoolId", "")
    removed = given.get("RemoveIpamPools") or []
    if bool(pool) == bool(removed):
        raise Refusal("ValidationError", "You must specify either IPAM pools or IPAM pools to remove")
    _check_ipam_pool(balancer.type, pool, balancer.scheme)
    balancer.ipam_pool = pool
    return {"IpamPools": {"Ipv4IpamPoolId": pool}} if pool else {}


def shown(state: State, balancer: LoadBalancer) -> Shape:
    pools: Shape = {"IpamPools": {"Ipv4IpamPoolId": balancer.ipam_pool}} if balancer.ipam_pool else {}
    if balancer.coip_pool:
        pools["CustomerOwnedIpv4Pool"] = balancer.coip_pool
    return pools | {
        "LoadBalancerArn": balancer.arn,
        "DNSName": balancer.dns_name,
        "CanonicalHostedZoneId": balancer.hosted_zone,
        "CreatedTime": balancer.created,
        "LoadBalancerName": balancer.name,
        "Scheme": balancer.scheme,
        "VpcId": balancer.vpc_id,
        "State": {"Code": "active"},
        "Type": balancer.type.name,
        "AvailabilityZones": zones(state, balancer),
        **({"SecurityGroups": list(balancer.security_groups)} if balancer.security_groups else {}),
        "IpAddressType": balancer.ip_address_type,
    }


def paged(items: Sequence[Any], given: Shape) -> tuple[list[Any], Shape]:
    """A page of a listing, and the answer's marker if there are more."""
    chosen, marker = page(items, given.get("Marker"), given.get("PageSize", 400), fault="ValidationError")
    return chosen, {"NextMarker": marker} if marker else {}


def zones(state: State, balancer: LoadBalancer) -> list[Shape]:
    known = state.neighbours.subnets()
    return [
        {
            "ZoneName": known[subnet][1] if subnet in known else "",
            "SubnetId": subnet,
            "LoadBalancerAddresses": [balancer.addresses[subnet]] if subnet in balancer.addresses else [],
        }
        for subnet in balancer.subnets
    ]


def _dns_name(state: State, kind: Type, name: str, scheme: str, arn: str) -> str:
    if kind is NETWORK:
        return f"{name}-{arn.rpartition('/')[2]}.elb.{state.region}.amazonaws.com"
    number = int(hashlib.sha256(arn.encode()).hexdigest()[:12], 16) % 9_000_000_000 + 1_000_000_000
    prefix = "internal-" if scheme == "internal" else ""
    return f"{prefix}{name}-{number}.{state.region}.elb.amazonaws.com"


def _check_name(name: str) -> None:
    if len(name) > 32:
        raise Refusal("ValidationError", f"The load balancer name '{name}' cannot be longer than '32' characters")
    if not re.fullmatch(r"[A-Za-z0-9-]+", name):
        raise Refusal(
            "ValidationError",
            f"The load balancer name '{name}' can only contain characters that are alphanumeric characters and "
            "hyphens(-)",
        )
    if name.startswith("-") or name.endswith("-"):
        raise Refusal("ValidationError", f"The load balancer name '{name}' cannot begin or end with a hyphen(-)")
    if name.startswith("internal-"):
        raise Refusal("ValidationError", f"The load balancer name '{name}' cannot begin with 'internal-'")


def _subnets(state: State, kind: Type, given: Shape) -> tuple[tuple[str, ...], str]:
    plain, mapped = given.get("Subnets") or [], given.get("SubnetMappings") or []
    if plain and mapped:
        raise Refusal("ValidationError", "Subnets and subnet mappings cannot be specified at the same time")
    subnets = tuple(dict.fromkeys(plain or [mapping.get("SubnetId", "") for mapping in mapped]))
    known = state.neighbours.subnets()
    for subnet in subnets:
        if subnet not in known:
            raise Refusal("SubnetNotFound", f"The subnet ID '{subnet}' does not exist")
    zones = [known[subnet][1] for subnet in subnets]
    if len(set(zones)) < len(zones):
        raise Refusal(
            "InvalidConfigurationRequest",
            "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
        )
    if not subnets:
        raise Refusal("ValidationError", "At least one subnet must be specified")
    if len(subnets) < 2 and kind is APPLICATION:
        raise Refusal("ValidationError", "At least two subnets in two different Availability Zones must be specified")
    vpcs = {known[subnet][0] for subnet in subnets}
    if len(vpcs) > 1:
        raise Refusal(
            "InvalidConfigurationRequest", f"All subnets must belong to the same VPC: '{', '.join(sorted(vpcs))}'"
        )
    return subnets, vpcs.pop()


def _addresses(
    state: State, kind: Type, scheme: str, family: str, given: Shape, itself: LoadBalancer | None
) -> dict[str, Shape]:
    """The addresses in the subnet mappings, by subnet. AWS chooses the others."""
    taken = {
        str(address.get("AllocationId"))
        for balancer in state.load_balancers.values()
        if balancer is not itself
        for address in balancer.addresses.values()
    }
    found = {}
    for mapping in given.get("SubnetMappings") or ():
        fields = set(mapping) - {"SubnetId"}
        if fields and kind is APPLICATION:
            raise Refusal(
                "InvalidConfigurationRequest", "Addresses cannot be specified for load balancers of type 'application'"
            )
        if fields - {"AllocationId", "PrivateIPv4Address", "IPv6Address"}:
            raise Refusal("OperationNotPermitted", "Prefixes for source NAT are not served here")
        if fields:
            sixth = _ipv6(state, family, mapping) if "IPv6Address" in mapping else {}
            found[mapping["SubnetId"]] = {**_ipv4(state, scheme, mapping, taken), **sixth}
    return found


def _ipv4(state: State, scheme: str, mapping: Shape, taken: set[str]) -> Shape:
    if "AllocationId" in mapping:
        allocation, known = mapping["AllocationId"], state.neighbours.elastic_addresses()
        if scheme == "internal":
            raise Refusal(
                "InvalidConfigurationRequest",
                "Elastic IP addresses can be specified for internet-facing load balancers only",
            )
        if allocation not in known:
            raise Refusal("AllocationIdNotFound", f"The allocation ID '{allocation}' does not exist")
        if allocation in taken:
            raise Refusal("ResourceInUse", f"The allocation ID '{allocation}' is already in use")
        return {"IpAddress": known[allocation], "AllocationId": allocation}
    if "PrivateIPv4Address" not in mapping:
        return {}
    if scheme != "internal":
        raise Refusal(
            "InvalidConfigurationRequest", "Private IPv4 addresses can be specified for internal load balancers only"
        )
    block, *_ = state.neighbours.subnet_blocks()[mapping["SubnetId"]]
    return {"PrivateIPv4Address": _inside(mapping["PrivateIPv4Address"], (block,), "private IPv4")}


def _ipv6(state: State, family: str, mapping: Shape) -> Shape:
    if family == "ipv4":
        raise Refusal(
            "InvalidConfigurationRequest", "IPv6 addresses can be specified for load balancers of type 'dualstack' only"
        )
    _, *blocks = state.neighbours.subnet_blocks()[mapping["SubnetId"]]
    return {"IPv6Address": _inside(mapping["IPv6Address"], blocks, "IPv6")}


def _inside(address: str, blocks: Sequence[str], kind: str) -> str:
    """An address of a subnet, whose blocks of its family these are."""
    try:
        inside = any(ipaddress.ip_address(address) in ipaddress.ip_network(block) for block in blocks)
    except ValueError:
        inside = False
    if not inside:
        where = f"the address block '{', '.join(blocks)}'" if blocks else "an address block"
        raise Refusal("InvalidConfigurationRequest", f"The {kind} address '{address}' is not in {where} of its subnet")
    return address


def _security_groups(state: State, kind: Type, vpc: str, given: Sequence[str] | None) -> tuple[str, ...]:
    """By default, an application load balancer has the VPC's default group, a network load balancer has none."""
    known = state.neighbours.security_groups()
    if not given and kind is NETWORK:
        return ()
    if not given:
        return tuple(group for group, (owner, name) in known.items() if owner == vpc and name == "default")
    if any(group not in known or known[group][0] != vpc for group in given):
        raise Refusal("InvalidConfigurationRequest", "One or more security groups are invalid")
    return tuple(dict.fromkeys(given))


def _check_ipam_pool(kind: Type, pool: str, scheme: str) -> None:
    if pool and kind is not APPLICATION:
        raise Refusal("InvalidConfigurationRequest", "IPAM pools can be specified for application load balancers only")
    if pool and scheme == "internal":
        raise Refusal(
            "InvalidConfigurationRequest", "IPAM pools can be specified for internet-facing load balancers only"
        )


def _ip_address_type(kind: Type, family: str, scheme: str) -> str:
    if kind is NETWORK and family == "dualstack-without-public-ipv4":
        raise Refusal(
            "InvalidConfigurationRequest",
            "The IP address type 'dualstack-without-public-ipv4' is supported for application load balancers only",
        )
    if scheme == "internal" and family == "dualstack-without-public-ipv4":
        raise Refusal(
            "InvalidConfigurationRequest",
            "The IP address type 'dualstack-without-public-ipv4' is supported for internet-facing load balancers only",
        )
    return family
