"""Target health as ELBv2 reports it: a state machine that takes a probe's outcome and the time.

States and reason codes are those of `describe_target_health`. Source: "Health checks for Application Load Balancer
target groups", the same for Network Load Balancers, and `TargetHealth` in the ELBv2 API reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias, assert_never

from lockgate.loadbalancer.model import HealthCheck, Target, TargetGroup, TargetState

USER_AGENT: Final = "ELB-HealthChecker/2.0"
FIRST_LOOKS_SECONDS: Final = 0.05  # an initial target is probed again this soon, then with growing delays
SLOWEST_FIRST_LOOK_SECONDS: Final = 1.0  # up to this one; see `seconds_until_next`


# --- outcomes of a probe -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answered:
    """An HTTP status, or a gRPC status if the target group speaks gRPC."""

    code: int


@dataclass(frozen=True, slots=True)
class Connected:
    """An established connection: all that a TCP check requires."""


@dataclass(frozen=True, slots=True)
class TimedOut:
    pass


@dataclass(frozen=True, slots=True)
class Failed:
    """A refused or broken connection, or a response that is not HTTP."""


Fault: TypeAlias = Answered | TimedOut | Failed
Outcome: TypeAlias = Connected | Fault


# --- the state ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Health:
    """`passes` and `failures` are consecutive counts; `counted_at` is when a failure was last counted while initial."""

    state: TargetState
    reason: str = ""
    description: str = ""
    passes: int = 0
    failures: int = 0
    looks: int = 0
    counted_at: float | None = None


REGISTERED: Final = Health("initial", "Elb.RegistrationInProgress", "Target registration is in progress")
CHECKING: Final = Health("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")
HEALTHY: Final = Health("healthy")
DRAINING: Final = Health("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress")
DEREGISTERED: Final = Health("unused", "Target.NotRegistered", "Target is not registered to the target group")
DISABLED: Final = Health("unavailable", "Target.HealthCheckDisabled", "Health checks are disabled for this target")
NOT_IN_USE: Final = Health(
    "unused",
    "Target.NotInUse",
    "Target group is not configured to receive traffic from the load balancer",
)


def after(health: Health, outcome: Outcome, check: HealthCheck, now: float) -> Health:
    """The health after a probe with `outcome`, at `now` seconds of any monotonic clock.

    One success takes a target out of `initial`; after that the thresholds apply. Failures of an initial target count no
    faster than the check's interval, however often it is probed, so a slow start does not make a target unhealthy
    sooner than in AWS.
    """
    looked = replace(health, looks=health.looks + 1)
    if (wrong := fault(outcome, check)) is not None:
        return _failed(looked, wrong, check, now)
    return _passed(looked, check)


def seconds_until_next(health: Health, check: HealthCheck) -> float:
    """How long after a probe the next one starts.

    The check's interval, except for initial targets: those are probed quickly, so that an edge on one machine is
    healthy as soon as its gateway is.
    """
    if health.state != "initial":
        return float(check.interval_seconds)
    quick = FIRST_LOOKS_SECONDS * 1.5 ** min(health.looks, 16)
    return min(quick, SLOWEST_FIRST_LOOK_SECONDS, float(check.interval_seconds))


def fault(outcome: Outcome, check: HealthCheck) -> Fault | None:
    """Why an outcome does not pass the check, or None if it passes."""
    match outcome:
        case Connected():
            return None
        case Answered(code) if any(low <= code <= high for low, high in matcher_ranges(check.matcher)):
            return None
        case _:
            return outcome


def matcher_ranges(matcher: str) -> tuple[tuple[int, int], ...]:
    """``200,300-302`` as ((200, 200), (300, 302)). Parts that are not numbers match nothing."""
    ranges = []
    for part in matcher.split(","):
        low, _, high = part.strip().partition("-")
        if low.strip().isdigit() and (not high or high.strip().isdigit()):
            ranges.append((int(low), int(high or low)))
    return tuple(ranges)


def _passed(health: Health, check: HealthCheck) -> Health:
    if health.state == "healthy":
        return replace(health, passes=health.passes + 1, failures=0)
    if health.state == "initial" or health.passes + 1 >= check.healthy_threshold_count:
        return replace(HEALTHY, passes=health.passes + 1)
    return replace(health, passes=health.passes + 1, failures=0)


def _failed(health: Health, outcome: Fault, check: HealthCheck, now: float) -> Health:
    if health.state == "initial":
        if health.counted_at is not None and now - health.counted_at < check.interval_seconds:
            return health
        counted = replace(
            health,
            reason=CHECKING.reason,
            description=CHECKING.description,
            failures=health.failures + 1,
            counted_at=now,
        )
    else:
        counted = replace(health, passes=0, failures=health.failures + 1)
    if counted.state != "unhealthy" and counted.failures < check.unhealthy_threshold_count:
        return counted
    reason, description = _why(outcome)
    return Health("unhealthy", reason, description, failures=counted.failures)


def _why(outcome: Fault) -> tuple[str, str]:
    match outcome:
        case Answered(code):
            return "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{code}]"
        case TimedOut():
            return "Target.Timeout", "Request timed out"
        case Failed():
            return "Target.FailedHealthChecks", "Health checks failed"
    assert_never(outcome)


# --- which targets get requests ----------------------------------------------------------------------------------


def receiving(group: TargetGroup, states: Mapping[Target, TargetState]) -> frozenset[Target]:
    """The registered targets that receive new requests.

    The healthy targets. If fewer are healthy than the group's `unhealthy_state_routing` minimum (1 by default), all
    targets (fail-open).
    """
    registered = frozenset(group.targets)
    healthy = frozenset(target for target in registered if states.get(target) == "healthy")
    return healthy if meets(group, "unhealthy_state_routing", len(healthy), len(registered)) else registered


def meets(group: TargetGroup, action: str, healthy: int, registered: int) -> bool:
    """Whether enough targets are healthy that the action is not taken: ``unhealthy_state_routing`` or
    ``dns_failover``.
    """
    prefix = f"target_group_health.{action}.minimum_healthy_targets."
    count = _number(group.attributes.get(prefix + "count"), default=1)
    percentage = _number(group.attributes.get(prefix + "percentage"), default=0)
    return healthy >= max(1, count, registered * percentage / 100)


def _number(text: str | None, *, default: int) -> int:
    return int(text) if text is not None and text.isdigit() else default
