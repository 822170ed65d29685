"""Frontend health checks that the load balancer behind can never pass, even with healthy targets.

With a single target such a check has no effect on clients, but target health shows it as unhealthy.
"""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.loadbalancer.health import matcher_ranges
from lockgate.loadbalancer.model import HealthCheck, LoadBalancer, TargetGroup
from lockgate.loadbalancer.network import NetworkLoadBalancer


def hopeless_checks(in_front: NetworkLoadBalancer, behind: LoadBalancer) -> Iterator[tuple[TargetGroup, str]]:
    """Target groups, each with the reason why its check fails."""
    for group in in_front.target_groups.values():
        check = group.health_check
        port = group.targets[0].port if check.port == "traffic-port" else int(check.port)
        if why := _fault(check, port, behind):
            yield group, why


def _fault(check: HealthCheck, port: int, behind: LoadBalancer) -> str:
    listener = next((each for each in behind.listeners if each.port == port), None)
    if listener is None:
        return f"nothing listens on port {port}"
    if check.protocol == "HTTPS" != listener.protocol:
        return f"port {port} does not speak TLS"
    status = 400 if check.protocol != listener.protocol else _status(check, port, behind)
    if status is None or any(low <= status <= high for low, high in matcher_ranges(check.matcher)):
        return ""
    return f"port {port} answers {check.protocol} {check.path} with {status}, not {check.matcher}"


def _status(check: HealthCheck, port: int, behind: LoadBalancer) -> int | None:
    """The status that the load balancer itself returns; None if the response is a target's."""
    from lockgate.loadbalancer.request import Request
    from lockgate.loadbalancer.routing import Answered, Redirected, decide

    match decide(behind, Request(target=check.path, host="10.0.0.1", port=port)).outcome:
        case Answered(status=status) | Redirected(status=status):
            return status
        case _:
            return None
