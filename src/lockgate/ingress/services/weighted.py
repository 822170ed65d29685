"""Weighted target groups of a Service's listener: ``actions.TCP-80`` shares its connections with other Services.

Source: aws-load-balancer-controller `pkg/service/config_types.go`, `enhanced_backend_builder.go`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lockgate.ingress.actions import ToArn, ToService
from lockgate.ingress.annotations import services as a
from lockgate.ingress.annotations.json_values import Fields, Node
from lockgate.ingress.annotations.values import read_int_or_text
from lockgate.ingress.refusal import Refused, about
from lockgate.resources import core
from lockgate.resources.faults import Origin

_MOST: Final = 999
_STEM: Final = a.WEIGHTED.of("").key


@dataclass(frozen=True, slots=True)
class Share:
    """Another target group. `decrypted` means that it gets what a TLS listener decrypted."""

    destination: ToService | ToArn
    decrypted: bool = False


@dataclass(frozen=True, slots=True)
class Weighted:
    """`base` is the weight of the Service that has the load balancer."""

    base: int
    shares: tuple[Share, ...]


def weighted(service: core.Service, protocol: str, port: int) -> Weighted | None:
    """The action of a listener; None without one. Raises `Refused`."""
    annotation = a.WEIGHTED.of(f"{protocol}-{port}")
    with about(Origin(service.key, annotation.path())):
        return annotation.parse(_action, service)


def shared_with(service: core.Service) -> Iterator[ToService | ToArn]:
    """Of all listeners, those that a build may look up."""
    for key in service.metadata.annotations:
        if (listener := key.removeprefix(_STEM)) != key:
            try:
                found = a.WEIGHTED.of(listener).parse(_action, service)
            except Refused:
                continue
            yield from (share.destination for share in found.shares) if found else ()


def _action(root: Node) -> Weighted:
    fields = root.object("Action")
    kind = fields["type"].string() or ""
    if kind != "forward":
        raise Refused(f"unknown action type: {kind}")
    if fields["forwardConfig"].is_null:
        raise Refused("missing ForwardConfig")
    try:
        return _forward(fields["forwardConfig"].object("ForwardActionConfig"))
    except Refused as refusal:
        raise Refused(f"invalid ForwardConfig: {refusal.message}") from None


def _forward(config: Fields) -> Weighted:
    entries = [node.object("TargetGroupTuple") for node in config["targetGroups"].items("[]service.TargetGroupTuple")]
    shares = tuple(map(_share, entries))
    if len(entries) > 1 and any(entry["weight"].is_null for entry in entries):
        raise Refused("weight must be set when routing to multiple target groups")
    base = config["baseServiceWeight"].integer()
    if base is None:
        raise Refused("base service weight is required")
    if not 0 <= base <= _MOST:
        raise Refused("base service weight must be between 0 and 999")
    return Weighted(base, shares)


def _share(fields: Fields) -> Share:
    arn, service = fields["targetGroupARN"].string(), fields["serviceName"].string()
    port, weight = fields["servicePort"].int_or_string(), fields["weight"].integer()
    decrypted = bool(fields["tcpEnabled"].boolean())
    prefix = "invalid TargetGroupTuple: "
    if (arn is None) == (service is None):
        raise Refused(prefix + "precisely one of targetGroupARN and serviceName can be specified")
    if service is not None and port is None:
        raise Refused(prefix + "missing servicePort")
    if weight is not None and not 0 <= weight <= _MOST:
        raise Refused(prefix + "target group weight must be between 0 and 999")
    share = 1 if weight is None else weight
    if service is None:
        return Share(ToArn(arn or "", share), decrypted)
    number = read_int_or_text(port) if isinstance(port, str) else port or 0
    return Share(ToService(service, number, share), decrypted)
