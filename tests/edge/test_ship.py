"""The guide's edge, from an empty account and cluster to a browser's request and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.edge.conftest import ROOT, Start, Up
from tests.edge.shipping import calls, planned, ship, writes

pytestmark = pytest.mark.edge

EDGE = ROOT / "examples" / "edge"


@pytest.fixture(scope="module")
def empty(up: Start) -> Up:
    return up(EDGE, "--empty", name="ship").ready()


@pytest.fixture(scope="module")
def shipped(empty: Up) -> Up:
    plan = planned(empty, EDGE, check=2)
    assert not plan["problems"]
    assert {each["action"] for each in plan["objects"]} == {"create"}
    assert [each["arn"] for each in plan["certificates"]] == [None]
    assert not writes(calls(empty))
    ship(empty, "apply", EDGE, "--yes")
    return empty


def test_requests_reach_the_backend_over_both_hops(shipped: Up) -> None:
    assert '"service": "shop/web:3000"' in shipped.curl("https://towpath.example/")
    assert "301" in shipped.curl("-o", "/dev/null", "-w", "%{http_code}", "http://towpath.example/x")


def test_the_second_run_writes_nothing(shipped: Up) -> None:
    versions = resource_versions(shipped)
    before = writes(calls(shipped))
    assert before["route53:ChangeResourceRecordSets"] == 2
    assert "Nothing to do" in ship(shipped, "apply", EDGE, "--yes").stdout
    assert writes(calls(shipped)) == before
    assert resource_versions(shipped) == versions
    assert planned(shipped, EDGE, check=0)["requests"]["equal"]


def resource_versions(edge: Up) -> str:
    path = "jsonpath={range .items[*]}{.kind}/{.metadata.name}={.metadata.resourceVersion} {end}"
    return edge.exec("kubectl", "get", "ingress,certificate,gateway,virtualservice,service", "-A", "-o", path)


def test_files_are_not_edited(shipped: Up, tmp_path: Path) -> None:
    assert "5f1d6c1e" in (EDGE / "30-load-balancer.yaml").read_text()
