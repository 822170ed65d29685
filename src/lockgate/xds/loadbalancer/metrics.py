"""CloudWatch's metrics of load balancers and target groups, from Envoy's counters.

Source: "CloudWatch metrics for your Application Load Balancer". Only metrics that Envoy, or the services for logins and
Lambda functions, count exactly; `NOT_MEASURED` has the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from lockgate.loadbalancer.health import meets
from lockgate.loadbalancer.model import Listener, LoadBalancer, TargetGroup, TargetState
from lockgate.xds.loadbalancer import counting
from lockgate.xds.loadbalancer.authorization import logs_in
from lockgate.xds.loadbalancer.names import cluster_name, listener_name

Stats = Mapping[str, int]  # the counters and gauges of Envoy's admin interface, by name

NOT_MEASURED: Final = (
    "ConsumedLCUs",
    "ELBAuthLatency",
    "ForwardedInvalidHeaderRequestCount",
    "IPv6ProcessedBytes",
    "IPv6RequestCount",
    "LambdaTargetProcessedBytes",
    "RuleEvaluations",
    "UnhealthyRoutingRequestCount",
)


@dataclass(frozen=True, slots=True)
class Metric:
    """One value. `target_group` is "" for a metric that CloudWatch has per load balancer only."""

    name: str
    load_balancer: str
    target_group: str
    value: int


@dataclass(frozen=True, slots=True)
class Times:
    """A histogram of durations in seconds: cumulative counts by upper bound, the sum, and the count."""

    buckets: tuple[tuple[str, int], ...]
    seconds: float
    count: int


# CloudWatch's name, and the counters of a listener's HTTP connections that it sums.
BY_LISTENER: Final = {
    "ActiveConnectionCount": ("downstream_cx_active",),
    "NewConnectionCount": ("downstream_cx_total",),
    "ProcessedBytes": ("downstream_cx_rx_bytes_total", "downstream_cx_tx_bytes_total"),
}
# Counters of the listener itself, which exist before a connection does.
BY_SOCKET: Final = {
    "RejectedConnectionCount": (
        "downstream_cx_overflow",
        "downstream_global_cx_overflow",
        "downstream_cx_overload_reject",
    ),
    "ClientTLSNegotiationErrorCount": ("ssl.connection_error", "ssl.fail_verify_no_cert", "ssl.fail_verify_error"),
}
# Counters of Envoy's routing, which spells the listener's name differently.
BY_ROUTING: Final = {"HTTP_Fixed_Response_Count": ("rq_direct_response",)}
# Connections are counted on both sides; a request counts once a target has been chosen.
BY_TARGETS: Final = {
    "ActiveConnectionCount": ("upstream_cx_active",),
    "NewConnectionCount": ("upstream_cx_total",),
    "RequestCount": ("upstream_rq_total", "upstream_rq_pending_failure_eject"),
}
BY_TARGET_GROUP: Final = {
    "HTTPCode_Target_2XX_Count": ("upstream_rq_2xx",),
    "HTTPCode_Target_3XX_Count": ("upstream_rq_3xx",),
    "HTTPCode_Target_4XX_Count": ("upstream_rq_4xx",),
    "TargetConnectionErrorCount": ("upstream_cx_connect_fail",),
    "TargetTLSNegotiationErrorCount": ("ssl.connection_error",),
}
# Counters defined in `counting`.
COUNTED: Final = {
    "DesyncMitigationMode_NonCompliant_Request_Count": counting.NON_COMPLIANT,
    "DroppedInvalidHeaderRequestCount": counting.DROPPED,
    "GrpcRequestCount": counting.GRPC,
}
COUNTED_BY_TARGET_GROUP: Final = {
    "HTTPCode_Target_5XX_Count": counting.TARGET_5XX,
    "NonStickyRequestCount": counting.NOT_STICKY,
}
# Counters of Lockgate's services.
OF_LOGINS: Final = (
    "ELBAuthError",
    "ELBAuthFailure",
    "ELBAuthRefreshTokenSuccess",
    "ELBAuthSuccess",
    "ELBAuthUserClaimsSizeExceeded",
)
OF_FUNCTIONS: Final = ("LambdaInternalError", "LambdaUserError")
LEFT: Final = 0  # the status of a request whose client left before the response
TOO_LONG: Final = 507  # the status of a redirect whose URL is too long
ONE_BY_ONE: Final = (500, 502, 503, 504)

_GAUGES: Final = frozenset(
    {
        "ActiveConnectionCount",
        "ActiveFlowCount",
        "ActiveFlowCount_TCP",
        "AnomalousHostCount",
        "MitigatedHostCount",
        "HealthyHostCount",
        "UnHealthyHostCount",
        "HealthyStateDNS",
        "HealthyStateRouting",
        "UnhealthyStateDNS",
        "UnhealthyStateRouting",
    }
)


def cloudwatch(
    stats: Stats, balancers: Iterable[LoadBalancer], states: Callable[[str], Iterable[TargetState]]
) -> tuple[Metric, ...]:
    """`states` returns the target states of a target group, by its reference."""
    return tuple(metric for balancer in balancers for metric in _of(stats, balancer, states))


def counted(counts: Mapping[tuple[str, str], int], balancers: Iterable[LoadBalancer]) -> tuple[Metric, ...]:
    """Counts of the load balancer's services, by metric and the ARN of a load balancer or target group."""
    return tuple(metric for balancer in balancers for metric in _counted(counts, balancer))


