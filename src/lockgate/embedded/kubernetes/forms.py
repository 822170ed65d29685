"""The forms of answers: objects, their metadata or table rows, as JSON, YAML or protobuf, and the events of watches."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lockgate.embedded.kubernetes import protobuf, tables
from lockgate.embedded.kubernetes.catalogue import is_built_in
from lockgate.embedded.kubernetes.exchange import Answer, Listing, NotAcceptable, Request, encoded, warning_headers
from lockgate.embedded.kubernetes.history import Stored
from lockgate.embedded.kubernetes.negotiation import PROTOBUF, YAML, Acceptable, Media, Shape, acceptable
from lockgate.resources.model import JsonObject, Kind
from lockgate.resources.status import BadRequest

_CONTENT_TYPES: dict[Media, str] = {"json": "application/json", "yaml": YAML, "protobuf": PROTOBUF}
_PARTIAL = ("meta.k8s.io/v1", "PartialObjectMetadata")


def answered(request: Request, body: JsonObject, status: int = 200, warnings: Sequence[str] = ()) -> Answer:
    """An object of any kind, in the form that the client prefers. Raises `NotAcceptable`."""
    accepts = acceptable(request.headers.get("accept", ""))
    headers = warning_headers(warnings)
    if accepts.media == "protobuf":
        encoder = _encoder(body["apiVersion"], body["kind"])
        return Answer(encoder.object(encoder.message(body)), status, PROTOBUF, headers)
    text = encoded(body)
    return Answer(_yaml(text) if accepts.media == "yaml" else text, status, _CONTENT_TYPES[accepts.media], headers)


def refused(request: Request | None, status: JsonObject, code: int, headers: tuple[tuple[str, str], ...]) -> Answer:
    """A Status, as protobuf or YAML if that is what the client prefers, and otherwise as JSON."""
    if request is not None:
        try:
            found = answered(request, status, code)
            return Answer(found.body, code, found.content_type, headers)
        except NotAcceptable:
            pass
    return Answer(encoded(status), code, headers=headers)


def _encoder(api_version: str, kind: str) -> protobuf.Encoder:
    """Raises `NotAcceptable` for users' kinds."""
    encoder = protobuf.Encoder.of(api_version, kind)
    if encoder is None:
        raise NotAcceptable(
            "object *unstructured.Unstructured does not implement the protobuf marshalling interface and cannot be "
            f"encoded to a protobuf message: {kind} has no protobuf form, so request application/json"
        )
    return encoder


