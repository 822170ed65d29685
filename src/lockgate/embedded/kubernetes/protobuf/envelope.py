"""Whole bodies: objects, lists and the events of a watch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from lockgate.embedded.kubernetes.exchange import UnsupportedMediaType
from lockgate.embedded.kubernetes.protobuf.messages import message_of
from lockgate.embedded.kubernetes.protobuf.reading import read
from lockgate.embedded.kubernetes.protobuf.wire import BYTES, Malformed, delimited, fields, tag
from lockgate.embedded.kubernetes.protobuf.writing import Unwritable, write
from lockgate.resources.model import JsonObject
from lockgate.resources.status import ApiError, BadRequest

_MAGIC: Final = b"k8s\0"
_FIRST, _SECOND = tag(1, BYTES), tag(2, BYTES)


def decode(body: bytes) -> JsonObject:
    """A body as JSON. Raises `UnsupportedMediaType` for a kind without messages, `BadRequest` for invalid bytes."""
    if not body.startswith(_MAGIC):
        raise BadRequest("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    try:
        envelope: dict[int, Any] = dict(fields(memoryview(body)[len(_MAGIC) :]))
        type_: dict[int, Any] = dict(fields(envelope.get(1, memoryview(b""))))
        api_version, kind = (bytes(type_.get(number, b"")).decode() for number in (1, 2))
        message = message_of(api_version, kind)
        if message is None:
            raise UnsupportedMediaType(
                "the body of the request was in an unknown format - accepted media types include: "
                "application/json, application/yaml"
            )
        return {"apiVersion": api_version, "kind": kind, **read(message, envelope.get(2, memoryview(b"")))}
    except (Malformed, TypeError, UnicodeDecodeError) as error:
        raise BadRequest(f"unable to decode protobuf: {error}") from error


class Encoder:
    """Writes objects of one kind. `api_version` is that of the request."""

    def __init__(self, message: str, api_version: str, kind: str) -> None:
        self._message = message
        self._api_version = api_version
        self._kind = kind

    @classmethod
    def of(cls, api_version: str, kind: str) -> Encoder | None:
        """None if the kind has no messages."""
        message = message_of(api_version, kind)
        return cls(message, api_version, kind) if message else None

    def message(self, body: JsonObject) -> bytes:
        """Raises `ApiError` for an object whose fields have other types than those of its kind."""
        try:
            return write(self._message, body)
        except Unwritable as error:
            name = (body.get("metadata") or {}).get("name", "")
            raise ApiError(f'{self._kind} "{name}" cannot be written as protobuf: {error}') from error

    def object(self, message: bytes) -> bytes:
        return _envelope(self._api_version, self._kind, message)

    def list(self, metadata: JsonObject, messages: Iterable[bytes]) -> bytes:
        head = delimited(_FIRST, write("meta/v1.ListMeta", metadata))
        items = b"".join([delimited(_SECOND, each) for each in messages])
        return _envelope(self._api_version, f"{self._kind}List", head + items)


def event(type_: str, object_: bytes) -> bytes:
    """The event of a watch, with its length before it."""
    body = delimited(_FIRST, type_.encode()) + delimited(_SECOND, delimited(_FIRST, object_))
    return len(body).to_bytes(4, "big") + body


def _envelope(api_version: str, kind: str, message: bytes) -> bytes:
    names: Sequence[str] = (api_version, kind)
    type_ = b"".join(delimited(start, name.encode()) for start, name in zip((_FIRST, _SECOND), names, strict=True))
    return _MAGIC + delimited(_FIRST, type_) + delimited(_SECOND, message)
