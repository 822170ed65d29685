"""Capacity reservations of load balancers: stored, checked and returned, without any effect here.

Source: user guides for Application and Network Load Balancers, "Capacity reservations". The latter has no figures.
"""

from __future__ import annotations

from typing import Any

from lockgate.embedded.aws.elbv2.load_balancers import zones
from lockgate.embedded.aws.elbv2.state import Shape, State
from lockgate.embedded.aws.elbv2.types import APPLICATION
from lockgate.embedded.aws.protocol import Refusal, Result

FEWEST = 100  # units
MOST = 1500  # per Availability Zone
DECREASES = 2  # per day, in UTC


def describe(state: State, given: Shape) -> Result:
    balancer = state.load_balancer(given["LoadBalancerArn"])
    today = state.now().date()
    left = DECREASES - balancer.capacity_decreases.count(today)
    answer: dict[str, Any] = {"DecreaseRequestsRemaining": left, "CapacityReservationState": []}
    if balancer.capacity_units is not None:
        answer["LastModifiedTime"] = balancer.capacity_changed
        answer["MinimumLoadBalancerCapacity"] = {"CapacityUnits": balancer.capacity_units}
        answer["CapacityReservationState"] = [
            {
                "State": {"Code": "provisioned"},
                "AvailabilityZone": zone["ZoneName"],
                "EffectiveCapacityUnits": balancer.capacity_units / len(balancer.subnets),
            }
            for zone in zones(state, balancer)
        ]
    return answer


def modify(state: State, given: Shape) -> Result:
    balancer = state.load_balancer(given["LoadBalancerArn"])
    application = balancer.type is APPLICATION
    if not application and any(each.protocol == "TLS" for each in state.listeners_of(balancer.arn)):
        raise Refusal("OperationNotPermitted", "Capacity cannot be reserved for load balancers with TLS listeners")
    units = given.get("MinimumLoadBalancerCapacity", {}).get("CapacityUnits")
    reset = given.get("ResetCapacityReservation", False)
    most = MOST * len(balancer.subnets)
    if reset == (units is not None):
        raise Refusal("ValidationError", "You must specify either the minimum capacity or its reset")
    if application and units is not None and units < FEWEST:
        raise Refusal("ValidationError", f"Capacity units '{units}' must be greater than or equal to '{FEWEST}'")
    if application and units is not None and units > most:
        raise Refusal("CapacityUnitsLimitExceeded", f"Capacity units '{units}' exceed the limit of '{most}'")
    if units is not None and units < (balancer.capacity_units or 0):
        today = state.now().date()
        if balancer.capacity_decreases.count(today) >= DECREASES:
            raise Refusal(
                "CapacityDecreaseRequestLimitExceeded",
                "You've exceeded the daily capacity decrease limit for this reservation",
            )
        balancer.capacity_decreases = (*(day for day in balancer.capacity_decreases if day == today), today)
    balancer.capacity_units = units
    balancer.capacity_changed = state.now()
    return describe(state, given)
