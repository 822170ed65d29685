"""Spans of a load balancer's requests, from the records of its log.

AWS' load balancers emit no spans, so these say that they are synthetic. A span's trace is the one that the load
balancer hands on to the target: the client's, or that of X-Amzn-Trace-Id.

Source: OpenTelemetry's semantic conventions for HTTP spans.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

Record: TypeAlias = Mapping[str, Any]
Value: TypeAlias = str | int | bool


@dataclass(frozen=True, slots=True)
class Place:
    """The load balancer of a record, and the place in a manifest that made the rule, as ``file:line``, or ""."""

    load_balancer: str
    manifest: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """Identifiers are hexadecimal, times are nanoseconds of Unix time."""

    trace: str
    span: str
    parent: str
    name: str
    start: int
    end: int
    failed: bool
    attributes: tuple[tuple[str, Value], ...]


def span(record: Record, place: Place, identifier: Callable[[int], str]) -> Span | None:
    """None if the client's trace is not sampled, or the record is incomplete. `identifier` returns a random one of so
    many bytes, for a request that the load balancer answers itself: it hands on nothing."""
    start = _text(record, "start")
    if not start or _text(record, "flags") == "00":
        return None
    began = int(datetime.fromisoformat(start).timestamp() * 1_000_000) * 1000
    status = _number(record, "status")
    return Span(
        trace=_text(record, "trace") or identifier(16),
        span=_text(record, "span") or identifier(8),
        parent=_text(record, "parent"),
        name=_text(record, "method") or "HTTP",
        start=began,
        end=began + _number(record, "duration") * 1_000_000,
        failed=status >= 500 or status == 0,
        attributes=tuple(_attributes(record, place, status).items()),
    )


def _attributes(record: Record, place: Place, status: int) -> dict[str, Value]:
    path, _, query = (_text(record, "url_before") or _text(record, "path")).partition("?")
    rule = _text(record, "rule")
    found: dict[str, Value] = {
        "http.request.method": _text(record, "method"),
        "url.path": path,
        "url.query": query,
        "server.address": _text(record, "host_before") or _text(record, "host"),
        "client.address": _text(record, "client").rpartition(":")[0].strip("[]"),
        "network.protocol.version": _text(record, "protocol").removeprefix("HTTP/"),
        "user_agent.original": _text(record, "user_agent"),
        "lockgate.synthetic": True,
        "lockgate.load_balancer": place.load_balancer,
        "lockgate.listener": _number(record, "listener_port"),
        "lockgate.rule": rule if rule.isdigit() else "default",
        "lockgate.target_group": _text(record, "cluster").removeprefix("targetgroup/").partition("/")[0],
        "lockgate.target": _text(record, "target"),
        "lockgate.manifest": place.manifest,
        "aws.trace_id": _text(record, "trace_id"),
    }
    found = {name: value for name, value in found.items() if value != ""}
    return found | {"http.response.status_code": status} if status else found


def _text(record: Record, name: str) -> str:
    """Envoy writes - or null for what it does not know."""
    value = record.get(name)
    return "" if value in (None, "-") else str(value)


def _number(record: Record, name: str) -> int:
    text = _text(record, name)
    return int(text) if text.isdigit() else 0
