"""What external-dns changes, by table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lockgate.dns.model import Alias, Data, Records, RecordSet, Zone
from lockgate.dns.plan import Change, Endpoint, plan

TABLE = yaml.safe_load((Path(__file__).parents[1] / "cases/dns/plans.yaml").read_text())


def _record_set(line: str) -> RecordSet:
    name, kind, rest = line.split(" ", 2)
    data: Data
    if rest.startswith("-> "):
        target, zone = rest[3:].split()
        data = Alias(target, zone, True)
    else:
        data = Records(300, (rest,))
    return RecordSet(name, kind, data)


def _line(change: Change) -> str:
    record_set = change.record_set
    match record_set.data:
        case Records(_, values):
            value = " ".join(values)
        case Alias(target, zone):
            value = f"-> {target} {zone}"
    return f"{change.action} {record_set.name} {record_set.type} {value}"


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: case["name"])
def test_plan(case: dict[str, Any]) -> None:
    zones = [
        Zone(row["id"], row["name"], tuple(map(_record_set, case.get("records", ()))))
        for row in case.get("zones", [{"id": "Z1", "name": "tidewater.example."}])
    ]
    endpoints = [
        Endpoint(
            row["host"],
            (TABLE["lb"] if row["to"] == "lb" else row["to"],),
            row["of"],
            alias=row.get("alias", True),
            ttl=row.get("ttl"),
        )
        for row in case["endpoints"]
    ]
    decided = plan(endpoints, zones, "default")
    changes = {zone: [_line(c) for group in groups for c in group] for zone, groups in decided.changes.items()}
    assert changes == ({case.get("in", "Z1"): case["changes"]} if case["changes"] else {})
    assert [f"{endpoint.host}: {why}" for endpoint, why in decided.left] == case.get("left", [])
