"""What the authoritative server says, by table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lockgate.dns.answer import Record, answer
from lockgate.dns.model import (
    Alias,
    Data,
    Failover,
    Geolocation,
    MultiValue,
    Policy,
    Records,
    RecordSet,
    Simple,
    Weighted,
    Zone,
)

TABLE = yaml.safe_load((Path(__file__).parents[1] / "cases/dns/answers.yaml").read_text())


def _zone(row: dict[str, Any]) -> Zone:
    return Zone(
        row["id"],
        row["name"],
        tuple(_record_set(row["name"], item) for item in row["records"]),
        row.get("private", False),
    )


def _record_set(zone: str, item: dict[str, Any]) -> RecordSet:
    name = zone if item["name"] == "@" else f"{item['name']}.{zone}"
    data: Data
    data = Alias(item["alias"], item["of"]) if "alias" in item else Records(item["ttl"], tuple(item["values"]))
    policy: Policy = Simple()
    if "multivalue" in item:
        policy = MultiValue()
    elif "weight" in item:
        policy = Weighted(item["weight"])
    elif "failover" in item:
        policy = Failover(item["failover"])
    elif "country" in item:
        policy = Geolocation(country=item["country"])
    return RecordSet(name, item["type"], data, policy, item.get("identifier") or item.get("multivalue", ""))


ZONES = tuple(_zone(row) for row in TABLE["zones"])


def _addresses(name: str) -> list[str]:
    return list(TABLE["addresses"].get(name, ()))


def _line(record: Record) -> str:
    return f"{record.name} {record.type} {record.ttl} {record.value}"


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: f"{case['ask']} {case.get('draw', '')}")
def test_answer(case: dict[str, Any]) -> None:
    kind, name = case["ask"].replace('"', "").split()
    found = answer(ZONES, name, kind, _addresses, draw=case.get("draw", 0.0))
    assert found.rcode == case.get("rcode", "NOERROR")
    assert found.authoritative is case.get("authoritative", True)
    if "records" in case:
        assert len(found.answer) == case["records"]
        return
    assert [_line(record) for record in found.answer] == case.get("answer", [])
    expected = case.get("authority", [])
    if expected == "soa":
        assert [record.type for record in found.authority] == ["SOA"]
        assert name.lower().endswith(found.authority[0].name)
    else:
        assert [_line(record) for record in found.authority] == expected


def test_at_most_eight_multivalue_record_sets_answer() -> None:
    sets = [RecordSet("m.z.", "A", Records(1, (f"192.0.2.{n}",)), MultiValue(), str(n)) for n in range(12)]
    found = answer((Zone("Z", "z.", tuple(sets)),), "m.z.", "A", lambda _: ())
    assert len(found.answer) == 8
