"""Access logs: those that Telemetries and the mesh ask for, and this edge's own.

Source: istio/istio `pilot/pkg/networking/core/accesslog.go`, `pilot/pkg/model/telemetry_logging.go`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog as AccessLogConfig
from envoy.config.accesslog.v3.accesslog_pb2 import AccessLogFilter
from envoy.config.core.v3.config_source_pb2 import ApiVersion
from envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from envoy.extensions.access_loggers.filters.cel.v3.cel_pb2 import ExpressionFilter
from envoy.extensions.access_loggers.grpc.v3.als_pb2 import (
    CommonGrpcAccessLogConfig,
    HttpGrpcAccessLogConfig,
    TcpGrpcAccessLogConfig,
)

from lockgate.gateway.telemetry import model
from lockgate.gateway.telemetry.formats import WATCHED
from lockgate.xds.protobuf import Message, duration, pack
from lockgate.xds.watched import watched_log

_HTTP, _TCP = "envoy.access_loggers.http_grpc", "envoy.access_loggers.tcp_grpc"
_CEL = "envoy.access_loggers.extension_filters.cel"


@dataclass(frozen=True, slots=True)
class AccessLog:
    """The destinations of this edge's own logs: a cluster in Envoy's bootstrap with its log service, and the log's
    name; the file for requests that somebody watches; and the collector of spans. Empty ones are left out."""

    cluster: str = ""
    name: str = ""
    watched: str = ""
    collector: model.Collector | None = None


def of_requests(logs: tuple[model.AccessLog, ...], own: AccessLog | None, port: int) -> Iterator[Message]:
    """The logs of an HTTP chain; `port` is its listener's as Istio sees it."""
    if own and own.cluster:
        config = HttpGrpcAccessLogConfig(common_config=_stream(own))
        yield AccessLogConfig(name=_HTTP, typed_config=pack(config))
    if own and own.watched:
        yield watched_log({**WATCHED, "port": str(port)}, own.watched)
    yield from map(_log, logs)


def of_connections(logs: tuple[model.AccessLog, ...], own: AccessLog | None) -> Iterator[Message]:
    """The logs of a chain without HTTP."""
    if own and own.cluster:
        config = TcpGrpcAccessLogConfig(common_config=_stream(own))
        yield AccessLogConfig(name=_TCP, typed_config=pack(config))
    yield from map(_log, logs)


def of_unmatched(telemetry: model.Telemetry, own: AccessLog | None) -> Iterator[Message]:
    """The logs of a listener: of connections that match no chain, for example because of their SNI."""
    for log in of_connections(telemetry.access_logs if telemetry.unmatched else (), own):
        unmatched = AccessLogFilter()
        unmatched.response_flag_filter.flags.append("NR")
        if log.HasField("filter"):
            both = AccessLogFilter()
            both.and_filter.filters.extend((unmatched, log.filter))
            unmatched = both
        log.filter.CopyFrom(unmatched)
        yield log


def _log(log: model.AccessLog) -> Message:
    name, config = _sink(log.sink)
    message = AccessLogConfig(name=name, typed_config=pack(config))
    if log.expression:
        message.filter.extension_filter.name = _CEL
        message.filter.extension_filter.typed_config.CopyFrom(pack(ExpressionFilter(expression=log.expression)))
    return message


def _sink(sink: model.LogSink) -> tuple[str, Message]:
    match sink:
        case model.FileLog(given):
            form = SubstitutionFormatString(omit_empty_values=given.omit_empty)
            if given.fields:
                form.json_format.update(json.loads(given.fields))
            else:
                form.text_format_source.inline_string = given.text
            return "envoy.access_loggers.file", FileAccessLog(path="/dev/stdout", log_format=form)
        case model.GrpcLog("HTTP"):
            return _HTTP, HttpGrpcAccessLogConfig(
                common_config=_service(sink, sink.filter_state),
                additional_request_headers_to_log=sink.request_headers,
                additional_response_headers_to_log=sink.response_headers,
                additional_response_trailers_to_log=sink.response_trailers,
            )
        case model.GrpcLog():
            return _TCP, TcpGrpcAccessLogConfig(common_config=_service(sink, sink.filter_state))
        case model.OpenTelemetryLog():
            return "envoy.access_loggers.open_telemetry", _open_telemetry(sink)
        case _:
            assert_never(sink)


def _open_telemetry(sink: model.OpenTelemetryLog) -> Message:
    # Its types take a fifth of a second to import, and few edges have such a log.
    from envoy.extensions.access_loggers.open_telemetry.v3.logs_service_pb2 import OpenTelemetryAccessLogConfig

    config = OpenTelemetryAccessLogConfig(common_config=_service(sink, ()), disable_builtin_labels=True)
    config.body.string_value = sink.text
    for name, value in json.loads(sink.attributes or "{}").items():
        config.attributes.values.add(key=name).value.string_value = str(value)
    return config


def _service(sink: model.GrpcLog | model.OpenTelemetryLog, state: tuple[str, ...]) -> Message:
    config = CommonGrpcAccessLogConfig(
        log_name=sink.name, transport_api_version=ApiVersion.V3, filter_state_objects_to_log=state
    )
    config.grpc_service.envoy_grpc.cluster_name = f"outbound|{sink.port}||{sink.host}"
    config.grpc_service.envoy_grpc.authority = sink.host
    return config


def _stream(log: AccessLog) -> Message:
    config = CommonGrpcAccessLogConfig(log_name=log.name, transport_api_version=ApiVersion.V3)
    config.grpc_service.envoy_grpc.cluster_name = log.cluster
    config.buffer_flush_interval.CopyFrom(duration(1))
    return config
