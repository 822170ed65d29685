"""Target groups: protocol, health check, attributes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lockgate.embedded.aws.elbv2 import attributes, tags
from lockgate.embedded.aws.elbv2.load_balancers import paged
from lockgate.embedded.aws.elbv2.state import Shape, State, TargetGroup, target_groups
from lockgate.embedded.aws.protocol import Refusal, Result
from lockgate.loadbalancer import quotas
from lockgate.loadbalancer.network import PROTOCOLS as NETWORK_PROTOCOLS

PROTOCOLS = ("HTTP", "HTTPS", *NETWORK_PROTOCOLS)
VERSIONS = ("HTTP1", "HTTP2", "GRPC")


def create(state: State, given: Shape, arn: str = "") -> Result:
    """`arn` is the one that it must have, empty where any will do."""
    _check_name(given["Name"])
    settings = _settings(state, given)
    made_of_tags = tags.read(given.get("Tags", ()))
    for known in state.target_groups.values():
        if known.name == given["Name"]:
            if known.settings != settings:
                raise Refusal(
                    "DuplicateTargetGroupName",
                    f"A target group with the same name '{known.name}' exists, but with different settings",
                )
            return {"TargetGroups": [shown(state, known)]}
    if len(state.target_groups) >= state.quotas[quotas.TARGET_GROUPS]:
        raise Refusal("TooManyTargetGroups", "You've reached the limit on the number of target groups")
    path = f"targetgroup/{given['Name']}"
    arn = arn or state.arn(f"{path}/{state.new_id(path)}")
    made = TargetGroup(arn, settings, attributes.defaults(_table(settings)), made_of_tags)
    state.target_groups[arn] = made
    return {"TargetGroups": [shown(state, made)]}


def describe(state: State, given: Shape) -> Result:
    arns, names, balancer = given.get("TargetGroupArns"), given.get("Names"), given.get("LoadBalancerArn")
    if sum(map(bool, (arns, names, balancer))) > 1:
        raise Refusal(
            "ValidationError",
            "Target group names, target group ARNs, and a load balancer ARN cannot be specified together",
        )
    if arns:
        found = [state.target_group(arn) for arn in arns]
    elif names:
        found = [group for group in state.target_groups.values() if group.name in names]
        if set(names) - {group.name for group in found}:
            raise Refusal("TargetGroupNotFound", "One or more target groups not found")
    elif balancer:
        used = state.target_groups_of(state.load_balancer(balancer).arn)
        found = [group for arn, group in state.target_groups.items() if arn in used]
    else:
        found = list(state.target_groups.values())
    items, marker = paged(found, given)
    return {"TargetGroups": [shown(state, group) for group in items], **marker}


def modify(state: State, given: Shape) -> Result:
    group = state.target_group(given["TargetGroupArn"])
    changes = {key: value for key, value in given.items() if key != "TargetGroupArn"}
    settings = _with_health(group.settings, changes)
    _check_health(settings)
    group.settings = settings
    return {"TargetGroups": [shown(state, group)]}


def delete(state: State, given: Shape) -> Result:
    """Succeeds if the target group does not exist."""
    arn = given["TargetGroupArn"]
    if arn in state.target_groups and state.load_balancers_of(arn):
        raise Refusal("ResourceInUse", f"Target group '{arn}' is currently in use by a listener or a rule")
    state.target_groups.pop(arn, None)
    return {}


def describe_attributes(state: State, given: Shape) -> Result:
    return {"Attributes": attributes.shown(state.target_group(given["TargetGroupArn"]).attributes)}


def modify_attributes(state: State, given: Shape) -> Result:
    group = state.target_group(given["TargetGroupArn"])
    settings = attributes.changed(_table(group.settings), group.attributes, given["Attributes"], "Target group")
    _check_attributes(settings)
    if settings["stickiness.enabled"] == "true" and _behind_loose_rule(state, group.arn):
        raise Refusal(
            "InvalidConfigurationRequest",
            "This target group appears behind a rule with group stickiness disabled",
        )
    group.attributes = settings
    return {"Attributes": attributes.shown(settings)}


def shown(state: State, group: TargetGroup) -> Shape:
    return {"TargetGroupArn": group.arn, **group.settings, "LoadBalancerArns": state.load_balancers_of(group.arn)}


def _table(settings: Shape) -> Mapping[str, attributes.Attribute]:
    return attributes.of_target_group(settings.get("Protocol"), settings["TargetType"])


def _check_name(name: str) -> None:
    if len(name) > 32:
        raise Refusal("ValidationError", f"Target group name '{name}' cannot be longer than '32' characters")
    if not re.fullmatch(r"[A-Za-z0-9-]+", name):
        raise Refusal(
            "ValidationError",
            f"Target group name '{name}' can only contain characters that are alphanumeric characters or hyphens(-)",
        )
    if name.startswith("-") or name.endswith("-"):
        raise Refusal("ValidationError", f"Target group name '{name}' cannot begin or end with a hyphen(-)")


def _settings(state: State, given: Shape) -> Shape:
    kind = given.get("TargetType", "instance")
    settings: Shape = {"TargetGroupName": given["Name"], "TargetType": kind, "IpAddressType": "ipv4"}
    if kind == "lambda":
        for name in ("Port", "Protocol", "VpcId", "ProtocolVersion"):
            if name in given:
                raise Refusal(
                    "ValidationError", f"{name} cannot be specified for target groups with target type 'lambda'"
                )
        health = {"HealthCheckEnabled": False, "HealthCheckIntervalSeconds": 35, "HealthCheckTimeoutSeconds": 30}
        health |= {"HealthyThresholdCount": 5, "UnhealthyThresholdCount": 5}
        settings |= health | {"HealthCheckPath": "/", "Matcher": {"HttpCode": "200"}}
    else:
        settings |= _network(state, given, kind)
        settings |= {
            "HealthCheckProtocol": "TCP" if settings["Protocol"] in NETWORK_PROTOCOLS and kind != "alb" else "HTTP",
            "HealthCheckPort": "traffic-port",
            "HealthCheckEnabled": True,
            "HealthCheckIntervalSeconds": 30,
            "HealthyThresholdCount": 5,
            "UnhealthyThresholdCount": 2,
        }
    for name in ("IpAddressType", "TargetControlPort"):
        if name in given:
            settings[name] = given[name]
    checks = ("UnhealthyThresholdCount", "Matcher", *(key for key in given if key.startswith("Health")))
    settings = _with_health(settings, {name: given[name] for name in checks if given.get(name) is not None})
    _check_health(settings)
    return settings


def _with_health(settings: Shape, given: Shape) -> Shape:
    """`settings`, updated with the given health check and its protocol's defaults. Raises `Refusal`."""
    settings = settings | {key: value for key, value in given.items() if value != {}}
    network = settings.get("Protocol") in NETWORK_PROTOCOLS
    if settings.get("HealthCheckProtocol") == "TCP" and network:
        for name, called in (("HealthCheckPath", "paths"), ("Matcher", "matchers")):
            if given.get(name):
                raise Refusal("ValidationError", f"Health check {called} are not supported for TCP health checks")
        left = {key: value for key, value in settings.items() if key not in ("HealthCheckPath", "Matcher")}
        return {"HealthCheckTimeoutSeconds": 10} | left
    grpc = settings.get("ProtocolVersion") == "GRPC"
    return {
        "HealthCheckTimeoutSeconds": 6 if network else 5,
        "HealthCheckPath": "/AWS.ALB/healthcheck" if grpc else "/",
        "Matcher": {"GrpcCode": "12"} if grpc else {"HttpCode": "200-399" if network else "200"},
    } | settings


