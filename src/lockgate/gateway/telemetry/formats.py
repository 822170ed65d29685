"""The formats of access logs in files: Istio's own, the mesh's, and those of extension providers.

Source: istio/istio `pilot/pkg/model/telemetry_logging.go`; istio/api `mesh/v1alpha1/config.proto`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from lockgate.resources.istio.extension_provider import AccessLogFormat
from lockgate.resources.model import JsonObject

_TEXT_PARTS: Final = (
    "[%START_TIME%]",
    '"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%"',
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS%",
    '"%UPSTREAM_TRANSPORT_FAILURE_REASON%"',
    "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%"',
    '"%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS%',
    "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%",
)
_SAME_NAME: Final = (
    "start_time",
    "route_name",
    "protocol",
    "response_code",
    "response_flags",
    "response_code_details",
    "connection_termination_details",
    "bytes_received",
    "bytes_sent",
    "duration",
    "upstream_host",
    "upstream_local_address",
    "downstream_local_address",
    "downstream_remote_address",
    "requested_server_name",
    "upstream_transport_failure_reason",
)
TEXT: Final = " ".join(_TEXT_PARTS) + "\n"
FIELDS: Final = {name: f"%{name.upper()}%" for name in _SAME_NAME} | {
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    "x_forwarded_for": "%REQ(X-FORWARDED-FOR)%",
    "user_agent": "%REQ(USER-AGENT)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "authority": "%REQ(:AUTHORITY)%",
    "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%",
}

WATCHED: Final = FIELDS | {
    "start_time": "%START_TIME(%Y-%m-%dT%H:%M:%E6SZ)%",
    "trace_id": "%REQ(X-AMZN-TRACE-ID)%",
    "sent": "%REQUEST_TX_DURATION%",
    "first": "%RESPONSE_DURATION%",
    "tls": "%DOWNSTREAM_TLS_VERSION%",
}
"""The fields of the log for those who watch an edge (`xds.watched`)."""


@dataclass(frozen=True, slots=True)
class LogFormat:
    """A line of text, or the JSON object (as text) of a line's fields."""

    text: str = ""
    fields: str = ""
    omit_empty: bool = False  # values that are not known, instead of "-" and null


def of_mesh(config: JsonObject) -> LogFormat:
    """The format that `meshConfig` sets."""
    given = config.get("accessLogFormat") or ""
    if config.get("accessLogEncoding") == "JSON":
        return LogFormat(fields=json.dumps(_object(given) or FIELDS))
    return LogFormat(_line(given if isinstance(given, str) else ""))


def of_provider(given: AccessLogFormat | None, *, omit_empty: bool) -> LogFormat:
    """Text unless labels are given, of which an empty object stands for Istio's own."""
    if given is None or given.labels is None:
        return LogFormat(_line(given.text if given else ""), omit_empty=omit_empty)
    return LogFormat(fields=json.dumps(given.labels or FIELDS), omit_empty=omit_empty)


def _line(text: str) -> str:
    return TEXT if not text else text if text.endswith("\n") else text + "\n"


def _object(text: Any) -> JsonObject | None:
    """istiod keeps its own fields if it cannot read those that are given."""
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        return None
    return found if isinstance(found, dict) else None
