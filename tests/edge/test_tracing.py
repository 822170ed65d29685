"""`lockgate trace --against running`: what is predicted from the APIs of a running edge, and what the wire says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.edge.conftest import ROOT, Start, Up

pytestmark = pytest.mark.edge

EXAMPLE = ROOT / "examples" / "edge"

REQUESTS = [
    ["https://towpath.example/api/v1/orders?x=1"],
    ["https://www.towpath.example/"],
    ["http://towpath.example/x?y=1"],
    ["http://towpath.example/x", "--follow"],
    ["https://towpath.example/", "--http2", "-X", "POST"],
    ["https://towpath.example/nowhere", "-H", "Host: other.example"],
    ["https://nope.towpath.example/"],
    ["https://towpath.example:8443/"],
]


@pytest.fixture(scope="module")
def example(up: Start) -> Up:
    return up(EXAMPLE).ready()


@pytest.mark.parametrize("arguments", REQUESTS, ids=lambda arguments: " ".join(arguments))
def test_prediction_and_wire_agree(example: Up, arguments: list[str]) -> None:
    done = example.lockgate("trace", "--against", "running", "--output", "json", *arguments, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    shown: dict[str, Any] = json.loads(done.stdout)
    assert shown["differences"] == []
    assert len(shown["observed"]) == (2 if "--follow" in arguments else 1)


def test_the_running_edge_and_its_manifests_say_the_same(example: Up) -> None:
    url = "https://towpath.example/api/v1"
    running = json.loads(example.lockgate("trace", "--against", "running", "--output", "json", url).stdout)["predicted"]
    manifests = json.loads(example.lockgate("trace", url, str(EXAMPLE), "--output", "json").stdout)
    assert [hop["at"] for hop in running["hops"]] == [hop["at"] for hop in manifests["hops"]]
    assert running["ending"] == manifests["ending"]
