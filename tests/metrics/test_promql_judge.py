"""Prometheus is the judge: of the same samples and the same queries, it must give the same answers."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate.gateway.standard_metrics import Destinations, report
from lockgate.metrics.flows import Connections, Distribution, Flow, Requests
from lockgate.metrics.labels import CLUSTER, Peer, Service
from lockgate.metrics.standard import Totals, escaped
from lockgate.metrics.store import Store
from lockgate.runtime.prometheus import PrometheusApi
from lockgate.runtime.traffic import Traffic
from tests.metrics.kiali_queries import dashboards, kiali, pages
from tests.metrics.promql_strategies import queries

pytestmark = pytest.mark.skipif(shutil.which("promtool") is None, reason="prometheus is not installed")

BEGAN = 1_790_000_000.0
STEP, STEPS = 5.0, 130
NOW = BEGAN + STEP * (STEPS - 1)
GATEWAY = Peer("istio-ingressgateway", "istio-system", "gw", "v0", "istio-ingressgateway", "latest", CLUSTER)
DESTINATIONS = Destinations(
    {
        host: Service(host, host.partition(".")[0], "shop")
        for host in ("web.shop.svc.cluster.local", "api.shop.svc.cluster.local", "db.shop.svc.cluster.local")
    },
    {
        f"127.0.0.1:{port}": Peer(name, "shop", "web", version, "web", version, CLUSTER)
        for port, (name, version) in {1: ("web", "v1"), 2: ("web", "v2")}.items()
    },
)
EXTRA = [
    'istio_requests_total{response_code="503"}',
    "sum(istio_requests_total) by (destination_service_name)",
    "sum without (response_code) (istio_requests_total)",
    "count(istio_requests_total) by (response_flags)",
    "max(istio_requests_total) - min(istio_requests_total)",
    "avg(istio_requests_total) by (response_code)",
    "stddev(rate(istio_requests_total[1m]))",
    "stdvar(istio_tcp_sent_bytes_total)",
    "topk(2, sum(istio_requests_total) by (destination_service_name))",
    "bottomk(1, sum(istio_requests_total) by (destination_service_name))",
    "rate(istio_requests_total[7s])",
    "increase(istio_requests_total[33s])",
    "irate(istio_requests_total[12s])",
    "delta(istio_requests_total[2m])",
    "istio_requests_total offset 90s",
    "rate(istio_requests_total[1m] offset 1m)",
    'istio_requests_total and istio_requests_total{response_code="200"}',
    'istio_requests_total unless istio_requests_total{response_code="200"}',
    "sum(istio_requests_total) / on () sum(istio_tcp_sent_bytes_total)",
    "istio_requests_total > bool 10",
    "2 ^ 10 % 7 - -3",
    "(0 * istio_requests_total) ^ -1",
    "(istio_requests_total * -1) ^ 301",
    "(istio_requests_total * -1) ^ 0.5",
    "10 < istio_requests_total",
    "histogram_quantile(0.95, istio_request_duration_milliseconds_bucket)",
    "histogram_quantile(1.5, istio_request_duration_milliseconds_bucket)",
    "sum(istio_requests_total * 0) / sum(istio_requests_total * 0)",
    "1 / 0",
    "sort(sum(istio_requests_total) by (response_code))",
    "time()",
    '"text"',
]


@pytest.fixture(scope="module")
def store() -> Store:
    """Ten minutes of traffic: steady, in bursts, late, with errors and gRPC, and of connections."""
    random, totals, made = Random(11), Totals(), Store()
    web, api, db = (f"outbound|80||{name}.shop.svc.cluster.local" for name in ("web", "api", "db"))
    flows = [
        (Flow("gateway", "l", 200, cluster=web, upstream="127.0.0.1:1"), 0, 6),
        (Flow("gateway", "l", 200, cluster=web, upstream="127.0.0.1:2"), 3, 2),
        (Flow("gateway", "l", 503, "UF", cluster=web, upstream="127.0.0.1:2"), 60, 1),
        (Flow("gateway", "l", 404, "NR"), 20, 1),
        (Flow("gateway", "l", 0, "DC", cluster=api, upstream="127.0.0.1:3"), 40, 1),
        (Flow("gateway", "l", 200, grpc="0", cluster=api, upstream="127.0.0.1:3"), 10, 3),
        (Flow("gateway", "l", 200, grpc="14", cluster=api, upstream="127.0.0.1:3"), 100, 2),
    ]
    made.append(BEGAN - STEP, {})
    for number in range(STEPS):
        for flow, first, most in flows:
            count = random.randint(0, most) if number >= first else 0
            if count:
                took = Distribution({(random.choice((0, 3, 12, 40, 700)), 1): count})
                size = Distribution({(random.choice((90, 250, 8000)), 1): count})
                totals.add_requests(report(flow, GATEWAY, DESTINATIONS).request(flow), Requests(took, size, size))
        if number % 7 == 0:
            tcp = Flow("gateway", "l", cluster=db, upstream="127.0.0.1:4")
            totals.add_connections(
                report(tcp, GATEWAY, DESTINATIONS).connection(tcp), Connections(1, number // 9 % 2, 10 * number, number)
            )
        made.append(BEGAN + STEP * number, totals.changed())
    return made


@dataclass
class Judge:
    url: str

    def ask(self, path: str, **parameters: object) -> dict[str, Any]:
        form = urllib.parse.urlencode(parameters).encode()
        try:
            with urllib.request.urlopen(f"{self.url}{path}", form, timeout=30) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            return dict(json.load(error))


@pytest.fixture(scope="module")
def judge(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "samples").write_text("".join(_open_metrics(store)))
    data = folder / "data"
    imported = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(folder / "samples"), str(data)]
    subprocess.run(imported, check=True, capture_output=True, timeout=60)
    (folder / "config.yml").write_text("{}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["prometheus", f"--config.file={folder}/config.yml", f"--storage.tsdb.path={data}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=99y"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.1)
        yield Judge(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(20)


def _open_metrics(store: Store) -> Iterator[str]:
    """All samples. Metrics have no types here: a counter's name would have to end with ``_total``."""
    by_name: dict[str, list[str]] = {}
    for series in store.select([]):
        labels = ",".join(f'{name}="{escaped(value)}"' for name, value in series.labels)
        for at, value in zip(*series.between(0, 2**62), strict=True):
            by_name.setdefault(series.name, []).append(f"{series.name}{{{labels}}} {value!r} {at / 1000}\n")
    for name, lines in by_name.items():
        yield f"# TYPE {name} unknown\n"
        yield from lines
    yield "# EOF\n"


