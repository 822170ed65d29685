"""Protobuf helpers that all parts of the gateway's configuration share."""

from __future__ import annotations

from typing import Any, TypeAlias, assert_never

from envoy.config.core.v3.config_source_pb2 import AggregatedConfigSource, ApiVersion, ConfigSource
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from envoy.type.v3.percent_pb2 import FractionalPercent
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration

from lockgate.gateway.model import Exact, Prefix, Regex, Suffix, TextMatch

Message: TypeAlias = Any  # Envoy's protobufs come without types

TYPE = "type.googleapis.com/"


def packed(message: Message) -> Message:
    """A message as `Any`, with the same bytes for equal messages."""
    return AnyMessage(type_url=TYPE + message.DESCRIPTOR.full_name, value=message.SerializeToString(deterministic=True))


def serialised(message: Message) -> bytes:
    return bytes(message.SerializeToString(deterministic=True))


def field(number: int, body: bytes) -> bytes:
    """One length-delimited field in wire format; `number` is below 16."""
    return bytes((number << 3 | 2,)) + _varint(len(body)) + body


def duration(seconds: float) -> Message:
    whole = int(seconds)
    return Duration(seconds=whole, nanos=round((seconds - whole) * 1e9))


def percent(value: float) -> Message:
    return FractionalPercent(numerator=round(value * 10_000), denominator=FractionalPercent.MILLION)


def ads(*, fetch_timeout: float | None = None) -> Message:
    """The config source of the ADS stream. Envoy waits `fetch_timeout` for the first response: 15 s by default, 0
    forever."""
    source = ConfigSource(ads=AggregatedConfigSource(), resource_api_version=ApiVersion.V3)
    if fetch_timeout is not None:
        source.initial_fetch_timeout.CopyFrom(duration(fetch_timeout))
    return source


def text(match: TextMatch) -> Message:
    match match:
        case Exact(value, ignore_case):
            return StringMatcher(exact=value, ignore_case=ignore_case)
        case Prefix(value, ignore_case):
            return StringMatcher(prefix=value, ignore_case=ignore_case)
        case Suffix(value):
            return StringMatcher(suffix=value)
        case Regex(pattern):
            return StringMatcher(safe_regex=RegexMatcher(regex=pattern))
        case _:
            assert_never(match)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
