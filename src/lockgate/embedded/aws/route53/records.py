"""Converts Route 53's record sets to values of `dns.model`, and back.

Source: Route 53 API Reference, ResourceRecordSet; developer guide, "Supported DNS record types".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from sys import intern
from typing import Any

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
)
from lockgate.dns.shapes import absolute
from lockgate.embedded.aws.protocol import Refusal

ROUTING = (
    "Weight",
    "Region",
    "Failover",
    "GeoLocation",
    "MultiValueAnswer",
    "CidrRoutingConfig",
    "GeoProximityLocation",
)


def read(given: Mapping[str, Any]) -> RecordSet:
    """Raises `Refusal` for fields that cannot be combined."""
    return RecordSet(
        name=absolute(given["Name"]),
        type=given["Type"],
        data=_data(given),
        policy=_policy(given),
        set_identifier=given.get("SetIdentifier", ""),
        health_check_id=given.get("HealthCheckId", ""),
    )


def listing_order(record_set: RecordSet) -> tuple[Sequence[str], str, str]:
    return (*name_order(record_set.name, record_set.type), record_set.set_identifier)


def name_order(name: str, type_: str = "") -> tuple[Sequence[str], str]:
    """The sort key of listings: the labels from the right, then the type."""
    return (tuple(reversed(name.rstrip(".").split("."))), type_)


def _data(given: Mapping[str, Any]) -> Data:
    alias, values, ttl = given.get("AliasTarget"), given.get("ResourceRecords"), given.get("TTL")
    if alias is not None and not values and ttl is None:
        return Alias(
            absolute(alias["DNSName"]),
            str(alias["HostedZoneId"]).rpartition("/")[2],
            bool(alias["EvaluateTargetHealth"]),
        )
    if alias is None and values and ttl is not None:
        return Records(int(ttl), tuple(intern(item["Value"]) for item in values))
    found = [name for name in ("AliasTarget", "TTL", "ResourceRecords") if given.get(name) is not None]
    raise Refusal(
        "InvalidInput",
        "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or "
        f"TrafficPolicyInstanceId], but found {'more than one' if len(found) > 1 else 'none'} in Change with [Action="
        f"{given.get('Action', 'CHANGE')}, Name={absolute(given['Name'])}, Type={given['Type']}, "
        f"SetIdentifier={given.get('SetIdentifier', 'null')}]",
    )


def _policy(given: Mapping[str, Any]) -> Policy:
    named = [field for field in ROUTING if given.get(field) is not None and given.get(field) is not False]
    if len(named) > 1 or bool(named) != bool(given.get("SetIdentifier")):
        raise Refusal(
            "InvalidInput",
            f"Invalid request: Expected exactly one of [{', '.join(ROUTING)}] together with SetIdentifier, but found "
            f"[{', '.join(named)}] in Change with [Name={absolute(given['Name'])}, Type={given['Type']}]",
        )
    match named:
        case []:
            return SIMPLE
        case ["Weight"]:
            return Weighted(int(given["Weight"]))
        case ["Region"]:
            return Latency(given["Region"])
        case ["Failover"]:
            return Failover(given["Failover"])
        case ["MultiValueAnswer"]:
            if given.get("AliasTarget") is not None:
                raise Refusal("InvalidInput", "Invalid request: multivalue answer record sets cannot be aliases")
            return MultiValue()
        case ["GeoLocation"]:
            where = given["GeoLocation"]
            return Geolocation(
                where.get("ContinentCode", ""), where.get("CountryCode", ""), where.get("SubdivisionCode", "")
            )
        case _:
            raise Refusal("InvalidInput", f"Invalid request: {named[0]} routing is not served here")
