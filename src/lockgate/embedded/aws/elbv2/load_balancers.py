"""Load balancers: where they are, who may reach them, and their attributes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from lockgate.dns.load_balancers import canonical_hosted_zone
from lockgate.embedded.aws.elbv2 import attributes, tags
from lockgate.embedded.aws.elbv2.state import LoadBalancer, Shape, State
from lockgate.embedded.aws.paging import page
from lockgate.embedded.aws.protocol import Refusal, Result

LOAD_BALANCERS = 50  # of a region, the default quota


def create(state: State, given: Shape) -> Result:
    if given.get("Type", "application") != "application":
        raise Refusal(
            "OperationNotPermitted",
            f"Load balancers of type '{given['Type']}' are not served here, only those of type 'application'",
        )
    name = given["Name"]
    _check_name(name)
    subnets, vpc = _subnets(state, given)
    groups = _security_groups(state, vpc, given.get("SecurityGroups"))
    scheme = given.get("Scheme", "internet-facing")
    family = _ip_address_type(given.get("IpAddressType", "ipv4"), scheme)
    pool = given.get("IpamPools", {}).get("Ipv4IpamPoolId", "")
    _check_ipam_pool(pool, scheme)
    made_of_tags = tags.read(given.get("Tags", ()))
    for known in state.load_balancers.values():
        if known.name == name:
            if (known.scheme, set(known.subnets), set(known.security_groups), known.ip_address_type) != (
                scheme,
                set(subnets),
                set(groups),
                family,
            ):
                raise Refusal(
                    "DuplicateLoadBalancerName",
                    f"A load balancer with the same name '{name}' exists, but with different settings",
                )
            return {"LoadBalancers": [shown(state, known)]}
    if len(state.load_balancers) >= LOAD_BALANCERS:
        raise Refusal("TooManyLoadBalancers", "The maximum number of load balancers has been reached on your account")
    identity = state.new_id(f"loadbalancer/app/{name}")
    arn = state.arn(f"loadbalancer/app/{name}/{identity}")
    number = int(hashlib.sha256(arn.encode()).hexdigest()[:12], 16) % 9_000_000_000 + 1_000_000_000
    prefix = "internal-" if scheme == "internal" else ""
    settings = attributes.defaults(attributes.LOAD_BALANCER)
    if scheme == "internal":
        settings["ipv6.deny_all_igw_traffic"] = "true"
    made = state.load_balancers[arn] = LoadBalancer(
        arn=arn,
        name=name,
        dns_name=f"{prefix}{name}-{number}.{state.region}.elb.amazonaws.com",
        hosted_zone=canonical_hosted_zone(state.region),
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
    """Deleting one that is gone succeeds."""
    arn = given["LoadBalancerArn"]
    balancer = state.load_balancers.get(arn)
    if balancer is None:
        return {}
    if balancer.attributes["deletion_protection.enabled"] == "true":
        raise Refusal(
            "OperationNotPermitted",
            f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled",
        )
    for listener in state.listeners_of(arn):
        state.remove_listener(listener)
    del state.load_balancers[arn]
    return {}


def describe_attributes(state: State, given: Shape) -> Result:
    return {"Attributes": attributes.shown(state.load_balancer(given["LoadBalancerArn"]).attributes)}


def modify_attributes(state: State, given: Shape) -> Result:
    balancer = state.load_balancer(given["LoadBalancerArn"])
    settings = attributes.changed(attributes.LOAD_BALANCER, balancer.attributes, given["Attributes"], "Load balancer")
    for logs in ("access_logs", "connection_logs", "health_check_logs"):
        if settings[f"{logs}.s3.enabled"] == "true" and not settings[f"{logs}.s3.bucket"]:
            raise Refusal("InvalidConfigurationRequest", f"The value of '{logs}.s3.bucket' cannot be empty")
    balancer.attributes = settings
    return {"Attributes": attributes.shown(settings)}


def set_subnets(state: State, given: Shape) -> Result:
    balancer = state.load_balancer(given["LoadBalancerArn"])
    subnets, vpc = _subnets(state, given)
    if vpc != balancer.vpc_id:
        raise Refusal("InvalidConfigurationRequest", "The subnets must belong to the VPC of the load balancer")
    family = _ip_address_type(given.get("IpAddressType", balancer.ip_address_type), balancer.scheme)
    balancer.subnets, balancer.ip_address_type = subnets, family
    return {"AvailabilityZones": zones(state, balancer), "IpAddressType": family}


def set_security_groups(state: State, given: Shape) -> Result:
    balancer = state.load_balancer(given["LoadBalancerArn"])
    if "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic" in given:
        raise Refusal(
            "InvalidConfigurationRequest",
            "Inbound rules on PrivateLink traffic can be enforced on load balancers of type 'network' only",
        )
    balancer.security_groups = _security_groups(state, balancer.vpc_id, given["SecurityGroups"])
    return {"SecurityGroupIds": list(balancer.security_groups)}


def set_ip_address_type(state: State, given: Shape) -> Result:
    balancer = state.load_balancer(given["LoadBalancerArn"])
    balancer.ip_address_type = _ip_address_type(given["IpAddressType"], balancer.scheme)
    return {"IpAddressType": balancer.ip_address_type}


def modify_ip_pools(state: State, given: Shape) -> Result:
    """EC2 here has no IPAM: any pool's id is taken, and no address comes from it."""
    balancer = state.load_balancer(given["LoadBalancerArn"])
    pool = given.get("IpamPools", {}).get("Ipv4IpamPoolId", "")
    removed = given.get("RemoveIpamPools") or []
    if bool(pool) == bool(removed):
        raise Refusal("ValidationError", "You must specify either IPAM pools or IPAM pools to remove")
    _check_ipam_pool(pool, balancer.scheme)
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
        "Type": "application",
        "AvailabilityZones": zones(state, balancer),
        "SecurityGroups": list(balancer.security_groups),
        "IpAddressType": balancer.ip_address_type,
    }


