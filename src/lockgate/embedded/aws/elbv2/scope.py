"""The resources that a call affected, so that clients need not read all of ELBv2 again after each call."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.embedded.aws.protocol import Call, Result

_NAMING = ("LoadBalancerArn", "ListenerArn", "RuleArn", "TargetGroupArn")


def touched(call: Call, result: Result) -> frozenset[str]:
    """ARNs of the load balancers and target groups that a call affected. Empty if they cannot be determined.

    Listeners and rules count as part of their load balancer.
    """
    named = list(_named(call, result))
    owners = [_owner(arn) for arn in named]
    return frozenset() if None in owners else frozenset(owner for owner in owners if owner)


def _named(call: Call, result: Result) -> Iterator[str]:
    given = call.parameters
    yield from (given[name] for name in _NAMING if name in given)
    yield from given.get("ResourceArns", ())
    yield from (pair.get("RuleArn", "") for pair in given.get("RulePriorities", ()))
    match call.operation:
        case "CreateLoadBalancer":
            yield from (made["LoadBalancerArn"] for made in result["LoadBalancers"])
        case "CreateTargetGroup":
            yield from (made["TargetGroupArn"] for made in result["TargetGroups"])


def _owner(arn: str) -> str | None:
    """``…:listener/app/NAME/ID/…`` is part of ``…:loadbalancer/app/NAME/ID``."""
    account, _, path = arn.rpartition(":")
    parts = path.split("/")
    match parts[0]:
        case "loadbalancer" | "targetgroup":
            return arn
        case "listener" | "listener-rule" if len(parts) > 3:
            return f"{account}:{'/'.join(['loadbalancer', *parts[1:4]])}"
        case _:
            return None
