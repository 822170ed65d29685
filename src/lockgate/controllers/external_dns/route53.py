"""Route 53 through its API: reads zones as values, and writes changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from sys import intern
from typing import Any

from lockgate.controllers.aws import Aws
from lockgate.dns.model import (
    SIMPLE,
    Alias,
    Data,
    Failover,
    Geolocation,
    Latency,
    MultiValue,
    Policy,
    Records,
    RecordSet,
    Weighted,
    Zone,
)
from lockgate.dns.plan import Change
from lockgate.dns.shapes import absolute, shape

BATCH = 200  # record sets per call; Route 53 accepts 1000, and counts an UPSERT twice


class Zones:
    """The account's public zones. Record sets are kept until the number of a zone's records is not what it was."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._counts: dict[str, tuple[str, int]] = {}  # by ID: the name, and the number of record sets
        self._sets: dict[str, dict[tuple[str, str, str], RecordSet]] = {}

    async def changed(self) -> bool:
        """Looks at the list of zones: whether one came or went, or has another number of record sets."""
        listed = await self._aws.list("route53", "list_hosted_zones", "HostedZones")
        counts = {
            zone["Id"].rpartition("/")[2]: (absolute(zone["Name"]), zone["ResourceRecordSetCount"])
            for zone in listed
            if not zone.get("Config", {}).get("PrivateZone")
        }
        before, self._counts = self._counts, counts
        if counts == before:
            return False
        self._sets = {id_: sets for id_, sets in self._sets.items() if counts.get(id_) == before.get(id_)}
        return True

    async def read(self, *, again: bool) -> tuple[Zone, ...]:
        """The zones with all their record sets, without asking for those that are known unless `again`."""
        for id_, (name, _) in self._counts.items():
            if again or id_ not in self._sets:
                zone = await read_zone(self._aws, id_, name)
                self._sets[id_] = {record.key: record for record in zone.record_sets}
        return tuple(Zone(id_, name, tuple(self._sets[id_].values())) for id_, (name, _) in self._counts.items())

    async def write(self, zone_id: str, changes: Sequence[Change]) -> None:
        """One batch: all or nothing. Raises `AwsError`."""
        await write_records(self._aws, zone_id, changes)
        sets, (name, count) = self._sets[zone_id], self._counts[zone_id]
        before = len(sets)
        for change in changes:
            if change.action == "DELETE":
                sets.pop(change.record_set.key, None)
            else:
                sets[change.record_set.key] = change.record_set
        self._counts[zone_id] = (name, count + len(sets) - before)


async def read_zone(aws: Aws, zone_id: str, name: str) -> Zone:
    """A zone with all its record sets. Raises `AwsError`."""
    found = await aws.list("route53", "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=zone_id)
    return Zone(zone_id, absolute(name), tuple(record for record in map(_read, found) if record))


async def write_records(aws: Aws, zone_id: str, changes: Sequence[Change]) -> str:
    """One batch: all or nothing. Returns the change's ID. Raises `AwsError`."""
    answer = await aws.call(
        "route53",
        "change_resource_record_sets",
        HostedZoneId=zone_id,
        ChangeBatch={"Changes": [{"Action": c.action, "ResourceRecordSet": shape(c.record_set)} for c in changes]},
    )
    return str(answer["ChangeInfo"]["Id"])


def _read(item: Mapping[str, Any]) -> RecordSet | None:
    """None for record sets of traffic policies, which are never external-dns'."""
    if "AliasTarget" in item:
        alias = item["AliasTarget"]
        data: Data = Alias(absolute(alias["DNSName"]), alias["HostedZoneId"], bool(alias["EvaluateTargetHealth"]))
    elif "TTL" in item:
        data = Records(item["TTL"], tuple(intern(record["Value"]) for record in item.get("ResourceRecords", ())))
    else:
        return None
    return RecordSet(absolute(item["Name"]), item["Type"], data, _policy(item), item.get("SetIdentifier", ""))


def _policy(item: Mapping[str, Any]) -> Policy:
    if "Weight" in item:
        return Weighted(item["Weight"])
    if "Region" in item:
        return Latency(item["Region"])
    if "Failover" in item:
        return Failover(item["Failover"])
    if "GeoLocation" in item:
        place = item["GeoLocation"]
        return Geolocation(
            place.get("ContinentCode", ""), place.get("CountryCode", ""), place.get("SubdivisionCode", "")
        )
    return MultiValue() if item.get("MultiValueAnswer") else SIMPLE