def _ours(store: Store, path: str, **parameters: object) -> dict[str, Any]:
    traffic = Traffic({}, lambda counts, totals: None, lambda node: False)
    traffic.store = store
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"body": urllib.parse.urlencode(parameters).encode()}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "path": path, "method": "POST", "query_string": b""}
    asyncio.run(PrometheusApi(traffic)(scope, receive, send))
    return dict(json.loads(sent[1]["body"]))


QUERIES = list(dict.fromkeys((*kiali(), *dashboards(), *EXTRA)))


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("at", [NOW, NOW - 251.3, BEGAN - 100], ids=["end", "between", "before"])
def test_an_instant_query(query: str, at: float, store: Store, judge: Judge) -> None:
    asked = {"query": query, "time": at}
    _compare(query, _ours(store, "/api/v1/query", **asked), judge.ask("/api/v1/query", **asked))


@pytest.mark.parametrize("query", [each for each in QUERIES if each != '"text"'])
def test_a_range_query(query: str, store: Store, judge: Judge) -> None:
    asked = {"query": query, "start": BEGAN - 60, "end": NOW + 33.25, "step": 15}
    _compare(query, _ours(store, "/api/v1/query_range", **asked), judge.ask("/api/v1/query_range", **asked))


@given(query=queries, ago=st.sampled_from((0.0, 3.3, 100.0)))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_query(query: str, ago: float, store: Store, judge: Judge) -> None:
    now = {"query": query, "time": NOW - ago}
    _compare(query, _ours(store, "/api/v1/query", **now), judge.ask("/api/v1/query", **now))
    span = {"query": query, "start": BEGAN, "end": NOW, "step": 60}
    _compare(query, _ours(store, "/api/v1/query_range", **span), judge.ask("/api/v1/query_range", **span))


def test_the_queries_find_something(store: Store) -> None:
    """Else the comparison proves nothing."""
    found = [query for query in QUERIES if _ours(store, "/api/v1/query", query=query, time=NOW)["data"]["result"]]
    assert len(found) > 0.6 * len(QUERIES)
    assert sum(query in set(found) for query in pages()) > 30


def test_the_names(store: Store, judge: Judge) -> None:
    path = "/api/v1/label/__name__/values"
    with urllib.request.urlopen(f"{judge.url}{path}?start=0&end={NOW}") as answer:
        assert _ours(store, path, start=0, end=NOW) == json.load(answer)


def _compare(query: str, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert ours["status"] == theirs["status"], (ours, theirs)
    if theirs["status"] == "error":
        assert ours["errorType"] == theirs["errorType"]
        return
    kind = theirs["data"]["resultType"]
    assert ours["data"]["resultType"] == kind
    if kind in ("scalar", "string"):
        assert ours["data"]["result"] == theirs["data"]["result"]
        return
    mine, other = (
        {
            json.dumps(row["metric"], sort_keys=True): row.get("values", [row.get("value")])
            for row in each["data"]["result"]
        }
        for each in (ours, theirs)
    )
    assert mine.keys() == other.keys()
    if query.startswith(("topk", "bottomk", "sort")) and kind == "vector":
        assert list(mine) == list(other)
    for labels, points in other.items():
        assert [at for at, _ in mine[labels]] == [at for at, _ in points], labels
        for (_, one), (_, two) in zip(mine[labels], points, strict=True):
            assert _close(float(one), float(two), query.startswith("round")), (labels, one, two)


def _close(one: float, two: float, rounded: bool) -> bool:
    """Sums differ in their last bit with the order of the summands. Where that is a tie, `round` makes more of it."""
    same = math.isclose(one, two, rel_tol=1e-9, abs_tol=0.001001 if rounded else 1e-12)
    return same or (math.isnan(one) and math.isnan(two))
