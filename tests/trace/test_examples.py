"""The example folders: no error in them, and their requests end as their READMEs say. Nothing runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from lockgate.edge.edge import Edge
from lockgate.edge.from_manifests import from_manifests
from lockgate.edge.options import Options
from lockgate.resources.faults import Severity
from lockgate.runtime.reading.files import load
from lockgate.trace.cases import cases, run
from lockgate.trace.model import Request
from lockgate.trace.walk import trace

EXAMPLES = Path(__file__).parents[2] / "examples"
GRPC = (("content-type", "application/grpc"),)


def edge(name: str) -> Edge:
    folder = str(EXAMPLES / name)
    return from_manifests(load([folder]), Options((folder,)))


@pytest.mark.parametrize("name", sorted(each.name for each in EXAMPLES.iterdir() if each.is_dir()))
def test_an_example_has_no_errors(name: str) -> None:
    assert [str(fault) for fault in edge(name).faults if fault.severity is Severity.ERROR] == []


def test_the_canary_passes_its_own_cases() -> None:
    text = (EXAMPLES / "canary" / "routes.cases").read_bytes()
    assert [run(edge("canary"), case).differences for case in cases(text, "routes.cases")] == [(), (), ()]


@pytest.mark.parametrize(
    ("name", "request_", "status", "backend"),
    [
        ("edge", Request.of("https://towpath.example/api/v1"), None, "shop/api:8080"),
        ("plain-alb", Request.of("https://mooring.example/api/berths"), None, "shop/api:8080"),
        ("plain-alb", Request.of("https://old.mooring.example/"), 410, ""),
        ("mutual-tls", Request.of("https://harbour.example/partners/"), 403, ""),
        ("grpc", Request.of("https://depth.example/"), 464, ""),
        (
            "grpc",
            Request.of("https://depth.example/m", method="POST", headers=GRPC, http2=True),
            None,
            "sounding/depth:50051",
        ),
    ],
)
def test_what_the_examples_say(name: str, request_: Request, status: int | None, backend: str) -> None:
    ending = trace(edge(name), request_).ending
    assert (ending.status, ending.backend) == (status, backend)
