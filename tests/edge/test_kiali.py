"""`lockgate kiali`: the configuration, the command, and load balancers in the graph."""

from __future__ import annotations

import json
import os
import signal
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.edge.conftest import GUIDE, Start, Up, pid_of

pytestmark = pytest.mark.edge


@pytest.fixture(scope="module")
def guide(up: Start) -> Up:
    return up(GUIDE).ready()


def test_the_configuration_is_of_this_edge(guide: Up) -> None:
    said = guide.lockgate("kiali", "--port", "20099").stdout
    about = guide.status()
    file = guide.home / guide.name / "kiali.yaml"
    assert file.stat().st_mode & 0o077 == 0
    found = yaml.safe_load(file.read_text())
    assert found["external_services"]["prometheus"]["url"] == about["addresses"]["prometheus"]
    assert found["server"] == {"address": "127.0.0.1", "port": 20099}
    config = yaml.safe_load(Path(about["files"]["kubeconfig"]).read_text())
    assert found["kubernetes_config"]["cluster_name"] == config["clusters"][0]["name"]
    assert "docker run" in said
    assert str(file) in said


def test_the_users_kiali_is_run(guide: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "kiali"
    program.write_text('#!/bin/sh\necho "ran $@ proxy=$HTTPS_PROXY"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    said = guide.lockgate("kiali").stdout
    folder = guide.home / guide.name
    assert f"ran run --config {folder}/kiali.yaml --kubeconfig {folder}/kubeconfig --no-browser proxy=\n" in said


def test_the_load_balancer_is_drawn_only_when_asked(guide: Up) -> None:
    guide.curl("https://quay.example/")
    guide.wait(until=lambda: bool(_ways(guide)), what="the gateway's metrics")
    assert {way[1] for way in _ways(guide)} == {"istio-ingressgateway"}
    guide.lockgate("kiali", "--with-alb")
    for _ in range(3):
        guide.curl("https://quay.example/")
    name = "alb-" + guide.status()["hops"][1]["load_balancers"][0]["name"]
    expected = {
        ("destination", "unknown", name): 3,
        ("source", name, "istio-ingressgateway"): 3,
    }
    guide.wait(until=lambda: expected.items() <= _ways(guide).items(), what=f"{expected}")
    objects = json.loads(
        guide.exec("kubectl", "get", "deploy,svc", "-A", "-l", "lockgate.dev/load-balancer", "-o", "json")
    )
    assert sorted((each["kind"], each["metadata"]["name"]) for each in objects["items"]) == [
        ("Deployment", name),
        ("Service", name),
    ]


def test_load_balancers_are_counted_by_the_next_envoy_too(guide: Up) -> None:
    guide.lockgate("kiali", "--with-alb")
    name = "alb-" + guide.status()["hops"][1]["load_balancers"][0]["name"]
    before = _ways(guide).get(("destination", "unknown", name), 0)
    pid = pid_of(guide, "alb")
    assert pid
    os.kill(pid, signal.SIGKILL)
    guide.wait(until=lambda: pid_of(guide, "alb") not in (None, pid), what="another Envoy")
    answers = guide.curl("--retry", "50", "--retry-all-errors", "--retry-delay", "1", "https://quay.example/")
    assert "quay-service" in answers
    guide.wait(until=lambda: _ways(guide)["destination", "unknown", name] > before, what="a count of the other Envoy")


def _ways(edge: Up) -> dict[tuple[str, str, str], int]:
    base = edge.status()["addresses"]["prometheus"]
    query = "sum(istio_requests_total) by (reporter,source_workload,destination_workload,destination_service_name)"
    form = urllib.parse.urlencode({"query": query}).encode()
    with urllib.request.urlopen(f"{base}/api/v1/query", form, timeout=20) as answer:
        rows: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    found: dict[tuple[str, str, str], int] = {}
    for row in rows:
        way = row["metric"]
        to = (
            way["destination_workload"] if way["destination_workload"] != "unknown" else way["destination_service_name"]
        )
        found[way["reporter"], way["source_workload"], to] = int(row["value"][1])
    return found
