"""Reports attributes that the ELBv2 API stores but that have no effect on one machine."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.loadbalancer.model import LoadBalancer, TargetGroup

_FAILOVER = "target_group_health.dns_failover.minimum_healthy_targets"


def without_effect(balancer: LoadBalancer) -> Iterator[str]:
    """A sentence for each attribute that is not at its default."""
    if balancer.attributes.get("zonal_shift.config.enabled") == "true":
        yield f"load balancer {balancer.name}: zonal shift has no effect, because this machine is the only zone"
    for group in balancer.target_groups.values():
        yield from _group(group)


def _group(group: TargetGroup) -> Iterator[str]:
    if group.attributes.get("load_balancing.cross_zone.enabled", "use_load_balancer_configuration") == "false":
        yield f"target group {group.name}: disabling cross-zone load balancing has no effect, because there is one zone"
    count, percentage = (group.attributes.get(f"{_FAILOVER}.{name}") for name in ("count", "percentage"))
    if (count or "1") not in ("1", "off") or (percentage or "off") != "off":
        yield f"target group {group.name}: dns_failover has no effect, because the load balancer has one address"
