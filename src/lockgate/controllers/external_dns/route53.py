"""Route 53 through its API: reads zones as values, and writes changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lockgate.controllers.aws import Aws
from lockgate.dns.model import (
    Alias,
    Data,
    Failover,
    Geolocation,
    Latency,
    MultiValue,
    Policy,
    Records,
    RecordSet,
    Simple,
    Weighted,
    Zone,
)
from lockgate.dns.plan import Change
from lockgate.dns.shapes import absolute, shape

BATCH = 200  # record sets per call; Route 53 accepts 1000, and counts an UPSERT twice


async def read_zones(aws: Aws) -> tuple[Zone, ...]:
    """The account's public zones with all their record sets."""
    found = await aws.list("route53", "list_hosted_zones", "HostedZones")
    zones: list[Zone] = []
    for zone in found:
        if zone.get("Config", {}).get("PrivateZone"):
            continue
        identity = zone["Id"].rpartition("/")[2]
        sets = await aws.list("route53", "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=identity)
        records = (_read(item) for item in sets)
        zones.append(Zone(identity, absolute(zone["Name"]), tuple(record for record in records if record)))
    return tuple(zones)


async def write(aws: Aws, zone_id: str, changes: Sequence[Change]) -> None:
    """One batch: all or nothing. Raises `AwsError`."""
    await aws.call(
        "route53",
        "change_resource_record_sets",
        HostedZoneId=zone_id,
        ChangeBatch={"Changes": [{"Action": c.action, "ResourceRecordSet": shape(c.record_set)} for c in changes]},
    )


def _read(item: Mapping[str, Any]) -> RecordSet | None:
    """None for record sets of traffic policies, which are never external-dns'."""
    if "AliasTarget" in item:
        alias = item["AliasTarget"]
        data: Data = Alias(absolute(alias["DNSName"]), alias["HostedZoneId"], bool(alias["EvaluateTargetHealth"]))
    elif "TTL" in item:
        data = Records(item["TTL"], tuple(record["Value"] for record in item.get("ResourceRecords", ())))
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
    return MultiValue() if item.get("MultiValueAnswer") else Simple()
