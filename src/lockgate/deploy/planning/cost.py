"""What an edge costs a month: list prices of us-east-1 in US dollars, without traffic.

The figures are those of AWS's price pages "Elastic Load Balancing", "Route 53", "WAF" and "VPC" as other sites quoted
them in 2026, so they are an estimate. Other regions cost up to a third more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from lockgate.deploy.planning.seen import GroupSeen
from lockgate.ingress.stack import Stack
from lockgate.loadbalancer.network import AnyLoadBalancer

AS_OF: Final = "2026"
_HOURS: Final = 730
_LOAD_BALANCER: Final = 0.0225  # an hour
_CAPACITY_UNIT: Final = 0.008  # an hour
_NETWORK_UNIT: Final = 0.006  # an hour
_ADDRESS: Final = 0.005  # an hour
_ZONE: Final = 0.50
_WEB_ACL: Final = 5.00


@dataclass(frozen=True, slots=True)
class Cost:
    """Dollars a month. `why` is the calculation."""

    what: str
    dollars: float
    why: str


def costs(stacks: Iterable[Stack], new_zones: Iterable[str]) -> Iterator[Cost]:
    for stack in stacks:
        for balancer in (stack.load_balancer, stack.network):
            if balancer is not None:
                yield from _balancer(balancer)
        if units := stack.capacity_units or 0:
            price = _CAPACITY_UNIT if stack.load_balancer is not None else _NETWORK_UNIT
            yield Cost(f"{units} reserved capacity units", _HOURS * units * price, f"{units} × ${price} an hour")
        if stack.web_acl is not None and stack.web_acl.arn:
            yield Cost("web ACL", _WEB_ACL, f"${_WEB_ACL:.2f}, plus $1 a rule")
    for zone in new_zones:
        yield Cost(f"hosted zone {zone.rstrip('.')}", _ZONE, f"${_ZONE:.2f} each for the first 25")


def saved(groups: Iterable[GroupSeen]) -> Iterator[Cost]:
    """What load balancers cost that the controller deletes."""
    for group in groups:
        for balancer in group.deleted:
            yield from _balancer(balancer)


def _balancer(balancer: AnyLoadBalancer) -> Iterator[Cost]:
    yield Cost(f"load balancer {balancer.name}", _HOURS * _LOAD_BALANCER, f"{_HOURS} h × ${_LOAD_BALANCER}")
    if balancer.scheme == "internet-facing" and (zones := len(balancer.subnets)):
        yield Cost(f"{zones} public IPv4 addresses", zones * _HOURS * _ADDRESS, f"one per zone × ${_ADDRESS} an hour")
