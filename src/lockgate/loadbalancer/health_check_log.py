"""A health check's line in a load balancer's health check log, in AWS's format.

Source: "Health check logs" in the Application Load Balancers guide, "Health check log entries".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import assert_never

from lockgate.loadbalancer.health import Answered, Failed, Fault, Outcome, TimedOut, fault
from lockgate.loadbalancer.model import LoadBalancer, TargetGroup


@dataclass(frozen=True, slots=True)
class Probed:
    """One health check: its outcome and its target. `address` is the target's VPC address and port."""

    group: TargetGroup
    address: str
    started: datetime
    seconds: float
    outcome: Outcome


def line(probed: Probed, balancer: LoadBalancer, node: str) -> str:
    """One line without its line break. `node` is the load balancer's address."""
    wrong = fault(probed.outcome, probed.group.health_check)
    fields = [
        _type(probed.group),
        probed.started.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        f"{probed.seconds:.9f}",
        probed.address,
        probed.group.name,
        "PASS" if wrong is None else "FAIL",
        str(probed.outcome.code) if isinstance(probed.outcome, Answered) else "-",
        "-" if wrong is None else _reason(wrong, probed.group),
        balancer.arn.partition(":loadbalancer/")[2] or balancer.name,
        node,
    ]
    return " ".join(fields)


def _type(group: TargetGroup) -> str:
    if group.protocol_version != "HTTP1":
        return "grpc" if group.protocol_version == "GRPC" else "h2"
    return group.health_check.protocol.lower()


def _reason(wrong: Fault, group: TargetGroup) -> str:
    """A refused connection is logged as a reset by the target."""
    match wrong:
        case Answered(code):
            if group.protocol_version == "GRPC":
                return "GRPCUnexpectedStatus"
            return "TargetError" if code >= 500 else "ResponseCodeMismatch"
        case TimedOut():
            return "TimedOut"
        case Failed():
            return "ConnectionReset"
        case other:
            assert_never(other)
