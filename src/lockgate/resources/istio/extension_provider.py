"""Extension providers of meshConfig: servers that decide about requests, access logs, and tracers.

Source: istio/api `mesh/v1alpha1/config.proto`.
"""

from __future__ import annotations

from pydantic import Field

from lockgate.resources.model import Flag, Integer, JsonObject, Model


class CheckedBody(Model):
    max_request_bytes: Integer = 0
    allow_partial_message: Flag = False
    pack_as_bytes: Flag = False


class ExtAuthzGrpc(Model):
    service: str = ""
    port: Integer = 0
    timeout: str | None = None
    fail_open: Flag = False
    status_on_error: str = ""
    clear_route_cache: Flag = False
    include_request_body_in_check: CheckedBody | None = None


class ExtAuthzHttp(ExtAuthzGrpc):
    path_prefix: str = ""
    include_headers_in_check: tuple[str, ...] = ()  # older than `include_request_headers_in_check`
    include_request_headers_in_check: tuple[str, ...] = ()
    include_additional_headers_in_check: dict[str, str] = Field(default_factory=dict)
    headers_to_upstream_on_allow: tuple[str, ...] = ()
    headers_to_downstream_on_deny: tuple[str, ...] = ()
    headers_to_downstream_on_allow: tuple[str, ...] = ()


class AccessLogFormat(Model):
    text: str = ""
    labels: JsonObject | None = None


class FileAccessLog(Model):
    path: str = ""
    log_format: AccessLogFormat | None = None
    omit_empty_values: Flag = False


class TcpAccessLogService(Model):
    service: str = ""
    port: Integer = 0
    log_name: str = ""
    filter_state_objects_to_log: tuple[str, ...] = ()


class HttpAccessLogService(TcpAccessLogService):
    additional_request_headers_to_log: tuple[str, ...] = ()
    additional_response_headers_to_log: tuple[str, ...] = ()
    additional_response_trailers_to_log: tuple[str, ...] = ()


class OpenTelemetryAccessLog(Model):
    service: str = ""
    port: Integer = 0
    log_name: str = ""
    log_format: AccessLogFormat | None = None


class ExtensionProvider(Model):
    """Tracers are kept as written."""

    name: str = ""
    envoy_ext_authz_http: ExtAuthzHttp | None = None
    envoy_ext_authz_grpc: ExtAuthzGrpc | None = None
    envoy_file_access_log: FileAccessLog | None = None
    envoy_http_als: HttpAccessLogService | None = None
    envoy_tcp_als: TcpAccessLogService | None = None
    envoy_otel_als: OpenTelemetryAccessLog | None = None
    opentelemetry: JsonObject | None = None
    zipkin: JsonObject | None = None
    datadog: JsonObject | None = None
    skywalking: JsonObject | None = None
    lightstep: JsonObject | None = None
    prometheus: JsonObject | None = None
