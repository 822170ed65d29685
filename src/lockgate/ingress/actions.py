"""Parses ``actions.*`` annotations: JSON to actions.

Source: aws-load-balancer-controller `pkg/ingress/enhanced_backend_types.go`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from lockgate.ingress.annotations.json_values import Fields, Node
from lockgate.ingress.annotations.values import read_int_or_text
from lockgate.ingress.refusal import Refused
from lockgate.loadbalancer.model import (
    FixedResponse,
    Redirect,
)


@dataclass(frozen=True, slots=True)
class ToService:
    service: str
    port: int | str
    weight: int = 1


@dataclass(frozen=True, slots=True)
class ToArn:
    arn: str
    weight: int = 1


@dataclass(frozen=True, slots=True)
class ToName:
    """A target group by its name, which must exist."""

    name: str
    weight: int = 1


Destination: TypeAlias = ToService | ToArn | ToName


@dataclass(frozen=True, slots=True)
class ForwardTo:
    targets: tuple[Destination, ...]
    stickiness_seconds: int | None = None


BackendAction: TypeAlias = ForwardTo | Redirect | FixedResponse


def read_action(root: Node) -> BackendAction:
    fields = root.object("Action")
    match fields["type"].string() or "":
        case "forward":
            return _forward(fields)
        case "redirect":
            return _redirect(fields)
        case "fixed-response":
            return _fixed_response(fields)
        case unknown:
            raise Refused(f"unknown action type: {unknown}")


def _forward(fields: Fields) -> ForwardTo:
    arn, name = fields["targetGroupARN"].string(), fields["targetGroupName"].string()
    if arn is not None or name is not None:
        if not fields["forwardConfig"].is_null:
            raise Refused("either ForwardConfig or TargetGroupARN/TargetGroupName can be specified")
        return ForwardTo((ToArn(arn) if arn is not None else ToName(name or ""),))
    if fields["forwardConfig"].is_null:
        raise Refused("missing ForwardConfig or TargetGroupARN/TargetGroupName")
    config = fields["forwardConfig"].object("ForwardActionConfig")
    entries = [node.object("TargetGroupTuple") for node in config["targetGroups"].items("[]ingress.TargetGroupTuple")]
    if len(entries) > 1 and any(entry["weight"].is_null for entry in entries):
        raise Refused("invalid ForwardConfig: weight must be set when route to multiple target groups")
    return ForwardTo(tuple(_tuple(entry) for entry in entries), _stickiness(config["targetGroupStickinessConfig"]))


def _tuple(fields: Fields) -> Destination:
    arn, name = fields["targetGroupARN"].string(), fields["targetGroupName"].string()
    service = fields["serviceName"].string()
    given = fields["weight"].integer()
    weight = 1 if given is None else given
    prefix = "invalid ForwardConfig: invalid TargetGroupTuple: "
    if arn is None and name is None and service is None:
        raise Refused(prefix + "missing serviceName or targetGroupARN/targetGroupName")
    if service is None:
        return ToArn(arn, weight) if arn is not None else ToName(name or "", weight)
    if arn is not None or name is not None:
        raise Refused(prefix + "either serviceName or targetGroupARN/targetGroupName can be specified")
    port = fields["servicePort"].int_or_string()
    if port is None:
        raise Refused(prefix + "missing servicePort")
    # A port's name cannot be all digits: "80" is 80.
    return ToService(service, read_int_or_text(port) if isinstance(port, str) else port, weight)


def _stickiness(node: Node) -> int | None:
    if node.is_null:
        return None
    config = node.object("TargetGroupStickinessConfig")
    if not config["enabled"].boolean():
        return None
    return config["durationSeconds"].integer() or 0  # ELBv2 refuses 0 with its own message


def _redirect(fields: Fields) -> Redirect:
    if fields["redirectConfig"].is_null:
        raise Refused("missing RedirectConfig")
    config = fields["redirectConfig"].object("RedirectActionConfig")
    code = config["statusCode"].string()
    if not code:
        raise Refused("invalid RedirectConfig: statusCode is required")
    given = {name: config[name].string() for name in ("protocol", "host", "port", "path", "query")}
    texts: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return Redirect(status_code=_as_written(code), **texts)


def _fixed_response(fields: Fields) -> FixedResponse:
    if fields["fixedResponseConfig"].is_null:
        raise Refused("missing FixedResponseConfig")
    config = fields["fixedResponseConfig"].object("FixedResponseActionConfig")
    code = config["statusCode"].string()
    if not code:
        raise Refused("invalid FixedResponseConfig: statusCode is required")
    return FixedResponse(code, config["contentType"].string(), config["messageBody"].string())


def _as_written(text: str) -> Any:
    """Values that the controller passes on unchecked; ELBv2 refuses those it does not support."""
    return text
