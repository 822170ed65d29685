"""How nodes are, by a table; what happened between two looks; what of a certificate is a node's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from console_edge import CASES, example

from lockgate.console.changes import Before, changes
from lockgate.console.locks import Lock, missing
from lockgate.console.observing import View
from lockgate.console.states import Observed, State, states
from lockgate.resources.diagnostics import Diagnostic
from lockgate.resources.faults import Severity

GOOD = Lock(
    "x", "towpath.example", ("towpath.example",), "CA", "1", 1_800_000_000.0, 90, True, "", "Clients verify it."
)


def _observed(case: Mapping[str, Any], group: str) -> Observed:
    return Observed(
        targets={group: case.get("targets", {})},
        complaints={group: tuple(case.get("complaints", ()))},
        troubles=case.get("troubles", {}),
        unserved=case.get("unserved", {}),
        findings=tuple(
            Diagnostic(code, Severity(severity), message, "", None, subject)
            for code, severity, subject, message in case.get("findings", ())
        ),
    )


@pytest.mark.parametrize("case", yaml.safe_load((CASES / "states.yaml").read_text()), ids=lambda case: case["name"])
def test_table(case: Mapping[str, Any]) -> None:
    edge, graph, _ = example()
    group = next(iter(next(edge.application_load_balancers).target_groups))
    found = states(edge, graph, _observed(case, group))
    kind, _, title = case["node"].partition(": ")
    node = next(each for each in graph.nodes if each.kind.label == kind and title in ("", each.title))
    assert (found[node.id].level, found[node.id].text) == (case["level"], case["text"])


@pytest.mark.parametrize(
    ("lock", "level", "text", "lock_text"),
    [
        (GOOD, "ok", "", "90 d"),
        (replace(GOOD, days=5), "warn", "certificate: towpath.example is valid for 5 more days", "5 d"),
        (
            replace(GOOD, verifies=False, why="It is not for a."),
            "bad",
            "certificate: It is not for a.",
            "90 d",
        ),
        (
            replace(GOOD, verifies=False, why="It is not for a.", client="The load balancer accepts any."),
            "warn",
            "certificate: It is not for a.",
            "90 d",
        ),
        (missing("x", ""), "bad", "certificate: The certificate does not exist yet.", "none"),
    ],
)
def test_certificates(lock: Lock, level: str, text: str, lock_text: str) -> None:
    edge, graph, _ = example()
    node = next(node for node in graph.nodes if node.locks and node.kind.label == "Gateway")
    found = states(edge, graph, Observed(locks={node.locks[0]: lock}))[node.id]
    assert (found.level, found.text, found.lock) == (level, text, lock_text)


def test_what_happened_between_two_looks() -> None:
    edge, graph, ways = example()
    group = next(node.id for node in graph.nodes if node.kind.label == "Target group")
    healthy, ill = State("ok", "1/1 healthy"), State("bad", "0/1 healthy: connection refused")

    def look(before: Before, restarts: int, state: State, lock: Lock) -> tuple[Before, list[Any]]:
        running = cast(Any, SimpleNamespace(envoys={"gateway": SimpleNamespace(restarts=restarts)}))
        return changes(before, running, View(1, edge, graph, ways, {group: state}, {"x": lock}))

    before, first = look(Before(), 0, healthy, GOOD)
    assert first == []
    before, nothing = look(before, 0, healthy, GOOD)
    assert nothing == []
    before, found = look(before, 1, ill, replace(GOOD, serial="2"))
    title = graph.by_id[group].title
    assert found == [
        ("envoy", "bad", "the Envoy gateway ended, and is started again"),
        ("health", "bad", f"target group {title}: 0/1 healthy: connection refused"),
        ("certificate", "ok", "towpath.example: renewed by CA, valid until 15 January 2027"),
    ]
    _, again = look(before, 1, healthy, replace(GOOD, serial="2"))
    assert again == [("health", "ok", f"target group {title}: 1/1 healthy")]
