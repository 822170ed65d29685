"""A record set in the JSON of Route 53's API, as clients send it and listings return it.

Source: Route 53 API Reference, ResourceRecordSet; developer guide, "DNS domain name format".
"""

from __future__ import annotations

import re
from sys import intern
from typing import Any

from lockgate.dns.model import (
    Alias,
    Failover,
    Geolocation,
    Latency,
    MultiValue,
    Records,
    RecordSet,
    Simple,
    Weighted,
)


def shape(record_set: RecordSet) -> dict[str, Any]:
    answer: dict[str, Any] = {"Name": escaped(record_set.name), "Type": record_set.type}
    if record_set.set_identifier:
        answer["SetIdentifier"] = record_set.set_identifier
    match record_set.policy:
        case Weighted(weight):
            answer["Weight"] = weight
        case Latency(region):
            answer["Region"] = region
        case Failover(role):
            answer["Failover"] = role
        case MultiValue():
            answer["MultiValueAnswer"] = True
        case Geolocation(continent, country, subdivision):
            fields = {"ContinentCode": continent, "CountryCode": country, "SubdivisionCode": subdivision}
            answer["GeoLocation"] = {name: value for name, value in fields.items() if value}
        case Simple():
            pass
    match record_set.data:
        case Records(ttl, values):
            answer["TTL"] = ttl
            answer["ResourceRecords"] = [{"Value": value} for value in values]
        case Alias(dns_name, zone, evaluate):
            answer["AliasTarget"] = {
                "HostedZoneId": zone,
                "DNSName": dns_name,
                "EvaluateTargetHealth": evaluate,
            }
    if record_set.health_check_id:
        answer["HealthCheckId"] = record_set.health_check_id
    return answer


def absolute(name: str) -> str:
    """A name as zones store it: lower-case, with the final dot, octal escapes decoded."""
    plain = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), name)
    return intern(plain.lower().rstrip(".") + ".")


def escaped(name: str) -> str:
    """A name as Route 53 lists it, such as ``\\052`` for ``*``."""
    return re.sub(r"[^a-z0-9._-]", lambda match: f"\\{ord(match[0]):03o}", name)
