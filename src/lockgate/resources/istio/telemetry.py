"""Telemetry: which traces, metrics and access logs proxies write (istio/api `telemetry/v1alpha1/telemetry.proto`)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from lockgate.resources.istio.selectors import PolicySelector, TargetReference
from lockgate.resources.meta import AGE
from lockgate.resources.model import Flag, JsonObject, Kind, Model, Number, Resource, register

_Mode = Literal["CLIENT_AND_SERVER", "CLIENT", "SERVER"]


class TelemetryProvider(Model):
    name: str


class TracingMatch(Model):
    mode: _Mode | None = None


class TagLiteral(Model):
    value: str


class TagSource(Model):
    name: str
    default_value: str = ""


class TagFormatter(Model):
    value: str


class CustomTag(Model):
    AT_MOST_ONE: ClassVar[tuple[tuple[str, ...], ...]] = (("literal", "environment", "header", "formatter"),)

    literal: TagLiteral | None = None
    environment: TagSource | None = None
    header: TagSource | None = None
    formatter: TagFormatter | None = None


class Tracing(Model):
    match: TracingMatch | None = None
    providers: tuple[TelemetryProvider, ...] = ()
    random_sampling_percentage: Number | None = None
    disable_span_reporting: Flag | None = None
    custom_tags: dict[str, CustomTag] = Field(default_factory=dict)
    use_request_id: Flag | None = Field(default=None, alias="useRequestIdForTraceSampling")
    enable_istio_tags: Flag | None = None
    disable_context_propagation: Flag | None = None


class MetricMatch(Model):
    AT_MOST_ONE: ClassVar[tuple[tuple[str, ...], ...]] = (("metric", "customMetric"),)

    metric: (
        Literal[
            "ALL_METRICS",
            "REQUEST_COUNT",
            "REQUEST_DURATION",
            "REQUEST_SIZE",
            "RESPONSE_SIZE",
            "TCP_OPENED_CONNECTIONS",
            "TCP_CLOSED_CONNECTIONS",
            "TCP_SENT_BYTES",
            "TCP_RECEIVED_BYTES",
            "GRPC_REQUEST_MESSAGES",
            "GRPC_RESPONSE_MESSAGES",
        ]
        | None
    ) = None
    custom_metric: str | None = None
    mode: _Mode | None = None


class TagOverride(Model):
    operation: Literal["UPSERT", "REMOVE"] | None = None
    value: str = ""


class MetricOverride(Model):
    match: MetricMatch | None = None
    disabled: Flag | None = None
    tag_overrides: dict[str, TagOverride] = Field(default_factory=dict)


class Metrics(Model):
    providers: tuple[TelemetryProvider, ...] = ()
    overrides: tuple[MetricOverride, ...] = ()
    reporting_interval: str | None = None


class AccessLogFilter(Model):
    expression: str = ""


class AccessLogging(Model):
    match: TracingMatch | None = None
    providers: tuple[TelemetryProvider, ...] = ()
    disabled: Flag | None = None
    filter: AccessLogFilter | None = None


class TelemetrySpec(Model):
    AT_MOST_ONE: ClassVar[tuple[tuple[str, ...], ...]] = (("selector", "targetRef", "targetRefs"),)

    selector: PolicySelector | None = None
    target_ref: TargetReference | None = None
    target_refs: tuple[TargetReference, ...] = ()
    tracing: tuple[Tracing, ...] = ()
    metrics: tuple[Metrics, ...] = ()
    access_logging: tuple[AccessLogging, ...] = ()


@register
class Telemetry(Resource):
    KIND: ClassVar[Kind] = Kind(
        "telemetry.istio.io",
        ("v1", "v1alpha1"),
        "Telemetry",
        "telemetries",
        short_names=("telemetry",),
        categories=("istio-io", "telemetry-istio-io"),
        columns=(AGE,),
    )

    spec: TelemetrySpec = Field(default_factory=TelemetrySpec)
    status: JsonObject = Field(default_factory=dict)
