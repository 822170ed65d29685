"""Protobuf helpers of this package."""

from __future__ import annotations

from typing import Any

from envoy.config.core.v3.base_pb2 import HeaderValueOption
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

Message = Any  # protobuf's generated classes carry no types

OVERWRITE = HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
ADD_IF_ABSENT = HeaderValueOption.ADD_IF_ABSENT
ADD = HeaderValueOption.APPEND_IF_EXISTS_OR_ADD


def pack(message: Message) -> Message:
    """A message as `Any`, with the same bytes for equal messages."""
    return AnyMessage(
        type_url=f"type.googleapis.com/{message.DESCRIPTOR.full_name}",
        value=message.SerializeToString(deterministic=True),
    )


def true() -> Message:
    return BoolValue(value=True)


def false() -> Message:
    return BoolValue(value=False)


def uint32(value: int) -> Message:
    return UInt32Value(value=value)


def seconds(value: int) -> Message:
    return Duration(seconds=value)


def milliseconds(value: int) -> Message:
    return Duration(seconds=value // 1000, nanos=value % 1000 * 1_000_000)


def header(name: str, value: str, action: int = OVERWRITE) -> Message:
    """A header option. `value` is a format string: write ``%%`` for a percent sign."""
    return HeaderValueOption(header={"key": name, "value": value}, append_action=action)


def literal(text: str) -> str:
    """`text` as a format string that yields exactly `text`."""
    return text.replace("%", "%%")
