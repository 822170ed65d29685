"""Protobuf helpers of both Envoys' configurations."""

from __future__ import annotations

from typing import Any, TypeAlias

from envoy.config.core.v3.base_pb2 import HeaderValueOption
from envoy.config.core.v3.config_source_pb2 import AggregatedConfigSource, ApiVersion, ConfigSource
from envoy.type.v3.percent_pb2 import FractionalPercent
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

Message: TypeAlias = Any  # protobuf's generated classes carry no types

TYPE = "type.googleapis.com/"
OVERWRITE = HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
ADD_IF_ABSENT = HeaderValueOption.ADD_IF_ABSENT
ADD = HeaderValueOption.APPEND_IF_EXISTS_OR_ADD


def serialised(message: Message) -> bytes:
    """The same bytes for equal messages."""
    return bytes(message.SerializeToString(deterministic=True))


def pack(message: Message) -> Message:
    """A message as `Any`, with the same bytes for equal messages."""
    return AnyMessage(type_url=TYPE + message.DESCRIPTOR.full_name, value=serialised(message))


def field(number: int, body: bytes) -> bytes:
    """One length-delimited field in wire format; `number` is below 16."""
    return bytes((number << 3 | 2,)) + _varint(len(body)) + body


def boolean(value: bool) -> Message:
    return BoolValue(value=value)


def uint32(value: int) -> Message:
    return UInt32Value(value=value)


def duration(seconds: float) -> Message:
    whole = int(seconds)
    return Duration(seconds=whole, nanos=round((seconds - whole) * 1e9))


def percent(value: float) -> Message:
    return FractionalPercent(numerator=round(value * 10_000), denominator=FractionalPercent.MILLION)


def header(name: str, value: str, action: int = OVERWRITE) -> Message:
    """A header option. `value` is a format string: write ``%%`` for a percent sign."""
    return HeaderValueOption(header={"key": name, "value": value}, append_action=action)


def literal(text: str) -> str:
    """`text` as a format string that yields exactly `text`."""
    return text.replace("%", "%%")


def ads(*, fetch_timeout: float | None = None) -> Message:
    """The config source of the ADS stream. Envoy waits `fetch_timeout` for the first response: 15 s by default, 0
    forever."""
    source = ConfigSource(ads=AggregatedConfigSource(), resource_api_version=ApiVersion.V3)
    if fetch_timeout is not None:
        source.initial_fetch_timeout.CopyFrom(duration(fetch_timeout))
    return source


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