def _network(state: State, given: Shape, kind: str) -> Shape:
    for name, called in (("Protocol", "protocol"), ("Port", "port"), ("VpcId", "VPC ID")):
        if name not in given:
            raise Refusal("ValidationError", f"A {called} must be specified")
    protocol = given["Protocol"]
    if protocol not in PROTOCOLS:
        raise Refusal(
            "OperationNotPermitted",
            f"Target groups with the protocol '{protocol}' are not served here, only those with "
            f"'{', '.join(PROTOCOLS)}'",
        )
    if kind == "alb" and protocol != "TCP":
        raise Refusal(
            "ValidationError",
            f"Protocol '{protocol}' is not supported for target groups with target type 'alb'; it must be 'TCP'",
        )
    if given["VpcId"] not in state.neighbours.vpcs():
        raise Refusal("ValidationError", f"The VPC ID '{given['VpcId']}' is not found")
    place = {"Protocol": protocol, "Port": given["Port"], "VpcId": given["VpcId"]}
    if protocol in NETWORK_PROTOCOLS:
        if "ProtocolVersion" in given:
            raise Refusal(
                "ValidationError",
                f"A protocol version cannot be specified for target groups with the protocol '{protocol}'",
            )
        return place
    version = given.get("ProtocolVersion", "HTTP1")
    if version not in VERSIONS:
        raise Refusal("ValidationError", f"Protocol version '{version}' must be one of '{', '.join(VERSIONS)}'")
    return place | {"ProtocolVersion": version}


