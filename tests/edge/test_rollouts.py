"""Workloads of a running edge, as kubectl and istioctl meet them: rollouts, logs, and the ports of Pods."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import urlopen

import pytest

from tests.edge.conftest import GUIDE, PATIENCE, Start, Up

pytestmark = pytest.mark.edge
URL = "https://quay.example/"


@pytest.fixture(scope="module")
def guide(up: Start) -> Up:
    return up(GUIDE).ready()


def kubectl(edge: Up, *arguments: str) -> str:
    return edge.exec("kubectl", *arguments)


def status(edge: Up) -> str:
    return edge.curl("-o", "/dev/null", "-w", "%{http_code}", URL)


@contextmanager
def forwarded(edge: Up, namespace: str, what: str, port: int) -> Iterator[str]:
    """A `kubectl port-forward` from a free port."""
    command = ["kubectl", "port-forward", "-n", namespace, what, f":{port}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "lockgate", "exec", "--name", edge.name, "--", *command],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        match = re.search(r"Forwarding from 127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert match
        yield f"http://127.0.0.1:{match[1]}"
    finally:
        process.terminate()
        process.wait(PATIENCE)


def test_what_the_manifests_take_for_granted_runs(guide: Up) -> None:
    for namespace, name in (
        ("default", "quay-service"),
        ("istio-system", "istio-ingressgateway"),
        ("istio-system", "istiod"),
    ):
        assert "successfully rolled out" in kubectl(guide, "rollout", "status", "-n", namespace, f"deploy/{name}")
    pods = json.loads(kubectl(guide, "get", "pods", "-A", "-o", "json"))["items"]
    assert {pod["status"]["phase"] for pod in pods} == {"Running"}
    slices = json.loads(kubectl(guide, "get", "endpointslices", "-A", "-o", "json"))["items"]
    named = {(pod["metadata"]["namespace"], pod["metadata"]["name"]) for pod in pods}
    for each in slices:
        for endpoint in each["endpoints"]:
            assert (endpoint["targetRef"]["namespace"], endpoint["targetRef"]["name"]) in named


def test_without_replicas_nothing_answers(guide: Up) -> None:
    assert status(guide) == "200"
    kubectl(guide, "scale", "deploy/quay-service", "--replicas=0")
    guide.wait(until=lambda: status(guide) == "503", what="503 without Pods")
    kubectl(guide, "scale", "deploy/quay-service", "--replicas=3")
    guide.wait(until=lambda: status(guide) == "200", what="200 with Pods")
    assert len(kubectl(guide, "get", "pods", "-o", "name").split()) == 3


def test_a_gateway_that_rolls_out_keeps_serving(guide: Up) -> None:
    def pods() -> list[str]:
        return kubectl(guide, "get", "pods", "-n", "istio-system", "-l", "istio=ingressgateway", "-o", "name").split()

    before = pods()
    kubectl(guide, "rollout", "restart", "-n", "istio-system", "deploy/istio-ingressgateway")
    deadline = time.monotonic() + PATIENCE
    while pods() == before or len(pods()) != 1:
        assert status(guide) == "200"
        assert time.monotonic() < deadline
    assert status(guide) == "200"


def test_an_echo_logs_its_requests_and_a_gateway_what_its_envoy_writes(guide: Up) -> None:
    guide.curl(f"{URL}logged?x=1")
    log = kubectl(guide, "logs", "deploy/quay-service", "--tail", "5")
    assert "GET /logged?x=1 HTTP/1.1 host=quay.example" in log
    assert kubectl(guide, "logs", "-n", "istio-system", "deploy/istiod").startswith(
        "The istiod in Lockgate's own process"
    )
    written = (guide.home / guide.name / "run" / "envoy-gateway.log").read_text().splitlines()
    shown = kubectl(guide, "logs", "-n", "istio-system", "deploy/istio-ingressgateway").splitlines()
    assert shown[: len(written)] == written


def test_the_ports_of_pods_are_forwarded(guide: Up) -> None:
    with forwarded(guide, "istio-system", "deploy/istio-ingressgateway", 15000) as url:
        assert json.loads(urlopen(f"{url}/server_info").read())["state"] == "LIVE"
        assert b"/namespaces/default/virtual-service/" in urlopen(f"{url}/config_dump").read(), "istioctl reads this"
    with forwarded(guide, "istio-system", "deploy/istio-ingressgateway", 15090) as url:
        assert b"envoy_server_live" in urlopen(f"{url}/stats/prometheus").read()
    with forwarded(guide, "istio-system", "deploy/istiod", 15014) as url:
        assert urlopen(f"{url}/version").read() == b"1.30.1-lockgate-Clean"
        (proxy,) = json.loads(urlopen(f"{url}/debug/syncz").read())
        assert proxy["proxy"].startswith("istio-ingressgateway-")
        assert proxy["cluster_sent"] == proxy["cluster_acked"]
    with forwarded(guide, "default", "svc/quay-service", 8072) as url:
        assert json.loads(urlopen(f"{url}/hello").read())["service"] == "default/quay-service:8072"
