"""Registered targets, by ID and port, and their last reported health."""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta

from lockgate.embedded.aws.elbv2.state import Shape, State, Target, TargetGroup
from lockgate.embedded.aws.protocol import Refusal, Result
from lockgate.loadbalancer import quotas

# Ranges of ip targets outside the VPC (API reference, RegisterTargets).
RANGES = tuple(
    map(
        ipaddress.ip_network,
        ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16"),
    )
)


def register(state: State, given: Shape) -> Result:
    group = state.target_group(given["TargetGroupArn"])
    _drop_drained(state, group)
    targets = [_target(state, group, item) for item in given["Targets"]]
    keys = {(target.id, target.port) for target in targets}
    if len(keys | set(group.targets)) > state.quotas[quotas.TARGETS]:
        raise Refusal("TooManyTargets", "You've reached the limit on the number of targets")
    kind = group.settings["TargetType"]
    staying = {key for key, target in group.targets.items() if target.drains_until is None}
    if kind in ("lambda", "alb") and len(keys | staying) > 1:
        raise Refusal("TooManyTargets", f"A target group with target type '{kind}' can have one target")
    for target in targets:
        known = group.targets.get((target.id, target.port))
        if known is None or known.drains_until is not None:
            group.targets[target.id, target.port] = target
    return {}


def deregister(state: State, given: Shape) -> Result:
    """Ignores targets that are not registered. If the group is in use, targets drain for the whole delay."""
    group = state.target_group(given["TargetGroupArn"])
    delay = int(group.attributes.get("deregistration_delay.timeout_seconds", "0"))
    in_use = bool(state.load_balancers_of(group.arn))
    for item in given["Targets"]:
        key = (item["Id"], item.get("Port", group.settings.get("Port")))
        target = group.targets.get(key)
        if target is None:
            continue
        if not in_use or delay == 0:
            del group.targets[key]
        elif target.drains_until is None:
            target.drains_until = state.now() + timedelta(seconds=delay)
    return {}


def describe_health(state: State, given: Shape) -> Result:
    group = state.target_group(given["TargetGroupArn"])
    _drop_drained(state, group)
    in_use = bool(state.load_balancers_of(group.arn))
    if given.get("Targets"):
        found = []
        for item in given["Targets"]:
            port = item.get("Port", group.settings.get("Port"))
            found.append(group.targets.get((item["Id"], port)) or _unregistered(item["Id"], port))
    else:
        found = list(group.targets.values())
    return {"TargetHealthDescriptions": [_shown(group, target, in_use) for target in found]}


def report(state: State, arn: str, target_id: str, port: int, health: str, reason: str, description: str) -> None:
    """Records a health check. Unregistered targets are ignored. ``Target.NotRegistered`` ends a target's draining."""
    group = state.target_groups.get(arn)
    key = (target_id, None if group and group.settings["TargetType"] == "lambda" else port)
    target = group.targets.get(key) if group else None
    if group is None or target is None:
        return
    if target.drains_until is not None:
        if reason == "Target.NotRegistered":
            del group.targets[key]
    else:
        target.state, target.reason, target.description = health, reason, description


def _target(state: State, group: TargetGroup, given: Shape) -> Target:
    identity, kind, port = given["Id"], group.settings["TargetType"], given.get("Port")
    zone = given.get("AvailabilityZone")
    if kind == "lambda":
        if not re.fullmatch(r"arn:[\w-]+:lambda:[\w-]+:\d{12}:function:[\w:-]+", identity):
            raise Refusal("ValidationError", f"'{identity}' is not a valid Lambda function ARN")
        if port is not None:
            raise Refusal("ValidationError", "A port cannot be specified for targets of target type 'lambda'")
        return Target(identity, None, None)
    if kind == "alb":
        _check_load_balancer(state, group, identity, port or group.settings["Port"])
    elif kind == "instance":
        _check_instance(state, identity)
        if zone is not None:
            raise Refusal(
                "ValidationError",
                "You cannot specify an Availability Zone for a target in a target group with target type 'instance'",
            )
    else:
        _check_address(state, group, identity, port or group.settings["Port"], zone)
    return Target(identity, port or group.settings["Port"], zone)


def _check_instance(state: State, identity: str) -> None:
    if not re.fullmatch(r"i-[0-9a-f]{8}(?:[0-9a-f]{9})?", identity):
        raise Refusal("ValidationError", f"Instance ID '{identity}' is not valid")
    running = state.neighbours.instances().get(identity)
    if running is None:
        raise Refusal("InvalidTarget", f"The following targets do not exist: '{identity}'")
    if running != "running":
        raise Refusal(
            "InvalidTarget", f"The following targets are not in a running state and cannot be registered: '{identity}'"
        )


