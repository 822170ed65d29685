"""`lockgate diff` against real Envoys: what differs there is what it says.

One edge runs for all examples. Each example saves one revision, sends requests, saves the other, and sends them again.
`LOCKGATE_FUZZ` is the number of pairs to try; without it a small, fixed set is.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lockgate.edge.edge import Edge
from lockgate.edge.from_manifests import from_manifests
from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.resources.reader import read
from lockgate.trace.difference import difference
from lockgate.trace.model import Request
from tests.edge.conftest import ROOT, Start
from tests.edge.test_tracing_property import (
    STANDING,
    Lab,
    ingress,
    requests,
    routes,
    rules,
    virtual_service,
)

pytestmark = pytest.mark.edge

FUZZ = int(os.environ.get("LOCKGATE_FUZZ", "0"))
EXAMPLE = ROOT / "examples" / "edge"
VISIBLE = {"answer", "outcome", "backend"}


@pytest.fixture(scope="module")
def lab(up: Start, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "standing.yaml").write_text(STANDING)
    (folder / "drawn.yaml").write_text(yaml.safe_dump_all([ingress([], 0), virtual_service([], 0)]))
    return Lab(up(folder).ready(), folder)


def edge(rows: list[Any], http: list[Any]) -> Edge:
    text = STANDING + "\n---\n" + yaml.safe_dump_all([ingress(rows, 0), virtual_service(http, 0)])
    reading = read(text, "edge.yaml")
    return from_manifests(
        Manifests(reading.documents, reading.faults, ("edge.yaml",), frozenset(), {}), Options(("edge.yaml",))
    )


pairs = st.tuples(rules, st.lists(routes, min_size=1, max_size=3)).flatmap(
    lambda side: st.one_of(
        st.tuples(st.just(side), routes.map(lambda each: (side[0], [each, *side[1]]))),
        st.tuples(st.just(side), st.permutations(side[1]).map(lambda each: (side[0], each))),
        st.tuples(st.just(side), rules.map(lambda each: (each, side[1]))),
    )
)


@settings(
    max_examples=FUZZ or 6,
    derandomize=not FUZZ,
    deadline=None,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
@given(pairs, st.lists(requests, min_size=6, max_size=8))
def test_what_differs_on_the_wire_is_what_is_said(lab: Lab, pair: tuple[Any, Any], asked: list[Request]) -> None:
    old, new = pair
    found = difference(edge(*old), edge(*new))
    witnesses = [each.witness for each in found.classes if {one.aspect for one in each.changes} & VISIBLE]
    sent = [*asked, *witnesses]
    answers = []
    for rows, http in (old, new):
        lab.save(rows, http)
        answers.append([lab.answer(each) for each in sent])
    differ = {request for request, *both in zip(sent, *answers, strict=True) if both[0] != both[1]}
    shown = f"\n{yaml.safe_dump(pair)}\n{found}\n{answers}"
    assert set(witnesses) <= differ, shown
    assert [each for each in differ if not any(one.covers(each) for one in found.classes)] == [], shown


def test_the_running_edge_is_what_its_manifests_say(up: Start, tmp_path: Path) -> None:
    running = up(EXAMPLE).ready()
    done = running.lockgate("diff", str(EXAMPLE), "running", check=False)
    assert (done.returncode, done.stdout) == (0, "equal: no request to 4 hosts is treated differently\n"), done.stderr
    for file in EXAMPLE.glob("*.yaml"):
        (tmp_path / file.name).write_text(
            file.read_text().replace("port: 3000", "port: 3001").replace("number: 3000", "number: 3001")
        )
    done = running.lockgate("diff", "running", str(tmp_path), check=False)
    assert done.returncode == 1
    assert "path does not begin with /api/" in done.stdout
    assert "backend: shop/web:3000 → shop/web:3001" in done.stdout
    assert running.lockgate("diff", "running", "running", check=False).returncode == 2