def _counted(counts: Mapping[tuple[str, str], int], balancer: LoadBalancer) -> Iterable[Metric]:
    short = balancer.arn.partition(":loadbalancer/")[2] or balancer.name
    if any(logs_in(listener, rule) for listener in balancer.listeners for rule in (*listener.rules, None)):
        for name in OF_LOGINS:
            yield Metric(name, short, "", counts.get((name, balancer.arn), 0))
    for reference, group in balancer.target_groups.items():
        for name in OF_FUNCTIONS if group.target_type == "lambda" else ():
            yield Metric(name, short, cluster_name(reference), counts.get((name, reference), 0))


def response_times(prometheus: str) -> Mapping[str, Times]:
    """Response times by target group, from Envoy's ``upstream_rq_time`` in Prometheus format: milliseconds until the
    complete response.
    """
    parts: dict[str, dict[str, float]] = {}
    for kind, cluster, bound, value in _TIME.findall(prometheus):
        parts.setdefault(cluster, {})[bound or kind] = float(value)
    return {
        cluster: Times(
            tuple((_seconds(bound), int(count)) for bound, count in found.items() if bound not in ("sum", "count")),
            found.get("sum", 0.0) / 1000,
            int(found.get("count", 0)),
        )
        for cluster, found in parts.items()
    }


_TIME: Final = re.compile(
    r'^envoy_cluster_upstream_rq_time_(bucket|sum|count)\{envoy_cluster_name="([^"]*)"(?:,le="([^"]*)")?\} (\S+)$',
    re.MULTILINE,
)


def _seconds(milliseconds: str) -> str:
    return milliseconds if milliseconds == "+Inf" else f"{float(milliseconds) / 1000:g}"


def exposition(metrics: Iterable[Metric], times: Mapping[str, Times] | None = None) -> str:
    """The response of ``/metrics`` (Prometheus text format), under CloudWatch's names. `times` are response times by
    target group; groups that are not in `metrics` are omitted.
    """
    by_name: dict[str, list[Metric]] = {}
    balancers: dict[str, str] = {}
    for metric in metrics:
        by_name.setdefault(metric.name, []).append(metric)
        balancers[metric.target_group] = metric.load_balancer
    lines = []
    for name, some in sorted(by_name.items()):
        lines.append(f"# TYPE {name} {'gauge' if name in _GAUGES else 'counter'}")
        lines += [f"{name}{{{_labels(metric.load_balancer, metric.target_group)}}} {metric.value}" for metric in some]
    measured = [(group, taken) for group, taken in sorted((times or {}).items()) if group in balancers]
    lines += ["# TYPE TargetResponseTime histogram"] if measured else []
    for group, taken in measured:
        labels = _labels(balancers[group], group)
        lines += [f'TargetResponseTime_bucket{{{labels},le="{bound}"}} {count}' for bound, count in taken.buckets]
        lines.append(f"TargetResponseTime_sum{{{labels}}} {taken.seconds:g}")
        lines.append(f"TargetResponseTime_count{{{labels}}} {taken.count}")
    return "".join(f"{each}\n" for each in lines)


def _of(stats: Stats, balancer: LoadBalancer, states: Callable[[str], Iterable[TargetState]]) -> Iterable[Metric]:
    short = balancer.arn.partition(":loadbalancer/")[2] or balancer.name
    for name, value in _whole(stats, balancer).items():
        yield Metric(name, short, "", value)
    for group in balancer.target_groups.values():
        for name, value in _group(stats, balancer, group, list(states(group.reference))).items():
            yield Metric(name, short, cluster_name(group.reference), value)