def _check_load_balancer(state: State, group: TargetGroup, identity: str, port: int) -> None:
    if not re.fullmatch(r"arn:[\w-]+:elasticloadbalancing:[\w-]+:\d{12}:loadbalancer/app/[\w-]+/[0-9a-f]+", identity):
        raise Refusal("ValidationError", f"'{identity}' is not a valid Application Load Balancer ARN")
    balancer = state.load_balancers.get(identity)
    if balancer is None:
        raise Refusal("InvalidTarget", f"The following targets do not exist: '{identity}'")
    if balancer.vpc_id != group.settings["VpcId"]:
        raise Refusal("InvalidTarget", f"The following targets are not in the VPC of the target group: '{identity}'")
    if all(listener.port != port for listener in state.listeners_of(identity)):
        raise Refusal(
            "ValidationError",
            "If the target type is ALB, the target must have at least one listener that matches the target group port "
            "or any specified port overrides",
        )


def _check_address(state: State, group: TargetGroup, identity: str, port: int, zone: str | None) -> None:
    """Pods' addresses count as in the VPC. Here they are loopback addresses. Other loopback addresses are refused,
    because other servers on this machine do not belong to the edge."""
    version = 6 if group.settings["IpAddressType"] == "ipv6" else 4
    try:
        address = ipaddress.ip_address(identity)
    except ValueError:
        address = None
    if address is None or address.version != version:
        raise Refusal("ValidationError", f"The IP address '{identity}' is not a valid IPv{version} address")
    blocks = state.neighbours.vpcs().get(group.settings["VpcId"], ())
    pod = address.is_loopback and state.neighbours.is_endpoint(identity, port)
    inside = pod or any(address in ipaddress.ip_network(block) for block in blocks)
    if not inside and not any(address in block for block in RANGES):
        raise Refusal(
            "ValidationError",
            f"The IP address '{identity}' must be in the VPC of the target group or in a private address range",
        )
    zones = {known for _, known in state.neighbours.subnets().values()} | {"all"}
    if zone is not None and zone not in zones:
        raise Refusal("ValidationError", f"'{zone}' is not a valid Availability Zone")
    if zone is None and not inside:
        raise Refusal(
            "ValidationError",
            f"The Availability Zone is required for IP address '{identity}' because it is not in the VPC",
        )
    if zone == "all" and (own := _zone_of(state, identity)) is not None:
        raise Refusal(
            "ValidationError",
            f"The IP address '{identity}' is within the VPC, and cannot have its Availability Zone overridden to 'all' "
            f"from '{own}'",
        )


def _zone_of(state: State, address: str) -> str | None:
    """The Availability Zone of the subnet that contains the address."""
    zones = state.neighbours.subnets()
    return next(
        (
            zones[subnet][1]
            for subnet, blocks in state.neighbours.subnet_blocks().items()
            if any(ipaddress.ip_address(address) in ipaddress.ip_network(block) for block in blocks)
        ),
        None,
    )


def _drop_drained(state: State, group: TargetGroup) -> None:
    now = state.now()
    for key, target in tuple(group.targets.items()):
        if target.drains_until is not None and target.drains_until <= now:
            del group.targets[key]


def _unregistered(identity: str, port: int | None) -> Target:
    text = "Target is not registered to the target group"
    return Target(identity, port, None, "unused", "Target.NotRegistered", text)


def _shown(group: TargetGroup, target: Target, in_use: bool) -> Shape:
    described: Shape = {"Id": target.id}
    if target.port is not None:
        described["Port"] = target.port
    if target.availability_zone:
        described["AvailabilityZone"] = target.availability_zone
    health = {"State": target.state, "Reason": target.reason, "Description": target.description}
    if target.reason == "Target.NotRegistered":
        pass
    elif target.drains_until is not None:
        health = {
            "State": "draining",
            "Reason": "Target.DeregistrationInProgress",
            "Description": "Target deregistration is in progress",
        }
    elif not in_use:
        health = {
            "State": "unused",
            "Reason": "Target.NotInUse",
            "Description": "Target group is not configured to receive traffic from the load balancer",
        }
    elif not group.settings["HealthCheckEnabled"]:
        health = {
            "State": "unavailable",
            "Reason": "Target.HealthCheckDisabled",
            "Description": "Health checks are disabled for this target",
        }
    answer: Shape = {"Target": described, "TargetHealth": {k: v for k, v in health.items() if v}}
    port = group.settings.get("HealthCheckPort")
    if target.port is not None:
        answer["HealthCheckPort"] = str(target.port) if port == "traffic-port" else port
    return answer
