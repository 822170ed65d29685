"""Access logs and traces as plain values, in Istio's and Envoy's nouns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from lockgate.gateway.telemetry.formats import LogFormat
from lockgate.metrics.overrides import Override
from lockgate.resources.faults import Origin


@dataclass(frozen=True, slots=True)
class FileLog:
    """Lines in the log of the gateway's Envoy, whichever file the provider names: a Pod's files exist nowhere here."""

    format: LogFormat


@dataclass(frozen=True, slots=True)
class GrpcLog:
    """Entries that are streamed to a service, in Envoy's own protocol. TCP entries have no fields of requests."""

    kind: Literal["HTTP", "TCP"]
    host: str
    port: int
    name: str
    filter_state: tuple[str, ...] = ()
    request_headers: tuple[str, ...] = ()
    response_headers: tuple[str, ...] = ()
    response_trailers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenTelemetryLog:
    """Entries that are streamed to a service over OTLP: `text` is the body, `attributes` is a JSON object."""

    host: str
    port: int
    name: str
    text: str
    attributes: str = ""


LogSink: TypeAlias = FileLog | GrpcLog | OpenTelemetryLog


@dataclass(frozen=True, slots=True)
class AccessLog:
    """`expression` is in CEL; a request for which it is not true is not logged."""

    sink: LogSink
    provider: str = ""  # the extension provider; empty if it is meshConfig's own log
    expression: str = ""
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag of each span: a text, an environment variable, a request header, or a format of access logs."""

    name: str
    kind: Literal["literal", "environment", "header", "formatter"]
    value: str
    default: str = ""


@dataclass(frozen=True, slots=True)
class Tracing:
    """`kind` is the provider's field in meshConfig, such as ``opentelemetry``, and `settings` its value as JSON.
    `sampling` is the percentage of requests without a decision of their own that are traced."""

    provider: str
    kind: str
    settings: str
    sampling: float
    tags: tuple[Tag, ...] = ()
    max_path_length: int | None = None
    request_id_decides: bool = True  # the sampling decision is written into the request ID
    istio_tags: bool = True
    propagates: bool = True  # the trace's headers are sent on
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Collector:
    """A collector of spans on this machine: over OTLP/HTTP at `path`, or over gRPC without one."""

    host: str
    port: int
    path: str = ""

    @property
    def authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Telemetry:
    """With `unmatched`, connections that match no filter chain are logged, too."""

    access_logs: tuple[AccessLog, ...] = ()
    unmatched: bool = True
    tracing: Tracing | None = None
    metrics: tuple[tuple[str, Override], ...] = ()  # what changes, by family

    @property
    def services(self) -> tuple[tuple[str, int, Origin | None], ...]:
        """Host and port of the services that receive logs."""
        sinks = ((log.sink, log.origin) for log in self.access_logs)
        return tuple((sink.host, sink.port, origin) for sink, origin in sinks if not isinstance(sink, FileLog))


NO_TELEMETRY = Telemetry()
