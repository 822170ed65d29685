"""The tables of `tests/cases/trace`, row by row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from trace_cases import edge

from lockgate.trace.model import Request, Trace
from lockgate.trace.walk import trace

CASES = Path(__file__).parents[1] / "cases" / "trace"


@pytest.mark.parametrize("row", yaml.safe_load((CASES / "endings.yaml").read_text()), ids=lambda row: row["name"])
def test_how_a_request_ends(row: dict[str, Any]) -> None:
    headers = tuple((name, value) for name, value in row.get("headers", {}).items())
    request = Request.of(
        row["url"],
        method=row.get("method", "GET"),
        headers=headers,
        source=row.get("source", "203.0.113.10"),
        http2=row.get("http2", False),
        now=row.get("now"),
    )
    found = trace(edge(row.get("change")), request, follow=row.get("follow", False)).last
    for name, expected in row["ending"].items():
        _holds(name, getattr(found.ending, name), expected)
    for name, expected in row.get("hops", {}).items():
        _hop_holds(found, name, expected)
    for title in row.get("titles", ()):
        assert any(title in hop.title for hop in found.hops), [hop.title for hop in found.hops]
    facts = [fact.text for hop in found.hops for fact in hop.facts]
    assert all(any(expected in fact for fact in facts) for expected in row.get("facts", ())), facts


def _holds(name: str, found: object, expected: object) -> None:
    """Sentences are held by a part of them, everything else as a whole."""
    if name in ("cause", "fix") and expected:
        assert str(expected) in str(found)
    else:
        assert found == expected, name


def _hop_holds(found: Trace, name: str, expected: object) -> None:
    hop = found.hop(name)
    assert hop is not None, f"no hop {name}: {[each.name for each in found.hops]}"
    if isinstance(expected, dict):
        for key, value in expected.items():
            assert hop.data[key] == value, key
    else:
        assert hop.data["priority"] == expected
