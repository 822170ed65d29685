"""Envoy's counters as CloudWatch's metrics of load balancers and target groups.

Source: "CloudWatch metrics for your Application Load Balancer". Only what Envoy counts exactly: answers that the load
balancer makes for a target in trouble are among Envoy's counts of the target's own 5xx, so those are told apart no
further than here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from lockgate.loadbalancer.model import LoadBalancer, TargetState
from lockgate.xds.loadbalancer.names import cluster_name, listener_name

Stats = Mapping[str, int]  # the counters and gauges of Envoy's admin interface, by name


@dataclass(frozen=True, slots=True)
class Metric:
    """One value. `target_group` is "" where CloudWatch has the metric by load balancer alone."""

    name: str
    load_balancer: str
    target_group: str
    value: int


# CloudWatch's name, and the counters of the HTTP connections of a listener that make it.
BY_LISTENER: Final = {
    "RequestCount": ("downstream_rq_completed",),
    "ActiveConnectionCount": ("downstream_cx_active",),
    "NewConnectionCount": ("downstream_cx_total",),
    "ProcessedBytes": ("downstream_cx_rx_bytes_total", "downstream_cx_tx_bytes_total"),
}
# The same of Envoy's routing, which spells the listener's name otherwise.
BY_ROUTING: Final = {"HTTP_Fixed_Response_Count": ("rq_direct_response",)}
BY_TARGET_GROUP: Final = {
    "HTTPCode_Target_2XX_Count": ("upstream_rq_2xx",),
    "HTTPCode_Target_3XX_Count": ("upstream_rq_3xx",),
    "HTTPCode_Target_4XX_Count": ("upstream_rq_4xx",),
    "HTTPCode_ELB_503_Count": ("upstream_cx_none_healthy",),
    "TargetConnectionErrorCount": ("upstream_cx_connect_fail",),
    "TargetTLSNegotiationErrorCount": ("ssl.connection_error",),
}


def cloudwatch(
    stats: Stats, balancers: Iterable[LoadBalancer], states: Callable[[str], Iterable[TargetState]]
) -> tuple[Metric, ...]:
    """`states` tells the states of a target group's targets, by its reference."""
    return tuple(metric for balancer in balancers for metric in _of(stats, balancer, states))


def exposition(metrics: Iterable[Metric]) -> str:
    """The text that ``/metrics`` answers (Prometheus text format), under CloudWatch's names."""
    by_name: dict[str, list[Metric]] = {}
    for metric in metrics:
        by_name.setdefault(metric.name, []).append(metric)
    lines = []
    for name, some in sorted(by_name.items()):
        lines.append(f"# TYPE {name} {'gauge' if name in _GAUGES else 'counter'}")
        lines += [f"{name}{{{_labels(metric)}}} {metric.value}" for metric in some]
    return "".join(f"{each}\n" for each in lines)


_GAUGES: Final = frozenset({"ActiveConnectionCount", "HealthyHostCount", "UnHealthyHostCount"})


def _of(stats: Stats, balancer: LoadBalancer, states: Callable[[str], Iterable[TargetState]]) -> Iterable[Metric]:
    short = balancer.arn.partition(":loadbalancer/")[2] or balancer.name
    names = [listener_name(balancer, listener.port) for listener in balancer.listeners]
    connections = [f"http.{name.replace(':', '_')}." for name in names]  # Envoy's own way with colons
    routing = [f"http.{name}." for name in names]
    for sources, prefixes in ((BY_LISTENER, connections), (BY_ROUTING, routing)):
        for name, counters in sources.items():
            yield Metric(name, short, "", _sum(stats, prefixes, counters))
    # Every 3xx that is no target's own is a redirect: of a rule, or to log in.
    targets = [f"cluster.{cluster_name(reference)}." for reference in balancer.target_groups]
    redirects = _sum(stats, connections, ("downstream_rq_3xx",)) - _sum(stats, targets, ("upstream_rq_3xx",))
    yield Metric("HTTP_Redirect_Count", short, "", max(redirects, 0))
    yield Metric("HTTPCode_ELB_3XX_Count", short, "", max(redirects, 0))
    for reference in balancer.target_groups:
        group = cluster_name(reference)
        for name, counters in BY_TARGET_GROUP.items():
            yield Metric(name, short, group, _sum(stats, [f"cluster.{group}."], counters))
        now = list(states(reference))
        yield Metric("HealthyHostCount", short, group, now.count("healthy"))
        yield Metric("UnHealthyHostCount", short, group, now.count("unhealthy"))
        requests = _sum(stats, [f"cluster.{group}."], ("upstream_rq_total",))
        yield Metric("RequestCountPerTarget", short, group, requests // max(len(now), 1))


def _sum(stats: Stats, prefixes: Iterable[str], counters: tuple[str, ...]) -> int:
    return sum(stats.get(prefix + counter, 0) for prefix in prefixes for counter in counters)


def _labels(metric: Metric) -> str:
    labels = {"LoadBalancer": metric.load_balancer, "TargetGroup": metric.target_group}
    return ",".join(f'{name}="{value}"' for name, value in labels.items() if value)
