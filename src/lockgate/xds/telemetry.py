"""The access loggers that count requests and connections by flow: see `flows`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog, AccessLogFilter
from google.protobuf.struct_pb2 import Struct
from xds.type.v3.typed_struct_pb2 import TypedStruct

from lockgate.xds.flows import CONFIG, LOGGER, SCOPE, connection_tag, request_tag
from lockgate.xds.protobuf import Message, pack
from lockgate.xds.watched import while_set

ENDED: Final = "TcpConnectionEnd"
_HISTOGRAMS: Final[Mapping[str, tuple[str, str]]] = {
    "durations": ("Milliseconds", "%DURATION%"),
    "received": ("Bytes", "%DOWNSTREAM_WIRE_BYTES_RECEIVED%"),
    "sent": ("Bytes", "%DOWNSTREAM_WIRE_BYTES_SENT%"),
}
_CLOSED: Final[Mapping[str, Mapping[str, Any]]] = {
    "closed": {"value_fixed": 1},
    "received": {"value_format": "%DOWNSTREAM_WIRE_BYTES_RECEIVED%"},
    "sent": {"value_format": "%DOWNSTREAM_WIRE_BYTES_SENT%"},
}


def request_log(listener: str, only_if: str = "") -> Message:
    """An access logger for the HTTP connections of a listener, which counts only while the runtime key `only_if` is
    100."""
    tags = [request_tag(listener)]
    histograms: list[Mapping[str, Any]] = [
        {"stat": {"name": name, "tags": tags}, "unit": unit, "value_format": value}
        for name, (unit, value) in _HISTOGRAMS.items()
    ]
    return _logger({"histograms": histograms}, while_set(only_if) if only_if else None)


def connection_logs(listener: str) -> Iterator[Message]:
    """Access loggers for the TCP proxy of a listener, which must log when it has connected, too."""
    tags = [connection_tag(listener)]
    opened = [{"stat": {"name": "opened", "tags": tags}, "value_fixed": 1}]
    yield _logger({"counters": opened}, only("TcpUpstreamConnected"))
    closed = [{"stat": {"name": name, "tags": tags}, **value} for name, value in _CLOSED.items()]
    yield _logger({"counters": closed}, only(ENDED))


def ended(log: Message) -> Message:
    """`log`, of a TCP proxy that logs connected connections too: only when a connection has ended."""
    both = AccessLogFilter(and_filter={"filters": [only(ENDED), log.filter]}) if log.HasField("filter") else only(ENDED)
    log.filter.CopyFrom(both)
    return log


def only(moment: str) -> Message:
    """A filter of access logs: only when a connection has come to this."""
    return AccessLogFilter(log_type_filter={"types": [moment]})


def _logger(config: Mapping[str, Any], when: Message | None = None) -> Message:
    """As a `TypedStruct`, because Python's generated classes do not know `stats_scope` yet."""
    value = Struct()
    value.update({"stats_scope": SCOPE, **config})
    typed = TypedStruct(type_url=CONFIG, value=value)
    return AccessLog(name=LOGGER, typed_config=pack(typed), filter=when)
