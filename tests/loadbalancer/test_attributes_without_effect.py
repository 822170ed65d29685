"""Attributes that have no effect here are reported."""

from __future__ import annotations

from lockgate.loadbalancer.model import LoadBalancer, TargetGroup
from lockgate.loadbalancer.without_effect import without_effect

FAILOVER = "target_group_health.dns_failover.minimum_healthy_targets"
DEFAULTS = {
    "load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
    f"{FAILOVER}.count": "1",
    f"{FAILOVER}.percentage": "off",
}


def balancer(*groups: TargetGroup, **attributes: str) -> LoadBalancer:
    named = {name.replace("__", "."): value for name, value in attributes.items()}
    return LoadBalancer("lab", (), {each.reference: each for each in groups}, attributes=named)


def test_nothing_is_said_of_defaults() -> None:
    assert (
        list(without_effect(balancer(TargetGroup("web", "web", 80, attributes=DEFAULTS), TargetGroup("a", "a", 80))))
        == []
    )


def test_each_setting_without_effect_has_its_sentence() -> None:
    web = TargetGroup("web", "web", 80, attributes={**DEFAULTS, "load_balancing.cross_zone.enabled": "false"})
    api = TargetGroup("api", "api", 80, attributes={**DEFAULTS, f"{FAILOVER}.percentage": "50"})
    assert list(without_effect(balancer(web, api, zonal_shift__config__enabled="true"))) == [
        "load balancer lab: zonal shift has no effect, because this machine is the only zone",
        "target group web: disabling cross-zone load balancing has no effect, because there is one zone",
        "target group api: dns_failover has no effect, because the load balancer has one address",
    ]
