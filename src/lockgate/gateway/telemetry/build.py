"""Builds a workload's access logs, traces and metrics.

At most three Telemetries apply: the oldest of the root namespace without a selector, the oldest of the workload's
namespace without one, and the oldest that selects the workload. A later one overrides what an earlier one says of a
provider. If they lead to no provider that istiod can use, meshConfig's own log is written.

Source: istio/istio `pilot/pkg/model/telemetry.go` (applicableTelemetries, mergeLogs, Tracing), and
`pilot/pkg/networking/core/accesslog.go`, `tracing.go`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lockgate.gateway.mesh import Mesh
from lockgate.gateway.policies.attach import age, applies, targets_of
from lockgate.gateway.providers import Unusable, named, service
from lockgate.gateway.registry import Hosts
from lockgate.gateway.telemetry.formats import TEXT, of_mesh, of_provider
from lockgate.gateway.telemetry.metrics import overrides
from lockgate.gateway.telemetry.model import (
    AccessLog,
    FileLog,
    GrpcLog,
    LogSink,
    OpenTelemetryLog,
    Tag,
    Telemetry,
    Tracing,
)
from lockgate.gateway.workload import Workload
from lockgate.resources import istio
from lockgate.resources.codes import policies as codes
from lockgate.resources.faults import Fault, Origin
from lockgate.resources.istio.extension_provider import ExtensionProvider
from lockgate.resources.model import JsonObject, ObjectKey

_PEERS: Final = ("upstream_peer", "downstream_peer")  # what Istio's log services are sent of the state of filters
_TRACERS: Final = ("opentelemetry", "zipkin", "datadog", "skywalking", "lightstep")
_GATEWAY_MODES: Final = (None, "CLIENT_AND_SERVER", "CLIENT")  # a gateway is its backends' client
_NOWHERE: Final = Origin(ObjectKey("", "", "", ""))


def telemetry(
    objects: Iterable[istio.Telemetry], workload: Workload, mesh: Mesh, proxy: JsonObject, hosts: Hosts
) -> tuple[Telemetry, tuple[Fault, ...]]:
    """`proxy` is the workload's ProxyConfig."""
    applying = list(applicable(objects, workload, mesh.root_namespace))
    faults: list[Fault] = []
    logs = tuple(_logs(applying, mesh, hosts, faults))
    unmatched = mesh.config.get("disableEnvoyListenerLog") is not True
    changed = overrides(applying, mesh, _default(mesh, "metrics"), faults)
    return Telemetry(logs, unmatched, _tracing(applying, mesh, proxy, faults), changed), tuple(faults)


def applicable(objects: Iterable[istio.Telemetry], workload: Workload, root: str) -> Iterator[istio.Telemetry]:
    """Those that apply to a workload, each before those that override it."""
    ordered = sorted(objects, key=age)
    for namespace in dict.fromkeys((root, workload.namespace)):
        yield from [one for one in ordered if one.namespace == namespace and not _selects(one)][:1]
    yield from [
        one for one in ordered if one.namespace == workload.namespace and _selects(one) and applies(one, workload)
    ][:1]


def _selects(one: istio.Telemetry) -> bool:
    return bool(targets_of(one) or (one.spec.selector and one.spec.selector.match_labels))


# --- access logs -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What applies to a provider in the end."""

    disabled: bool
    expression: str
    origin: Origin


def _logs(applying: Sequence[istio.Telemetry], mesh: Mesh, hosts: Hosts, faults: list[Fault]) -> Iterator[AccessLog]:
    usable = False
    for name, chosen in sorted(_chosen(applying, _default(mesh, "accessLogging")).items()):
        try:
            sink = _sink(named(name, mesh, any_case=True, built_in=True), mesh, hosts)
        except Unusable as error:
            faults.append(codes.UNUSABLE_TELEMETRY.at(chosen.origin, provider=name, what="logs", reason=error))
            continue
        usable = True
        if not chosen.disabled:
            yield AccessLog(sink, name, chosen.expression, chosen.origin)
    if not usable and mesh.config.get("accessLogFile"):
        yield AccessLog(FileLog(of_mesh(mesh.config)))


def _chosen(applying: Sequence[istio.Telemetry], default: Sequence[str]) -> Mapping[str, _Chosen]:
    """The providers in scope are those of the last Telemetry that names any."""
    if not any(one.spec.access_logging for one in applying):
        return {name: _Chosen(False, "", _NOWHERE) for name in default}
    in_scope = set(default)
    expressions: dict[str, str] = {}
    for one in applying:
        in_scope = {provider.name for log in one.spec.access_logging for provider in log.providers} or in_scope
        for log in one.spec.access_logging:
            written = log.filter.expression if log.filter else ""
            expressions |= {provider.name: written for provider in log.providers}
    found: dict[str, _Chosen] = {}
    inherited: Sequence[str] = default
    for one in applying:
        for index, log in enumerate(one.spec.access_logging):
            inherited = [provider.name for provider in log.providers] or inherited
            for place, name in enumerate(inherited):
                if name in in_scope and _mode(log.match) in _GATEWAY_MODES:
                    at = Origin(one.key, ("spec", "accessLogging", index))
                    origin = at.under("providers", place) if log.providers else at
                    found[name] = _Chosen(bool(log.disabled), expressions.get(name, ""), origin)
    return found