def _whole(stats: Stats, balancer: LoadBalancer) -> Mapping[str, int]:
    names = [listener_name(balancer, listener.port) for listener in balancer.listeners]
    spelled = [name.replace(":", "_") for name in names]  # Envoy replaces colons
    sources = (
        (BY_LISTENER, [f"http.{name}." for name in spelled]),
        (BY_SOCKET, [f"listener.{name}." for name in spelled]),
        (BY_ROUTING, [f"http.{name}." for name in names]),
        (BY_TARGETS, [f"cluster.{cluster_name(reference)}." for reference in balancer.target_groups]),
    )
    made: dict[str, int] = {}
    for counted, prefixes in sources:
        for name, counters in counted.items():
            made[name] = made.get(name, 0) + _sum(stats, prefixes, counters)
    for name, counter in COUNTED.items():
        made[name] = _sum(stats, _prefixes(balancer), (f"{counter}.requests",))
    made["HTTP_Fixed_Response_Count"] -= _sum(stats, _prefixes(balancer), (f"{counting.REDIRECTED}.requests",))
    own = _own(stats, balancer)
    for first in (3, 4, 5):
        made[f"HTTPCode_ELB_{first}XX_Count"] = sum(count for code, count in own.items() if code // 100 == first)
    made["HTTPCode_ELB_4XX_Count"] += own.get(LEFT, 0)  # 460
    for code in ONE_BY_ONE:
        made[f"HTTPCode_ELB_{code}_Count"] = own.get(code, 0)
    made["HTTP_Redirect_Count"] = made["HTTPCode_ELB_3XX_Count"]  # a rule's redirect, or one to a login
    made["HTTP_Redirect_Url_Limit_Exceeded_Count"] = own.get(TOO_LONG, 0)
    return made


def _group(stats: Stats, balancer: LoadBalancer, group: TargetGroup, now: list[TargetState]) -> Mapping[str, int]:
    name = cluster_name(group.reference)
    cluster = [f"cluster.{name}."]
    made = {metric: _sum(stats, cluster, counters) for metric, counters in BY_TARGET_GROUP.items()}
    # For Envoy, a failed TLS handshake is not a connection.
    made["TargetConnectionErrorCount"] = max(
        made["TargetConnectionErrorCount"] - made["TargetTLSNegotiationErrorCount"], 0
    )
    for metric, counter in COUNTED_BY_TARGET_GROUP.items():
        made[metric] = _sum(stats, _prefixes(balancer), (f"{counter}.{name}",))
    if group.attributes.get("load_balancing.algorithm.anomaly_mitigation") == "on":
        ejected = _sum(stats, cluster, ("outlier_detection.ejections_active",))
        made["AnomalousHostCount"], made["MitigatedHostCount"] = ejected, ejected
    requests = _sum(stats, cluster, BY_TARGETS["RequestCount"])
    registered = len(now) - now.count("draining")
    made["RequestCountPerTarget"] = requests // max(registered, 1)
    made["HealthyHostCount"], made["UnHealthyHostCount"] = now.count("healthy"), now.count("unhealthy")
    for action, purpose in (("dns_failover", "DNS"), ("unhealthy_state_routing", "Routing")):
        healthy = meets(group, action, made["HealthyHostCount"], registered)
        made[f"HealthyState{purpose}"], made[f"UnhealthyState{purpose}"] = int(healthy), int(not healthy)
    return made


def _own(stats: Stats, balancer: LoadBalancer) -> Mapping[int, int]:
    """The load balancer's own responses, by status."""
    found: dict[int, int] = {}
    for prefix in (f"{each}{counting.OWN}." for each in _prefixes(balancer)):
        for name, count in stats.items():
            if name.startswith(prefix) and (code := name.removeprefix(prefix)).isdigit():
                found[int(code)] = found.get(int(code), 0) + count
    return found


def _prefixes(balancer: LoadBalancer) -> list[str]:
    return [_prefix(balancer, listener) for listener in balancer.listeners]


def _prefix(balancer: LoadBalancer, listener: Listener) -> str:
    return f"{counting.prefix(balancer, listener)}."


def _sum(stats: Stats, prefixes: Iterable[str], counters: Iterable[str]) -> int:
    return sum(stats.get(prefix + counter, 0) for prefix in prefixes for counter in counters)


def _labels(load_balancer: str, target_group: str) -> str:
    labels = {"LoadBalancer": load_balancer, "TargetGroup": target_group}
    return ",".join(f'{name}="{value}"' for name, value in labels.items() if value)
