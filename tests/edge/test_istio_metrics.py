"""Istio's metrics of a running edge: as many requests as were sent, whatever happens to listeners and Envoys."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.edge.conftest import GUIDE, Start, Up, pid_of

pytestmark = pytest.mark.edge
CLIENTS, EACH = 8, 150


@pytest.fixture(scope="module")
def guide(up: Start) -> Up:
    return up(GUIDE).ready()


def test_counts_equal_the_requests_sent(guide: Up) -> None:
    before, front = _counts(guide), _front(guide)
    sent = _load(front, changing=guide)
    assert sum(sent.values()) == CLIENTS * EACH
    guide.wait(until=lambda: _since(guide, before) == sent, what=f"{sent}, but {_since(guide, before)}")


def test_counts_survive_a_killed_envoy(guide: Up) -> None:
    before, front = _counts(guide), _front(guide)
    sent = _load(front)
    guide.wait(until=lambda: _since(guide, before) == sent, what="the first requests")
    pid = pid_of(guide, "gateway")
    assert pid
    os.kill(pid, signal.SIGKILL)
    guide.wait(until=lambda: pid_of(guide, "gateway") not in (None, pid), what="another Envoy")
    guide.wait(until=lambda: _answers(front), what="an answer of the other Envoy")
    guide.wait(until=lambda: _since(guide, before)["200"] == sent["200"] + 1, what="one request more")
    middle = _since(guide, before)  # with what the other Envoy answered before it had its routes
    more = _load(front)
    expected = {code: middle.get(code, 0) + more.get(code, 0) for code in {*middle, *more}}
    guide.wait(until=lambda: _since(guide, before) == expected, what=f"{expected}")


def test_all_labels_of_a_gateway(guide: Up) -> None:
    guide.curl("https://quay.example/")
    guide.wait(until=lambda: bool(_counts(guide)), what="a count")
    found = [labels for labels, _ in _series(guide, "istio_requests_total") if labels["response_code"] == "200"]
    principals = {"source_principal": "unknown", "destination_principal": "unknown"}
    source = {
        "source_workload": "istio-ingressgateway",
        "source_workload_namespace": "istio-system",
        "source_app": "istio-ingressgateway",
        "source_version": "unknown",
        "source_canonical_service": "istio-ingressgateway",
        "source_canonical_revision": "latest",
        "source_cluster": "lockgate",
    }
    service = {
        "destination_service": "quay-service.default.svc.cluster.local",
        "destination_service_name": "quay-service",
        "destination_service_namespace": "default",
    }
    request = {
        "reporter": "source",
        "request_protocol": "http",
        "response_code": "200",
        "response_flags": "-",
        "connection_security_policy": "unknown",
    }
    assert found
    assert {**source, **service, **request, **principals}.items() <= found[0].items()
    workload = (
        "workload",
        "workload_namespace",
        "app",
        "version",
        "canonical_service",
        "canonical_revision",
        "cluster",
    )
    assert {f"destination_{each}" for each in workload} <= found[0].keys()
    assert all(found[0].values())
    for metric in ("istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes"):
        assert [bound["le"] for bound, _ in _series(guide, f"{metric}_bucket")][-1] == "+Inf"


def test_versions_are_told_apart(up: Start, manifests: Path) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "quay-service", "namespace": "default"},
        "spec": {"selector": {"app": "quay-service"}, "ports": [{"name": "http", "port": 8072}]},
    }
    documents = [service, *(_deployment(version) for version in ("v1", "v2"))]
    (manifests / "90-versions.yaml").write_text("\n---\n".join(map(json.dumps, documents)))
    edge = up(manifests).ready()
    sent = 0

    def counted() -> dict[str, int]:
        found = _series(edge, "istio_requests_total")
        return {labels["destination_workload"]: int(value) for labels, value in found}

    def both() -> bool:
        nonlocal sent
        edge.curl("https://quay.example/")
        sent += 1
        return counted().keys() == {"quay-v1", "quay-v2"}

    edge.wait(until=both, what="requests of both versions")
    edge.wait(until=lambda: sum(counted().values()) == sent, what=f"{sent} requests")
    found = {labels["destination_workload"]: labels for labels, _ in _series(edge, "istio_requests_total")}
    for version in ("v1", "v2"):
        labels = found[f"quay-{version}"]
        assert (labels["destination_app"], labels["destination_version"]) == ("quay-service", version)
        assert labels["destination_canonical_revision"] == version


def _deployment(version: str) -> dict[str, Any]:
    labels = {"app": "quay-service", "version": version}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"quay-{version}", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "quay", "image": f"example/quay:{version}"}]},
            },
        },
    }


def test_kialis_graph_query_is_answered(guide: Up) -> None:
    guide.curl("https://quay.example/")
    query = (
        'round(sum(rate(istio_requests_total{reporter="source",source_workload_namespace="istio-system"} [60s])) '
        "by (destination_service_name,response_code) > 0,0.001)"
    )
    guide.wait(until=lambda: bool(_asked(_base(guide), query)), what="an answer to Kiali's query")
    assert {row["metric"]["response_code"] for row in _asked(_base(guide), query)} >= {"200"}


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed")
def test_prometheus_scrapes_the_same(guide: Up, tmp_path: Path) -> None:
    target = guide.status()["addresses"]["metrics"].removeprefix("http://").removesuffix("/metrics")
    scraped = [{"job_name": "lockgate", "static_configs": [{"targets": [target]}]}]
    (tmp_path / "config.yml").write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": scraped}))
    with _prometheus(tmp_path) as address:
        guide.curl("https://quay.example/")
        guide.wait(until=lambda: _scraped(address) == _counts(guide), what="the same counts in Prometheus")
        assert _asked(address, 'up{job="lockgate"}')[0]["value"][1] == "1"
        names = {row["metric"]["__name__"] for row in _asked(address, 'count({job="lockgate"}) by (__name__)')}
        assert {"istio_request_duration_milliseconds_bucket", "RequestCount", "TargetResponseTime_sum"} <= names
        # What dashboards of the load balancer controller ask.
        for query in (
            'sum(controller_runtime_reconcile_total{controller="ingress",result="success"})',
            'sum(aws_api_calls_total{service="Elastic Load Balancing v2"}) by (operation)',
            "histogram_quantile(0.99, sum(aws_api_call_duration_seconds_bucket) by (le, operation))",
            "histogram_quantile(0.9, sum(controller_runtime_reconcile_time_seconds_bucket) by (le, controller))",
        ):
            assert float(_asked(address, query)[0]["value"][1]) > 0, query


# --- clients -----------------------------------------------------------------------------------------------------


def _load(front: tuple[str, int], changing: Up | None = None) -> dict[str, int]:
    """Sends requests over some connections at once, and returns how many responses had which status. Meanwhile the
    gateway's listener changes."""
    codes: list[int] = []

    def client(number: int) -> None:
        connection = _connection(front)
        for each in range(EACH):
            host = "quay.example" if (number + each) % 5 else "nobody.example"
            connection.request("GET", f"/{each}", headers={"Host": host})
            response = connection.getresponse()
            response.read()
            codes.append(response.status)
            if response.getheader("connection") == "close":
                connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    if changing is not None:
        for name in ("one", "two", "three"):
            hosts = json.dumps([{"op": "add", "path": "/spec/servers/0/hosts/-", "value": f"{name}.quay.example"}])
            gateway = changing.exec("kubectl", "get", "gateways.networking.istio.io", "-A", "-o", "json")
            meta = json.loads(gateway)["items"][0]["metadata"]
            patch = ("kubectl", "patch", "gateways.networking.istio.io", "-n", meta["namespace"], meta["name"])
            changing.exec(*patch, "--type=json", "-p", hosts)
    for thread in threads:
        thread.join()
    return {str(code): codes.count(code) for code in set(codes)}


