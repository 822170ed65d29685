"""The part of Prometheus' HTTP API that Kiali and Grafana's panels use, over the samples of `Traffic`.

Source: Prometheus' documentation, "HTTP API".
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qs

from lockgate.embedded.asgi import Receive, Scope, Send
from lockgate.metrics.promql import QueryError, Result, Steps, evaluate
from lockgate.metrics.promql.model import MAX_LENGTH, Scalar, Text, Vector
from lockgate.metrics.store import Labels
from lockgate.runtime.traffic import STEP, Traffic

VERSION: Final = "2.42.0"  # of which queries mean the same here
_MAX_BODY: Final = 4 * MAX_LENGTH  # a query that is URL-encoded
_LABEL_VALUES: Final = "/api/v1/label/"


class PrometheusApi:
    """An ASGI application."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            status, body = 200, {"status": "success", "data": await self._data(scope, receive)}
        except QueryError as error:
            status = 422 if error.kind == "execution" else 400
            body = {"status": "error", "errorType": error.kind, "error": str(error)}
        except LookupError:
            status = 404
            body = {"status": "error", "errorType": "not_found", "error": f"Lockgate does not serve {scope['path']}"}
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})

    async def _data(self, scope: Scope, receive: Receive) -> object:
        """Raises `QueryError`, and LookupError for a path that is not served."""
        path = scope["path"]
        if path in _FACTS:
            return _FACTS[path]
        if path == "/api/v1/status/runtimeinfo":
            return {"storageRetention": f"{self._traffic.store.retention / 3600:g}h"}
        asked = _Parameters(await _form(scope, receive))
        match path:
            case "/api/v1/query":
                return _instant(await self._evaluated(asked.text("query"), asked.at("time")))
            case "/api/v1/query_range":
                steps = Steps.over(asked.time("start"), asked.time("end"), asked.duration("step"))
                return _range(await self._evaluated(asked.text("query"), steps))
        if path.startswith(_LABEL_VALUES) and path.endswith("/values"):
            return self._traffic.store.values(path.removeprefix(_LABEL_VALUES).removesuffix("/values"))
        raise LookupError(path)

    async def _evaluated(self, query: str, steps: Steps) -> Result:
        async with self._traffic.lock:
            return await asyncio.to_thread(evaluate, query, self._traffic.store, steps)


_FACTS: Final[Mapping[str, object]] = {
    "/-/healthy": "Lockgate is healthy.",
    "/-/ready": "Lockgate is ready.",
    "/api/v1/status/buildinfo": {
        "version": VERSION,
        "revision": "lockgate",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    },
    "/api/v1/status/config": {"yaml": f"global:\n  scrape_interval: {STEP:g}s\n"},
}


class _Parameters:
    """The parameters of a request. Methods raise `QueryError`."""

    def __init__(self, given: Mapping[str, list[str]]) -> None:
        self._given = given

    def text(self, name: str) -> str:
        if name not in self._given:
            raise QueryError(f"parameter {name} is missing")
        return self._given[name][0]

    def at(self, name: str) -> Steps:
        """One time; now if it is missing."""
        return Steps.at(self.time(name) if name in self._given else datetime.now().timestamp())

    def time(self, name: str) -> float:
        text = self.text(name)
        try:
            seconds = float(text)
        except ValueError:
            try:
                seconds = datetime.fromisoformat(text).timestamp()
            except ValueError:
                raise QueryError(f"parameter {name}: {text!r} is not a time") from None
        if not abs(seconds) < 1e12:
            raise QueryError(f"parameter {name}: {text!r} is not a time")
        return seconds

    def duration(self, name: str) -> float:
        from promql_parser import parse_duration

        text = self.text(name)
        try:
            seconds = float(text)
        except ValueError:
            try:
                seconds = parse_duration(text).total_seconds()
            except ValueError:
                seconds = math.nan
        if not 0 < seconds < 1e9:
            raise QueryError(f"parameter {name}: {text!r} is not a positive duration")
        return seconds


async def _form(scope: Scope, receive: Receive) -> Mapping[str, list[str]]:
    """The parameters in the URL, and those in the body of a POST."""
    text = scope["query_string"].decode(errors="replace")
    body, more = b"", scope["method"] == "POST"
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > _MAX_BODY:
            raise QueryError(f"the request's body is larger than {_MAX_BODY} bytes")
    try:
        return parse_qs(f"{text}&{body.decode(errors='replace')}", max_num_fields=100)
    except ValueError as error:
        raise QueryError(f"the parameters cannot be read: {error}") from None


def _instant(result: Result) -> dict[str, Any]:
    time = _time(result.steps.start)
    match result.value:
        case Scalar(values):
            return {"resultType": "scalar", "result": [time, _number(values[0])]}
        case Text(text):
            return {"resultType": "string", "result": [time, text]}
        case Vector():
            found = [
                {"metric": dict(labels), "value": [time, _number(values[0])]}
                for labels, values in _rows(result)
                if values[0] is not None
            ]
            return {"resultType": "vector", "result": found}


def _range(result: Result) -> dict[str, Any]:
    if isinstance(result.value, Text):
        raise QueryError("a range query must be a number or an instant vector, not a string")
    found = []
    for labels, values in _rows(result):
        pairs = zip(result.steps, values, strict=True)
        points = [[_time(time), _number(value)] for time, value in pairs if value is not None]
        if points:
            found.append({"metric": dict(labels), "values": points})
    return {"resultType": "matrix", "result": found}


def _rows(result: Result) -> Iterator[tuple[Labels, list[float | None]]]:
    if isinstance(result.value, Scalar):
        yield (), list(result.value.values)
    elif isinstance(result.value, Vector):
        seen: set[Labels] = set()
        for row in result.value.rows:
            if any(value is not None for value in row.values):
                if row.labels in seen:
                    raise QueryError("several series of the result have the same labels", "execution")
                seen.add(row.labels)
            yield row.labels, row.values


def _time(milliseconds: int) -> float:
    seconds = milliseconds / 1000
    return int(seconds) if seconds == int(seconds) else seconds


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return format(Decimal(repr(value)), "f").removesuffix(".0")
