"""Requests, from what both Envoys log of them (`xds.watched`), and their way through the graph.

The load balancer's Envoy and the gateway's log the same request, each in its own file. They belong together by the
X-Amzn-Trace-Id header, which the load balancer makes unique. Whichever record comes first waits for the other.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from lockgate.console.reasons import gateway_reason, load_balancer_reason
from lockgate.console.ways import Ways

Record: TypeAlias = Mapping[str, Any]

_WAITS = 2.0  # s for the other record of a request
_MOST_WAITING = 20_000


@dataclass(frozen=True, slots=True)
class Step:
    """A hop that a request really took: the node of the graph, what is known of it, and its milliseconds."""

    node: str
    text: str = ""
    milliseconds: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """`status` is 0 if the client got no answer. `by` is who answered, and `reason` is a sentence about an error."""

    time: float
    method: str
    host: str
    path: str
    protocol: str
    status: int
    milliseconds: int
    by: str
    reason: str
    client: str
    trace_id: str
    steps: tuple[Step, ...]
    raw: tuple[str, ...] = field(default=(), repr=False)
    """The records as JSON: as objects, a thousand of them would be megabytes."""

    @property
    def failed(self) -> bool:
        """Whether a server is to blame: a status of 5xx, or no answer."""
        return self.status >= 500 or self.status == 0

    def as_json(self, number: int) -> dict[str, Any]:
        return {
            "id": number,
            "time": round(self.time, 3),
            "method": self.method,
            "host": self.host,
            "path": self.path,
            "protocol": self.protocol,
            "status": self.status,
            "ms": self.milliseconds,
            "by": self.by,
            "reason": self.reason,
            "client": self.client,
            "steps": [[step.node, step.text, step.milliseconds] for step in self.steps],
        }


class Joining:
    """Records in, requests out. Times are Unix time."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, tuple[float, Record | None, Record | None]] = OrderedDict()

    def load_balancer(self, record: Record, ways: Ways, now: float) -> Iterator[Request]:
        if not ways.expects_gateway(record):
            yield _request(record, None, ways)
            return
        yield from self._met(_text(record, "trace_id"), record, None, ways, now)

    def gateway(self, record: Record, ways: Ways, now: float) -> Iterator[Request]:
        """`record` names its gateway: its node ID is the field `node`."""
        yield from self._met(_text(record, "trace_id"), None, record, ways, now)

    def overdue(self, ways: Ways, now: float) -> Iterator[Request]:
        """Requests of which only one Envoy knows."""
        while self._waiting:
            since, balancer, gateway = next(iter(self._waiting.values()))
            if now - since < _WAITS and len(self._waiting) <= _MOST_WAITING:
                return
            self._waiting.popitem(last=False)
            yield _request(balancer, gateway, ways)

    def _met(
        self, trace: str, balancer: Record | None, gateway: Record | None, ways: Ways, now: float
    ) -> Iterator[Request]:
        if not trace:
            yield _request(balancer, gateway, ways)
            return
        since, other, another = self._waiting.pop(trace, (now, None, None))
        if (balancer and other) or (gateway and another):  # the gateway's retries have the same ID
            yield _request(other, another, ways)
            other = another = None
        balancer, gateway = balancer or other, gateway or another
        if balancer and gateway:
            yield _request(balancer, gateway, ways)
        else:
            self._waiting[trace] = (since, balancer, gateway)


def _request(balancer: Record | None, gateway: Record | None, ways: Ways) -> Request:
    first = balancer or gateway
    assert first is not None
    steps = tuple(_steps(balancer, gateway, ways))
    status = _number(balancer, "status") if balancer else _number(gateway, "response_code")
    by, reason = _ending(balancer, gateway, status)
    started = _text(first, "start") or _text(first, "start_time")
    client = _text(balancer, "client") if balancer else _text(gateway, "downstream_remote_address")
    return Request(
        time=datetime.fromisoformat(started).timestamp() if started else 0.0,
        method=_text(first, "method"),
        host=(_text(first, "host_before") or _text(first, "host")) if balancer else _text(first, "authority"),
        path=_text(first, "url_before") or _text(first, "path"),
        protocol=_text(first, "protocol"),
        status=status,
        milliseconds=_number(first, "duration"),
        by=by,
        reason=reason,
        client=client,
        trace_id=_text(first, "trace_id"),
        steps=steps,
        raw=tuple(json.dumps(each) for each in (balancer, gateway) if each),
    )


def _steps(balancer: Record | None, gateway: Record | None, ways: Ways) -> Iterator[Step]:
    yield Step("client", _text(balancer or gateway, "user_agent"))
    if balancer:
        listener, dns, rule, group = ways.through_load_balancer(balancer)
        if dns:
            yield Step(dns)
        if listener:
            secure = " ".join(filter(None, (_text(balancer, "tls"), _text(balancer, "cipher"))))
            yield Step(listener, secure, _number(balancer, "duration"))
        if rule:
            yield Step(rule)
        if group:
            waited = _difference(balancer, "sent", "first")
            yield Step(group, f"to {_text(balancer, 'target')}" if _text(balancer, "target") else "", waited)
        if group and gateway is None and (service := ways.service_of_group(group)):
            yield Step(service)
    if gateway:
        at, route, service = ways.through_gateway(gateway)
        if balancer is None:
            yield from map(Step, ways.through_network_load_balancer(at, _text(gateway, "authority")))
        if at:
            yield Step(at, _text(gateway, "tls"), _number(gateway, "duration"))
        if route:
            yield Step(route, _text(gateway, "route_name"))
        if service:
            waited = _difference(gateway, "sent", "first")
            yield Step(service, f"to {_text(gateway, 'upstream_host') or 'no endpoint'}", waited)


def _ending(balancer: Record | None, gateway: Record | None, status: int) -> tuple[str, str]:
    if gateway is not None:
        passed_on = balancer is None or _text(balancer, "details") == "via_upstream"
        if passed_on or _text(balancer, "details") == "":
            by = "service" if _text(gateway, "response_code_details") == "via_upstream" else "gateway"
            return by, gateway_reason(gateway, by) if status >= 400 or status == 0 else ""
    assert balancer is not None or gateway is not None
    if balancer is None:
        return "gateway", ""
    by = "target" if _text(balancer, "details") == "via_upstream" else "load balancer"
    return by, load_balancer_reason(balancer, by) if status >= 400 or status == 0 else ""


def _text(record: Record | None, name: str) -> str:
    value = record.get(name) if record else None
    return "" if value is None or value == "-" else str(value)


def _number(record: Record | None, name: str) -> int:
    text = _text(record, name)
    return int(text) if text.isdigit() else 0


def _difference(record: Record, first: str, second: str) -> int | None:
    one, other = _text(record, first), _text(record, second)
    return max(int(other) - int(one), 0) if one.isdigit() and other.isdigit() else None