def _sink(provider: ExtensionProvider, mesh: Mesh, hosts: Hosts) -> LogSink:
    """Raises `Unusable`."""
    if file := provider.envoy_file_access_log:
        if provider.name == "envoy" and file.log_format is None and not file.omit_empty_values:
            return FileLog(of_mesh(mesh.config))
        return FileLog(of_provider(file.log_format, omit_empty=file.omit_empty_values))
    if http := provider.envoy_http_als:
        return GrpcLog(
            "HTTP",
            service(http.service, http.port, hosts).hostname,
            http.port,
            http.log_name or "http_envoy_accesslog",
            http.filter_state_objects_to_log or _PEERS,
            http.additional_request_headers_to_log,
            http.additional_response_headers_to_log,
            http.additional_response_trailers_to_log,
        )
    if tcp := provider.envoy_tcp_als:
        host = service(tcp.service, tcp.port, hosts).hostname
        state = tcp.filter_state_objects_to_log or _PEERS
        return GrpcLog("TCP", host, tcp.port, tcp.log_name or "tcp_envoy_accesslog", state)
    if otel := provider.envoy_otel_als:
        given = otel.log_format
        return OpenTelemetryLog(
            service(otel.service, otel.port, hosts).hostname,
            otel.port,
            otel.log_name or "otel_envoy_accesslog",
            given.text if given and given.text else TEXT,
            json.dumps(given.labels, sort_keys=True) if given and given.labels else "",
        )
    raise Unusable("it writes no access logs")


# --- traces ------------------------------------------------------------------------------------------------------


def _tracing(applying: Sequence[istio.Telemetry], mesh: Mesh, proxy: JsonObject, faults: list[Fault]) -> Tracing | None:
    """The provider of the last entry that names one, and each setting of the last entry that has it."""
    found = [
        (entry, Origin(one.key, ("spec", "tracing", index)))
        for one in applying
        for index, entry in enumerate(one.spec.tracing)
        if _mode(entry.match) in _GATEWAY_MODES
    ]
    default = _default(mesh, "tracing")[:1]
    name, origin = default[0] if default else "", _NOWHERE
    for entry, at in found:
        if entry.providers:
            name, origin = entry.providers[0].name, at.under("providers", 0)
    entries = [entry for entry, _ in found]
    if not name or _last(entries, "disable_span_reporting", False):
        return None
    try:
        kind, settings = _tracer(named(name, mesh, any_case=True, built_in=True))
    except Unusable as error:
        faults.append(codes.UNUSABLE_TELEMETRY.at(origin, provider=name, what="traces", reason=error))
        return None
    own = _object(proxy.get("tracing"))
    tags = next((entry.custom_tags for entry in reversed(entries) if entry.custom_tags), None)
    sampling = _last(entries, "random_sampling_percentage", own.get("sampling"))
    longest = settings.get("maxTagLength") or own.get("maxPathTagLength")
    return Tracing(
        provider=name,
        kind=kind,
        settings=json.dumps(settings, sort_keys=True),
        sampling=float(sampling) if isinstance(sampling, (int, float)) else 1.0,  # PILOT_TRACE_SAMPLING
        tags=tuple(_tags(tags) if tags is not None else _written_tags(_object(own.get("customTags")))),
        max_path_length=longest if isinstance(longest, int) else None,
        request_id_decides=_last(entries, "use_request_id", True),
        istio_tags=_last(entries, "enable_istio_tags", own.get("enableIstioTags") is not False),
        propagates=not _last(entries, "disable_context_propagation", False),
        origin=origin,
    )


def _tracer(provider: ExtensionProvider) -> tuple[str, JsonObject]:
    for kind in _TRACERS:
        settings: JsonObject | None = getattr(provider, kind)
        if settings is not None:
            return kind, settings
    raise Unusable("it takes no traces")


def _tags(given: Mapping[str, istio.CustomTag]) -> Iterator[Tag]:
    for name, tag in sorted(given.items()):
        if tag.literal:
            yield Tag(name, "literal", tag.literal.value)
        elif tag.environment:
            yield Tag(name, "environment", tag.environment.name, tag.environment.default_value)
        elif tag.header:
            yield Tag(name, "header", tag.header.name, tag.header.default_value)
        elif tag.formatter:
            yield Tag(name, "formatter", tag.formatter.value)


def _written_tags(given: JsonObject) -> Iterator[Tag]:
    """The tags of a ProxyConfig, which have the same fields."""
    for name, tag in sorted(given.items()):
        literal, environment = _object(_object(tag).get("literal")), _object(_object(tag).get("environment"))
        header = _object(_object(tag).get("header"))
        if literal:
            yield Tag(name, "literal", str(literal.get("value", "")))
        elif environment:
            yield Tag(name, "environment", str(environment.get("name", "")), str(environment.get("defaultValue", "")))
        elif header:
            yield Tag(name, "header", str(header.get("name", "")), str(header.get("defaultValue", "")))


def _last(entries: Sequence[istio.Tracing], field: str, default: Any) -> Any:
    written = (getattr(entry, field) for entry in reversed(entries))
    return next((value for value in written if value is not None), default)


def _default(mesh: Mesh, kind: str) -> tuple[str, ...]:
    names = _object(mesh.config.get("defaultProviders")).get(kind)
    return tuple(name for name in names if isinstance(name, str)) if isinstance(names, list) else ()


def _mode(match: istio.TracingMatch | None) -> str | None:
    return match.mode if match else None


def _object(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}