def _connection(front: tuple[str, int]) -> http.client.HTTPSConnection:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(*front, context=context, timeout=20)


def _answers(front: tuple[str, int]) -> bool:
    connection = _connection(front)
    connection.request("GET", "/", headers={"Host": "quay.example"})
    return connection.getresponse().status == 200


def _front(edge: Up) -> tuple[str, int]:
    (balancer,) = edge.status()["hops"][1]["load_balancers"]
    return balancer["address"], next(each["local_port"] for each in balancer["listeners"] if each["port"] == 443)


# --- metrics -----------------------------------------------------------------------------------------------------


def _base(edge: Up) -> str:
    return str(edge.status()["addresses"]["prometheus"])


def _series(edge: Up, metric: str) -> list[tuple[dict[str, str], float]]:
    with urllib.request.urlopen(edge.status()["addresses"]["metrics"], timeout=20) as answer:
        text = answer.read().decode()
    lines = re.findall(rf"^{metric}{{(.*)}} (\S+)$", text, re.MULTILINE)
    return [(dict(re.findall(r'(\w+)="([^"]*)"', labels)), float(value)) for labels, value in lines]


def _counts(edge: Up) -> dict[str, int]:
    found: dict[str, int] = {}
    for labels, value in _series(edge, "istio_requests_total"):
        found[labels["response_code"]] = found.get(labels["response_code"], 0) + int(value)
    return found


def _since(edge: Up, before: dict[str, int]) -> dict[str, int]:
    now = _counts(edge)
    return {code: number - before.get(code, 0) for code, number in now.items() if number != before.get(code, 0)}


def _scraped(base: str) -> dict[str, int]:
    rows = _asked(base, "sum(istio_requests_total) by (response_code)")
    return {row["metric"]["response_code"]: int(row["value"][1]) for row in rows}


def _asked(base: str, query: str) -> list[dict[str, Any]]:
    form = urllib.parse.urlencode({"query": query}).encode()
    with urllib.request.urlopen(f"{base}/api/v1/query", form, timeout=20) as answer:
        return list(json.load(answer)["data"]["result"])


@contextmanager
def _prometheus(folder: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["prometheus", f"--config.file={folder}/config.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
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
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)
