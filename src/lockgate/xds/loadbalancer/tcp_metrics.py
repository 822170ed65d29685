"""CloudWatch's metrics of Network Load Balancers, from Envoy's counters.

Source: "CloudWatch metrics for your Network Load Balancer". Resets, packets and capacity are not measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from lockgate.loadbalancer.model import TargetState
from lockgate.loadbalancer.network import NetworkLoadBalancer
from lockgate.xds.loadbalancer.metrics import Metric, Stats
from lockgate.xds.loadbalancer.names import cluster_name, listener_name

# CloudWatch's name, and the counters that it sums: of the listener's socket, or of its TCP proxy.
COUNTED: Final[Mapping[str, tuple[str, ...]]] = {
    "ActiveFlowCount": ("listener.{}.downstream_cx_active",),
    "NewFlowCount": ("listener.{}.downstream_cx_total",),
    "ProcessedBytes": ("tcp.{}.downstream_cx_rx_bytes_total", "tcp.{}.downstream_cx_tx_bytes_total"),
}


def flows(
    stats: Stats, balancers: Iterable[NetworkLoadBalancer], states: Callable[[str], Iterable[TargetState]]
) -> Iterator[Metric]:
    """`states` returns the target states of a target group, by its reference."""
    for balancer in balancers:
        short = balancer.arn.partition(":loadbalancer/")[2] or balancer.name
        names = [listener_name(balancer, listener.port).replace(":", "_") for listener in balancer.listeners]
        for metric, counters in COUNTED.items():
            value = sum(stats.get(counter.format(name), 0) for name in names for counter in counters)
            yield Metric(metric, short, "", value)
            yield Metric(f"{metric}_TCP", short, "", value)
        for group in balancer.target_groups.values():
            now = list(states(group.reference))
            name = cluster_name(group.reference)
            yield Metric("HealthyHostCount", short, name, now.count("healthy"))
            yield Metric("UnHealthyHostCount", short, name, now.count("unhealthy"))