def paged(items: Sequence[Any], given: Shape) -> tuple[list[Any], Shape]:
    """A page of a listing, and what goes into the answer when there are more."""
    chosen, marker = page(items, given.get("Marker"), given.get("PageSize", 400), fault="ValidationError")
    return chosen, {"NextMarker": marker} if marker else {}


def zones(state: State, balancer: LoadBalancer) -> list[Shape]:
    known = state.neighbours.subnets()
    return [
        {"ZoneName": known[subnet][1] if subnet in known else "", "SubnetId": subnet, "LoadBalancerAddresses": []}
        for subnet in balancer.subnets
    ]


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


def _subnets(state: State, given: Shape) -> tuple[tuple[str, ...], str]:
    plain, mapped = given.get("Subnets") or [], given.get("SubnetMappings") or []
    if plain and mapped:
        raise Refusal("ValidationError", "Subnets and subnet mappings cannot be specified at the same time")
    for mapping in mapped:
        if set(mapping) - {"SubnetId"}:
            raise Refusal(
                "InvalidConfigurationRequest", "Addresses cannot be specified for load balancers of type 'application'"
            )
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
    if len(subnets) < 2:
        raise Refusal("ValidationError", "At least two subnets in two different Availability Zones must be specified")
    vpcs = {known[subnet][0] for subnet in subnets}
    if len(vpcs) > 1:
        raise Refusal(
            "InvalidConfigurationRequest", f"All subnets must belong to the same VPC: '{', '.join(sorted(vpcs))}'"
        )
    return subnets, vpcs.pop()


def _security_groups(state: State, vpc: str, given: Sequence[str] | None) -> tuple[str, ...]:
    known = state.neighbours.security_groups()
    if not given:
        return tuple(group for group, (owner, name) in known.items() if owner == vpc and name == "default")
    if any(group not in known or known[group][0] != vpc for group in given):
        raise Refusal("InvalidConfigurationRequest", "One or more security groups are invalid")
    return tuple(dict.fromkeys(given))


def _check_ipam_pool(pool: str, scheme: str) -> None:
    if pool and scheme == "internal":
        raise Refusal(
            "InvalidConfigurationRequest", "IPAM pools can be specified for internet-facing load balancers only"
        )


def _ip_address_type(family: str, scheme: str) -> str:
    if scheme == "internal" and family == "dualstack-without-public-ipv4":
        raise Refusal(
            "InvalidConfigurationRequest",
            "The IP address type 'dualstack-without-public-ipv4' is supported for internet-facing load balancers only",
        )
    return family
