"""Prometheus' HTTP API over a small store: answers, parameters, and errors."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from lockgate.metrics.store import Name, Store
from lockgate.runtime.prometheus import PrometheusApi
from lockgate.runtime.traffic import Traffic

LABELS = (("app", "a"),)


def traffic() -> Traffic:
    made = Traffic({}, lambda counts, totals: None, lambda node: False)
    made.store = Store()
    for number in range(5):
        made.store.append(number * 15.0, {LABELS: {Name("m"): number * 3.0, Name("h_bucket", "0.5"): 1.0}})
    return made


def ask(path: str, body: bytes = b"", **parameters: Any) -> tuple[int, Any]:
    sent: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = [{"body": body[:5], "more_body": True}, {"body": body[5:]}]

    async def receive() -> dict[str, Any]:
        return parts.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    method = "POST" if body else "GET"
    scope = {"type": "http", "path": path, "method": method, "query_string": urlencode(parameters).encode()}
    asyncio.run(PrometheusApi(traffic())(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])


def test_an_instant_query_by_get_and_by_post() -> None:
    result = [{"metric": {"__name__": "m", "app": "a"}, "value": [60.5, "12"]}]
    expected = (200, {"status": "success", "data": {"resultType": "vector", "result": result}})
    assert ask("/api/v1/query", query="m", time=60.5) == expected
    assert ask("/api/v1/query", urlencode({"query": "m", "time": "60.5"}).encode()) == expected


def test_a_range_query() -> None:
    status, body = ask("/api/v1/query_range", query="rate(m[30s])", start="1970-01-01T00:00:30Z", end=60, step="15s")
    assert status == 200
    assert body["data"]["result"] == [
        {"metric": {"app": "a"}, "values": [[30, "0.2"], [45, "0.2"], [60, "0.2"]]},
    ]


@pytest.mark.parametrize(
    ("query", "kind", "value"),
    [
        ("1e-7", "scalar", "0.0000001"),
        ("1 / 0", "scalar", "+Inf"),
        ("-1 / 0", "scalar", "-Inf"),
        ("0 / 0", "scalar", "NaN"),
        ('"x"', "string", "x"),
    ],
)
def test_numbers_are_texts(query: str, kind: str, value: str) -> None:
    assert ask("/api/v1/query", query=query, time=1)[1]["data"] == {"resultType": kind, "result": [1, value]}


@pytest.mark.parametrize(
    ("label", "values"), [("__name__", ["h_bucket", "m"]), ("app", ["a"]), ("le", ["0.5"]), ("none", [])]
)
def test_values_of_a_label(label: str, values: list[str]) -> None:
    assert ask(f"/api/v1/label/{label}/values", start=0, end=1)[1]["data"] == values


@pytest.mark.parametrize(
    ("path", "parameters", "status", "error"),
    [
        ("query", {}, 400, "parameter query is missing"),
        ("query", {"query": "m", "time": "soon"}, 400, "parameter time: 'soon' is not a time"),
        ("query", {"query": "m", "time": "nan"}, 400, "parameter time: 'nan' is not a time"),
        ("query", {"query": "sum("}, 400, "cannot parse the query"),
        ("query", {"query": "absent(m)"}, 400, "function absent is not supported by Lockgate"),
        ("query", {"query": 'rate({__name__=~"m|h_bucket", app="a"}[1m])'}, 200, ""),
        ("query", {"query": 'label_join(m, "a", "") or label_join(m, "a", "")'}, 200, ""),
        ("query_range", {"query": "m", "start": 0, "end": 1, "step": "0"}, 400, "is not a positive duration"),
        ("query_range", {"query": "m", "start": 0, "end": 1, "step": "x"}, 400, "is not a positive duration"),
        ("query_range", {"query": "m", "start": 2, "end": 1, "step": 1}, 400, "end must not be before start"),
        ("query_range", {"query": "m", "start": 0, "end": 99999, "step": 1}, 400, "more than 11000 points"),
        ("query_range", {"query": '"x"', "start": 0, "end": 1, "step": 1}, 400, "not a string"),
        ("series", {}, 404, "Lockgate does not serve /api/v1/series"),
    ],
)
def test_errors(path: str, parameters: dict[str, Any], status: int, error: str) -> None:
    found, body = ask(f"/api/v1/{path}", **parameters)
    assert found == status
    assert error in body.get("error", "")


def test_a_body_is_bounded() -> None:
    assert ask("/api/v1/query", b"query=" + b"1" * 300_000)[0] == 400


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready", "/api/v1/status/buildinfo"])
def test_facts(path: str) -> None:
    assert ask(path)[0] == 200


def test_what_kiali_reads_of_the_configuration() -> None:
    assert ask("/api/v1/status/config")[1]["data"]["yaml"] == "global:\n  scrape_interval: 5s\n"
    assert ask("/api/v1/status/runtimeinfo")[1]["data"]["storageRetention"] == "1h"