def _check_health(settings: Shape) -> None:
    kind = settings["TargetType"]
    if kind != "lambda" and not settings["HealthCheckEnabled"]:
        raise Refusal(
            "ValidationError", f"Health checks cannot be disabled for target groups with target type '{kind}'"
        )
    network = settings.get("Protocol") in NETWORK_PROTOCOLS
    protocol = settings.get("HealthCheckProtocol", "HTTP")
    allowed = ("HTTPS", "HTTP", "TCP") if network and kind != "alb" else ("HTTPS", "HTTP")
    if protocol not in allowed:
        raise Refusal("ValidationError", f"Health check protocol '{protocol}' must be one of '{', '.join(allowed)}'")
    port = settings.get("HealthCheckPort", "traffic-port")
    if not attributes.whole(1, 65535, "traffic-port")(port):
        raise Refusal(
            "ValidationError", f"Health check port '{port}' must be 'traffic-port' or between '1' and '65535'"
        )
    interval, timeout = settings["HealthCheckIntervalSeconds"], settings["HealthCheckTimeoutSeconds"]
    if timeout > interval or (timeout == interval and not network):
        least = "greater than or equal to" if network else "greater than"
        raise Refusal("ValidationError", f"Health check interval must be {least} the timeout.")
    if protocol != "TCP":
        _check_answer(settings, network)


def _check_answer(settings: Shape, network: bool) -> None:
    path = settings["HealthCheckPath"]
    if not re.fullmatch(r"/[\x21-\x7e]*", path):
        raise Refusal(
            "ValidationError",
            f"Health check path '{path}' must begin with a '/' character, and can only contain printable ASCII "
            "characters, without spaces",
        )
    grpc = settings.get("ProtocolVersion") == "GRPC"
    matcher = settings["Matcher"]
    code, low, high = ("GrpcCode", 0, 99) if grpc else ("HttpCode", 200, 599 if network else 499)
    if set(matcher) != {code}:
        raise Refusal(
            "ValidationError", f"The health check matcher of this target group must have '{code}' and no other"
        )
    if not _codes(matcher[code], low, high):
        raise Refusal(
            "ValidationError", f"Health check matcher {code} '{matcher[code]}' must be within '{low}-{high}' inclusive"
        )


def _codes(text: str, low: int, high: int) -> bool:
    """Parses ``200``, ``200,202`` or ``200-299``."""
    if not re.fullmatch(r"\d{1,3}(-\d{1,3})?(,\d{1,3}(-\d{1,3})?)*", text):
        return False
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not low <= int(first) <= int(last or first) <= high:
            return False
    return True


def _check_attributes(settings: Mapping[str, str]) -> None:
    algorithm = settings.get("load_balancing.algorithm.type", "round_robin")
    if settings.get("slow_start.duration_seconds", "0") != "0" and algorithm != "round_robin":
        raise Refusal("InvalidConfigurationRequest", f"Slow start cannot be used with the algorithm '{algorithm}'")
    if settings.get("load_balancing.algorithm.anomaly_mitigation") == "on" and algorithm != "weighted_random":
        raise Refusal(
            "InvalidConfigurationRequest", "Anomaly mitigation can be used with the algorithm 'weighted_random' only"
        )
    if settings["stickiness.enabled"] == "true":
        if settings["load_balancing.cross_zone.enabled"] == "false":
            raise Refusal(
                "InvalidConfigurationRequest", "Stickiness cannot be used when cross-zone load balancing is off"
            )
        if settings.get("stickiness.type") == "app_cookie" and not settings["stickiness.app_cookie.cookie_name"]:
            raise Refusal(
                "InvalidConfigurationRequest", "The cookie name must be specified for stickiness of type 'app_cookie'"
            )


def _behind_loose_rule(state: State, arn: str) -> bool:
    for balancer in state.load_balancers_of(arn):
        for action in state.actions_of(balancer):
            groups = target_groups(action)
            if len(groups) > 1 and arn in groups:
                sticky = action["ForwardConfig"]["TargetGroupStickinessConfig"]["Enabled"]
                if not sticky:
                    return True
    return False