@dataclass(frozen=True, slots=True)
class Form:
    """The form in which a client reads objects of one kind. Use `Form.of`."""

    kind: Kind
    api_version: str
    accepts: Acceptable
    include: str
    now: Callable[[], datetime]
    encoder: protobuf.Encoder | None = field(default=None)

    @classmethod
    def of(cls, request: Request, kind: Kind, api_version: str, now: Callable[[], datetime]) -> Form:
        """Raises `NotAcceptable`."""
        has_protobuf = protobuf.Encoder.of(api_version, kind.kind) is not None
        accepts = acceptable(request.headers.get("accept", ""), has_protobuf=has_protobuf)
        include = request.query.get("includeObject") or "Metadata"
        if accepts.shape == "table" and include not in ("Metadata", "Object", "None"):
            why = f"Invalid value: \"{include}\": must be 'Metadata', 'Object', 'None', or empty"
            raise BadRequest(f"Unable to convert to Table as requested: includeObject: {why}")
        encoder = None
        if accepts.media == "protobuf":
            encoder = _encoder(*(_PARTIAL if accepts.shape == "metadata" else (api_version, kind.kind)))
        return cls(kind, api_version, accepts, include, now, encoder)

    @property
    def shape(self) -> Shape:
        return self.accepts.shape

    def answer(self, stored: Stored, status: int = 200, warnings: Sequence[str] = ()) -> Answer:
        if self.accepts.kind == f"{_PARTIAL[1]}List":
            why = f"but the requested object is not a list ({self.kind.kind})"
            raise NotAcceptable(f"you requested {self.accepts.kind}, {why}")
        body = self._object(stored)
        if self.accepts.media == "yaml":
            body = _yaml(body)
        return Answer(body, status, _CONTENT_TYPES[self.accepts.media], warning_headers(warnings))

    def listing(self, objects: Iterable[Stored], metadata: Callable[[], JsonObject]) -> Listing:
        """`metadata` is called after the last object. Raises `NotAcceptable`."""
        if self.accepts.kind == _PARTIAL[1]:
            why = f"but the requested object is a list ({self.kind.kind}List)"
            raise NotAcceptable(f"you requested {self.accepts.kind}, {why}")
        if (encoder := self.encoder) is not None:
            messages = map(self._message, objects)
            return Listing(messages, lambda made: Answer(encoder.list(metadata(), made), content_type=PROTOBUF))
        version = self.api_version
        items: Iterable[bytes]
        match self.shape:
            case "table":
                bodies = map(self._of_cells, objects)
                items = map(encoded, tables.rows(self.kind, bodies, include=self.include, now=self.now()))
                return Listing(items, lambda made: self._joined(tables.head(self.kind, metadata()), "rows", made))
            case "metadata":
                partial = {"kind": f"{_PARTIAL[1]}List", "apiVersion": _PARTIAL[0]}
                items = (encoded(_metadata_only(stored.json)) for stored in objects)
                return Listing(items, lambda made: self._joined({**partial, "metadata": metadata()}, "items", made))
            case "object":
                head = {"kind": f"{self.kind.kind}List", "apiVersion": version}
                items = (stored.encoded(version) for stored in objects)
                return Listing(items, lambda made: self._joined({**head, "metadata": metadata()}, "items", made))

    def _joined(self, head: JsonObject, name: str, made: list[bytes]) -> Answer:
        body = b'%s,"%s":[%s]}' % (encoded(head)[:-1], name.encode(), b",".join(made))
        return Answer(
            _yaml(body) if self.accepts.media == "yaml" else body, content_type=_CONTENT_TYPES[self.accepts.media]
        )

    # The events of a watch

    @property
    def stream_type(self) -> str:
        return f"{PROTOBUF};stream=watch" if self.encoder else "application/json"

    def event(self, type_: str, stored: Stored) -> bytes:
        return self._event(type_, self._object(stored))

    def bookmark(self, metadata: JsonObject) -> bytes:
        partial = self.shape == "metadata"
        version, kind = _PARTIAL if partial else (self.api_version, self.kind.kind)
        body: JsonObject = {"kind": kind, "apiVersion": version, "metadata": metadata}
        if self.encoder is not None:
            return self._event("BOOKMARK", self.encoder.object(self.encoder.message(body)))
        if self.shape == "table":
            body = {**tables.head(self.kind, metadata), "rows": []}
        return self._event("BOOKMARK", encoded(body))

    def error(self, status: JsonObject) -> bytes:
        if self.encoder is None:
            return self._event("ERROR", encoded(status))
        encoder = _encoder("v1", "Status")
        return self._event("ERROR", encoder.object(encoder.message(status)))

    def _event(self, type_: str, body: bytes) -> bytes:
        if self.encoder is not None:
            return protobuf.event(type_, body)
        return b'{"type":"%s","object":%s}\n' % (type_.encode(), body)

    def _object(self, stored: Stored) -> bytes:
        if self.encoder is not None:
            return self.encoder.object(self._message(stored))
        match self.shape:
            case "object":
                return stored.encoded(self.api_version)
            case "metadata":
                return encoded(_metadata_only(stored.json))
            case "table":
                body = self._of_cells(stored)
                revision = {"resourceVersion": str(stored.revision)}
                return encoded(
                    tables.table(self.kind, [body], list_metadata=revision, include=self.include, now=self.now())
                )

    def _of_cells(self, stored: Stored) -> JsonObject:
        """What the cells of a table are made of: of built-in kinds the stored fields, whatever their version."""
        if is_built_in(self.kind.group):
            return {**stored.json, "apiVersion": self.api_version}
        return stored.body(self.api_version)

    def _message(self, stored: Stored) -> bytes:
        assert self.encoder is not None
        if self.shape == "metadata":
            return self.encoder.message({"metadata": stored.json["metadata"]})
        return stored.message(self.api_version, self.encoder.message)


def _metadata_only(body: JsonObject) -> JsonObject:
    return {"kind": _PARTIAL[1], "apiVersion": _PARTIAL[0], "metadata": body["metadata"]}


def _yaml(text: bytes) -> bytes:
    import yaml

    dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    written: str = yaml.dump(json.loads(text), Dumper=dumper, allow_unicode=True, default_flow_style=False)
    return written.encode()
