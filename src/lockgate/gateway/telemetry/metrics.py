"""Builds what Telemetries change of a gateway's metrics.

Source: istio/istio `pilot/pkg/model/telemetry.go` (mergeMetrics).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from lockgate.gateway.mesh import Mesh
from lockgate.gateway.providers import Unusable, named
from lockgate.metrics.overrides import Override, evaluates
from lockgate.resources import istio
from lockgate.resources.codes import policies as codes
from lockgate.resources.faults import Fault, Origin
from lockgate.resources.istio.telemetry import MetricMatch, MetricOverride, TelemetryProvider

FAMILIES: Final[Mapping[str, str]] = {
    "REQUEST_COUNT": "istio_requests_total",
    "REQUEST_DURATION": "istio_request_duration_milliseconds",
    "REQUEST_SIZE": "istio_request_bytes",
    "RESPONSE_SIZE": "istio_response_bytes",
    "TCP_OPENED_CONNECTIONS": "istio_tcp_connections_opened_total",
    "TCP_CLOSED_CONNECTIONS": "istio_tcp_connections_closed_total",
    "TCP_SENT_BYTES": "istio_tcp_sent_bytes_total",
    "TCP_RECEIVED_BYTES": "istio_tcp_received_bytes_total",
}
"""The metrics that a gateway has here. Messages of gRPC are not counted."""
_UNCOUNTED: Final = ("GRPC_REQUEST_MESSAGES", "GRPC_RESPONSE_MESSAGES")
_GATEWAY_MODES: Final = (None, "CLIENT_AND_SERVER", "CLIENT")
_PROMETHEUS: Final = "prometheus"


def overrides(
    applying: Sequence[istio.Telemetry], mesh: Mesh, default: Sequence[str], faults: list[Fault]
) -> tuple[tuple[str, Override], ...]:
    """By family. The providers in scope are those of the last entry that names any; without Prometheus among them, the
    gateway counts nothing. `default` are the mesh's providers: Prometheus, unless it names others."""
    entries = [
        (metrics, Origin(one.key, ("spec", "metrics", index)))
        for one in applying
        for index, metrics in enumerate(one.spec.metrics)
    ]
    inherited: tuple[str, ...] = tuple(default) or (_PROMETHEUS,)
    in_scope = inherited
    for metrics, _ in entries:
        in_scope = _names(metrics.providers) or in_scope
    made: dict[str, Override] = {}
    counted = False
    for metrics, origin in entries:
        inherited = _names(metrics.providers) or inherited
        usable = [_counts(name, mesh, origin, faults) for name in inherited if name in in_scope]
        counts = any(usable)
        counted = counted or counts
        for place, override in enumerate(metrics.overrides) if counts else ():
            at = origin.under("overrides", place)
            for family in _families(override.match, at, faults):
                made[family] = _merged(made.get(family, Override()), override)
            faults += _unknown(override, at)
    if entries and not counted:
        return tuple((family, Override(disabled=True)) for family in FAMILIES.values())
    return tuple(sorted(made.items()))


def _names(providers: Sequence[TelemetryProvider]) -> tuple[str, ...]:
    return tuple(each.name for each in providers)


def _counts(name: str, mesh: Mesh, origin: Origin, faults: list[Fault]) -> bool:
    try:
        return named(name, mesh, any_case=True, built_in=True).prometheus is not None
    except Unusable as error:
        faults.append(codes.UNUSABLE_TELEMETRY.at(origin, provider=name, what="metrics", reason=error))
        return False


def _families(match: MetricMatch | None, origin: Origin, faults: list[Fault]) -> Iterator[str]:
    if match is None or match.mode in _GATEWAY_MODES:
        if match is not None and match.custom_metric:
            found = [family for family in FAMILIES.values() if family.removeprefix("istio_") == match.custom_metric]
            if not found:
                at = origin.under("match", "customMetric")
                faults.append(codes.UNKNOWN_METRIC.at(at, metric=match.custom_metric))
            yield from found
        elif match is None or match.metric in (None, "ALL_METRICS"):
            yield from FAMILIES.values()
        elif match.metric not in _UNCOUNTED:
            yield FAMILIES[match.metric]


def _merged(earlier: Override, later: MetricOverride) -> Override:
    tags = dict(earlier.tags)
    for name, tag in later.tag_overrides.items():
        tags[name] = None if tag.operation == "REMOVE" else tag.value
    disabled = earlier.disabled if later.disabled is None else bool(later.disabled)
    return Override(disabled, tuple(sorted(tags.items())))


def _unknown(override: MetricOverride, origin: Origin) -> Iterator[Fault]:
    if override.match is not None and override.match.mode not in _GATEWAY_MODES:
        return
    for name, tag in override.tag_overrides.items():
        if tag.operation != "REMOVE" and not evaluates(tag.value):
            at = origin.under("tagOverrides", name, "value")
            yield codes.UNKNOWN_TAG.at(at, tag=name, value=tag.value)
