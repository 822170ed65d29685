"""Selects a load balancer's subnets from those that EC2 has.

Source: aws-load-balancer-controller `pkg/networking/subnet_resolver.go`, `pkg/model/elbv2`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from lockgate.ingress.refusal import Refused
from lockgate.loadbalancer.model import EMPTY, IpAddressType

Locale: TypeAlias = Literal["availability-zone", "local-zone", "wavelength-zone", "outpost"]

MINIMUM_ADDRESSES: Final = 8
_CLUSTER_TAG: Final = "kubernetes.io/cluster"


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet of the VPC. `public` means that its route table has a route to an internet gateway."""

    id: str
    zone: str
    tags: Mapping[str, str] = EMPTY
    free_addresses: int = 251
    has_ipv6: bool = False
    locale: Locale = "availability-zone"
    public: bool = True
    blocks: tuple[str, ...] = ()
    """Its CIDRs, of both families."""


@dataclass(frozen=True, slots=True)
class Demand:
    cluster: str
    scheme: str
    family: IpAddressType = "ipv4"
    cluster_tags: bool = True
    """The cluster's name: subnets that are tagged for other clusters are not used."""
    by_reachability: bool = True
    free_addresses: int = MINIMUM_ADDRESSES
    single: bool = False
    """One subnet is enough, as for a Network Load Balancer, or for accounts with that feature enabled."""

    @property
    def dualstack(self) -> bool:
        return self.family != "ipv4"


def named_subnets(names: Sequence[str], subnets: Sequence[Subnet], demand: Demand) -> tuple[str, ...]:
    """Subnets that a user lists by ID or Name tag, in that order. Raises `Refused`."""
    try:
        chosen = _find(names, subnets)
    except Refused as refused:
        raise Refused(f"failed to list subnets by names or IDs: {refused.message}") from None
    if not chosen:
        raise Refused("unable to resolve at least one subnet")
    _one_per_zone(chosen)
    _fits(chosen, demand)
    if demand.dualstack and (lacking := [subnet.id for subnet in chosen if not subnet.has_ipv6]):
        raise Refused(
            f"subnets {_show(lacking)} do not have an associated IPv6 CIDR block, "
            f"which is required for {demand.family} load balancers"
        )
    return tuple(subnet.id for subnet in chosen)


def tagged_subnets(tags: Mapping[str, Sequence[str]], subnets: Iterable[Subnet], demand: Demand) -> tuple[str, ...]:
    """Subnets with one of the values of every tag, by the rules of discovery."""
    candidates = [
        subnet
        for subnet in subnets
        if all(key in subnet.tags and (not values or subnet.tags[key] in values) for key, values in tags.items())
    ]
    return _choose(candidates, demand)


def discovered_subnets(subnets: Sequence[Subnet], demand: Demand) -> tuple[str, ...]:
    """Subnets with the scheme's role tag or, if there are none, subnets that the scheme's traffic can reach."""
    public = demand.scheme == "internet-facing"
    role = "kubernetes.io/role/elb" if public else "kubernetes.io/role/internal-elb"
    candidates = [subnet for subnet in subnets if subnet.tags.get(role) in ("", "1")]
    if not candidates and demand.by_reachability:
        candidates = [subnet for subnet in subnets if subnet.public == public]
    try:
        return _choose(candidates, demand)
    except Refused as refused:
        raise Refused(f"couldn't auto-discover subnets: {refused.message}") from None


def _choose(candidates: Sequence[Subnet], demand: Demand) -> tuple[str, ...]:
    """The best subnet of each zone, sorted by ID."""
    own = f"{_CLUSTER_TAG}/{demand.cluster}"
    foreign = [subnet for subnet in candidates if demand.cluster_tags and _for_others(subnet, own)]
    rest = [subnet for subnet in candidates if subnet not in foreign]
    full = [subnet for subnet in rest if subnet.free_addresses < demand.free_addresses]
    rest = [subnet for subnet in rest if subnet.free_addresses >= demand.free_addresses]
    without_ipv6 = [subnet for subnet in rest if demand.dualstack and not subnet.has_ipv6]
    rest = [subnet for subnet in rest if not demand.dualstack or subnet.has_ipv6]
    if not rest:
        counted = f"Evaluated {len(candidates)} subnets: {len(foreign)} are tagged for other clusters"
        if demand.dualstack:
            raise Refused(
                f"unable to resolve at least one subnet. {counted}, {len(full)} have insufficient available IP "
                f"addresses, and {len(without_ipv6)} don't have an associated IPv6 CIDR block, which is required for "
                f"{demand.family} load balancers"
            )
        raise Refused(
            f"unable to resolve at least one subnet. {counted}, and {len(full)} have insufficient available IP "
            "addresses"
        )
    best: dict[str, Subnet] = {}
    for subnet in sorted(rest, key=lambda subnet: (own not in subnet.tags, subnet.id)):
        best.setdefault(subnet.zone, subnet)
    chosen = sorted(best.values(), key=lambda subnet: subnet.id)
    _fits(chosen, demand)
    return tuple(subnet.id for subnet in chosen)


def _for_others(subnet: Subnet, own: str) -> bool:
    return own not in subnet.tags and any(key.startswith(_CLUSTER_TAG) for key in subnet.tags)


def _find(names: Sequence[str], subnets: Sequence[Subnet]) -> list[Subnet]:
    by_id = {subnet.id: subnet for subnet in subnets}
    by_name: defaultdict[str, list[Subnet]] = defaultdict(list)
    for subnet in sorted(subnets, key=lambda subnet: subnet.id):
        by_name[subnet.tags.get("Name", "")].append(subnet)
    ids = [name for name in names if name.startswith("subnet-")]
    found = [identifier for identifier in dict.fromkeys(ids) if identifier in by_id]
    if len(found) < len(ids):  # an ID twice counts as missing
        raise Refused(f"couldn't find all subnets, want: {_show(ids)}, found: {_show(found)}")
    if missing := [name for name in names if name not in ids and name not in by_name]:
        raise Refused(f"couldn't find all subnets, missing names: {_show(missing)}")
    taken: Counter[str] = Counter()
    chosen: list[Subnet] = []
    for name in names:
        if name.startswith("subnet-"):
            chosen.append(by_id[name])
            continue
        if taken[name] >= len(by_name[name]):
            raise Refused(
                f'subnet with Name tag "{name}" requested {names.count(name)} times but only {len(by_name[name])} '
                "subnet(s) found with that name"
            )
        chosen.append(by_name[name][taken[name]])
        taken[name] += 1
    return chosen


def _one_per_zone(chosen: Sequence[Subnet]) -> None:
    zones: defaultdict[str, list[str]] = defaultdict(list)
    for subnet in chosen:
        zones[subnet.zone].append(subnet.id)
    for zone, ids in sorted(zones.items()):
        if len(ids) > 1:
            raise Refused(f"multiple subnets in same Availability Zone {zone}: {_show(ids)}")


def _fits(chosen: Sequence[Subnet], demand: Demand) -> None:
    locales = sorted({subnet.locale for subnet in chosen})
    if len(locales) > 1:
        raise Refused(f"subnets in multiple locales: {_show(locales)}")
    # The minimum of two is for availability zones only: an ALB may have a single local zone or Outpost.
    minimum = 2 if locales == ["availability-zone"] and not demand.single else 1
    if len(chosen) < minimum:
        raise Refused(f"subnets count less than minimal required count: {len(chosen)} < {minimum}")


def _show(items: Iterable[str]) -> str:
    return f"[{' '.join(items)}]"
