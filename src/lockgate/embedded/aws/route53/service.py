"""Route 53's operations.

Source: Route 53 API Reference.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from lockgate.dns.answer import answer as dns_answer
from lockgate.dns.model import Alias, Records, RecordSet, Zone
from lockgate.dns.shapes import absolute, escaped, shape
from lockgate.embedded.aws import constraints
from lockgate.embedded.aws.protocol import Call, Refusal, Result
from lockgate.embedded.aws.route53.changes import Change, apply
from lockgate.embedded.aws.route53.health_checks import HealthChecks
from lockgate.embedded.aws.route53.records import listing_order, name_order, read

CHANGES = 256  # change IDs that are kept
REQUIRED = 2  # the record sets of an empty zone: NS and SOA


@dataclass(slots=True)
class _HostedZone:
    value: Zone
    caller_reference: str
    comment: str
    name_servers: tuple[str, ...]
    vpcs: list[dict[str, str]] = field(default_factory=list)


class Route53:
    """The account's zones. `alias_fault` returns why an alias cannot have a target outside of its zone."""

    def __init__(self, alias_fault: Callable[[Alias], Literal["outside", "missing"] | None]) -> None:
        self._alias_fault = alias_fault
        self._zones: dict[str, _HostedZone] = {}
        self._changes: OrderedDict[str, datetime] = OrderedDict()
        self._tags: dict[tuple[str, str], dict[str, str]] = {}
        self._health = HealthChecks()
        self._operations: Mapping[str, Callable[[dict[str, Any]], Result]] = {
            "CreateHostedZone": self._create,
            "GetHostedZone": self._get,
            "ListHostedZones": self._list,
            "ListHostedZonesByName": self._list_by_name,
            "ListHostedZonesByVPC": self._list_by_vpc,
            "GetHostedZoneCount": lambda _: {"HostedZoneCount": len(self._zones)},
            "DeleteHostedZone": self._delete,
            "UpdateHostedZoneComment": self._comment,
            "AssociateVPCWithHostedZone": self._associate,
            "DisassociateVPCFromHostedZone": self._disassociate,
            "ChangeResourceRecordSets": self._change,
            "ListResourceRecordSets": self._records,
            "GetChange": self._get_change,
            "GetDNSSEC": self._dnssec,
            "TestDNSAnswer": self._test,
            "ChangeTagsForResource": self._change_tags,
            "ListTagsForResource": self._list_tags,
            "ListTagsForResources": self._list_tags_of_several,
            **self._health.operations,
        }

    def answer(self, call: Call) -> Result:
        operation = self._operations.get(call.operation)
        if operation is None:
            raise Refusal("NotImplemented", f"{call.operation} of Route 53 is not served here")
        constraints.check(call)
        return operation(call.parameters)

    # --- what AWS does internally

    def create(self, name: str, zone_id: str) -> None:
        """Creates a public zone with exactly this ID. An existing one is unchanged."""
        if zone_id not in self._zones:
            self._add(zone_id, absolute(name), caller_reference=f"lockgate-{zone_id}", comment="", private=False)

    def zones(self) -> tuple[Zone, ...]:
        return tuple(zone.value for zone in self._zones.values())

    # --- zones

    def _create(self, given: dict[str, Any]) -> Result:
        name = absolute(given["Name"])
        if not re.fullmatch(r"(?:[!-\-/-\[\]-~]{1,63}\.)+", name) or len(name) > 255:
            raise Refusal("InvalidDomainName", f"The domain name is invalid: {given['Name']}")
        reference = given["CallerReference"]
        if any(zone.caller_reference == reference for zone in self._zones.values()):
            raise Refusal(
                "HostedZoneAlreadyExists",
                "A hosted zone has already been created with the specified caller reference.",
                409,
            )
        config = given.get("HostedZoneConfig", {})
        vpc = given.get("VPC")
        zone_id = "Z" + uuid.uuid4().hex[:20].upper()
        zone = self._add(zone_id, name, reference, config.get("Comment", ""), private=vpc is not None)
        if vpc:
            zone.vpcs.append(vpc)
        return {
            "HostedZone": self._shown(zone),
            "ChangeInfo": self._changed(),
            "Location": f"https://route53.amazonaws.com/2013-04-01/hostedzone/{zone_id}",
            **({"VPC": vpc} if vpc else {"DelegationSet": {"NameServers": list(zone.name_servers)}}),
        }

    def _add(self, zone_id: str, name: str, caller_reference: str, comment: str, *, private: bool) -> _HostedZone:
        servers = _name_servers(zone_id)
        soa = f"{servers[0]}. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400"
        sets = (
            RecordSet(name, "NS", Records(172800, tuple(f"{server}." for server in servers))),
            RecordSet(name, "SOA", Records(900, (soa,))),
        )
        value = Zone(zone_id, name, sets, private=private)
        zone = self._zones[zone_id] = _HostedZone(value, caller_reference, comment, servers)
        return zone

    def _get(self, given: dict[str, Any]) -> Result:
        zone = self._find(given["Id"])
        answer: dict[str, Any] = {"HostedZone": self._shown(zone)}
        if zone.value.private:
            answer["VPCs"] = zone.vpcs
        else:
            answer["DelegationSet"] = {"NameServers": list(zone.name_servers)}
        return answer

    def _list(self, given: dict[str, Any]) -> Result:
        zones = sorted(self._zones.values(), key=lambda zone: zone.value.id)
        kind = given.get("HostedZoneType")
        if kind == "PrivateHostedZone":
            zones = [zone for zone in zones if zone.value.private]
        if marker := given.get("Marker"):
            zones = [zone for zone in zones if zone.value.id >= _bare(marker)]
        limit = _limit(given, 100)
        answer: dict[str, Any] = {
            "HostedZones": [self._shown(zone) for zone in zones[:limit]],
            "IsTruncated": len(zones) > limit,
            "MaxItems": str(limit),
        }
        if len(zones) > limit:
            answer["NextMarker"] = zones[limit].value.id
        if marker:
            answer["Marker"] = marker
        return answer

    def _list_by_name(self, given: dict[str, Any]) -> Result:
        def place(zone: _HostedZone) -> tuple[Any, str]:
            return (name_order(zone.value.name)[0], zone.value.id)

        zones = sorted(self._zones.values(), key=place)
        if name := given.get("DNSName"):
            start = (name_order(absolute(name))[0], _bare(given.get("HostedZoneId", "")))
            zones = [zone for zone in zones if place(zone) >= start]
        limit = _limit(given, 100)
        answer: dict[str, Any] = {
            "HostedZones": [self._shown(zone) for zone in zones[:limit]],
            "IsTruncated": len(zones) > limit,
            "MaxItems": str(limit),
        }
        if name:
            answer["DNSName"] = name
        if len(zones) > limit:
            answer["NextDNSName"] = zones[limit].value.name
            answer["NextHostedZoneId"] = zones[limit].value.id
        return answer

    def _list_by_vpc(self, given: dict[str, Any]) -> Result:
        return {
            "HostedZoneSummaries": [
                {"HostedZoneId": zone.value.id, "Name": zone.value.name, "Owner": {"OwningService": "route53"}}
                for zone in self._zones.values()
                if any(vpc.get("VPCId") == given["VPCId"] for vpc in zone.vpcs)
            ],
            "MaxItems": str(_limit(given, 100)),
        }

    def _delete(self, given: dict[str, Any]) -> Result:
        zone = self._find(given["Id"])
        if len(zone.value.record_sets) > REQUIRED:
            raise Refusal(
                "HostedZoneNotEmpty",
                "The specified hosted zone contains non-required resource record sets and so cannot be deleted.",
            )
        del self._zones[zone.value.id]
        self._tags.pop(("hostedzone", zone.value.id), None)
        return {"ChangeInfo": self._changed()}

    def _comment(self, given: dict[str, Any]) -> Result:
        zone = self._find(given["Id"])
        zone.comment = given.get("Comment", "")
        return {"HostedZone": self._shown(zone)}

    def _associate(self, given: dict[str, Any]) -> Result:
        zone = self._find(given["HostedZoneId"])
        if not zone.value.private:
            raise Refusal("PublicZoneVPCAssociation", "You're trying to associate a VPC with a public hosted zone.")
        if given["VPC"] not in zone.vpcs:
            zone.vpcs.append(given["VPC"])
        return {"ChangeInfo": self._changed()}

    def _disassociate(self, given: dict[str, Any]) -> Result:
        zone = self._find(given["HostedZoneId"])
        if given["VPC"] not in zone.vpcs:
            raise Refusal(
                "VPCAssociationNotFound", "The specified VPC and hosted zone are not currently associated.", 404
            )
        if len(zone.vpcs) == 1:
            raise Refusal(
                "LastVPCAssociation", "The last VPC of a private hosted zone cannot be disassociated from it."
            )
        zone.vpcs.remove(given["VPC"])
        return {"ChangeInfo": self._changed()}

    def _shown(self, zone: _HostedZone) -> dict[str, Any]:
        config = {"PrivateZone": zone.value.private, **({"Comment": zone.comment} if zone.comment else {})}
        return {
            "Id": f"/hostedzone/{zone.value.id}",
            "Name": escaped(zone.value.name),
            "CallerReference": zone.caller_reference,
            "Config": config,
            "ResourceRecordSetCount": len(zone.value.record_sets),
        }

    def _find(self, zone_id: str) -> _HostedZone:
        zone = self._zones.get(_bare(zone_id))
        if zone is None:
            raise Refusal("NoSuchHostedZone", f"No hosted zone found with ID: {_bare(zone_id)}", 404)
        return zone

    # --- records

    def _change(self, given: dict[str, Any]) -> Result:
        zone = self._find(given["HostedZoneId"])
        changes = [Change(item["Action"], read(item["ResourceRecordSet"])) for item in given["ChangeBatch"]["Changes"]]
        value, faults = apply(zone.value, changes, self._alias_fault)
        if faults:
            raise Refusal("InvalidChangeBatch", f"[{', '.join(faults)}]")
        zone.value = value
        comment = given["ChangeBatch"].get("Comment")
        return {"ChangeInfo": self._changed() | ({"Comment": comment} if comment else {})}

    def _records(self, given: dict[str, Any]) -> Result:
        zone = self._find(given["HostedZoneId"])
        sets: Sequence[RecordSet] = zone.value.record_sets  # in the order of listings
        if name := given.get("StartRecordName"):
            start = (
                *name_order(absolute(name), given.get("StartRecordType", "")),
                given.get("StartRecordIdentifier", ""),
            )
            sets = sets[bisect_left(sets, start, key=listing_order) :]
        elif given.get("StartRecordType"):
            raise Refusal("InvalidInput", "The input parameter StartRecordType needs StartRecordName.")
        limit = min(_limit(given, 300), 300)
        answer: dict[str, Any] = {
            "ResourceRecordSets": [shape(record_set) for record_set in sets[:limit]],
            "IsTruncated": len(sets) > limit,
            "MaxItems": str(limit),
        }
        if len(sets) > limit:
            following = sets[limit]
            answer |= {"NextRecordName": escaped(following.name), "NextRecordType": following.type}
            if following.set_identifier:
                answer["NextRecordIdentifier"] = following.set_identifier
        return answer

    def _test(self, given: dict[str, Any]) -> Result:
        zone = self._find(given["HostedZoneId"])
        name = absolute(given["RecordName"])
        found = dns_answer((replace(zone.value, private=False),), name, given["RecordType"], lambda _: ())
        return {
            "Nameserver": zone.name_servers[0] if zone.name_servers else "",
            "RecordName": name,
            "RecordType": given["RecordType"],
            "RecordData": [record.value for record in found.answer],
            "ResponseCode": found.rcode,
            "Protocol": "UDP",
        }

    # --- the rest

    def _changed(self) -> dict[str, Any]:
        """A change is effective at once. It is PENDING in this answer, and INSYNC in GetChange."""
        change_id = "C" + uuid.uuid4().hex[:20].upper()
        now = self._changes[change_id] = datetime.now(UTC)
        while len(self._changes) > CHANGES:
            self._changes.popitem(last=False)
        return {"Id": f"/change/{change_id}", "Status": "PENDING", "SubmittedAt": now}

    def _get_change(self, given: dict[str, Any]) -> Result:
        change_id = _bare(given["Id"])
        if change_id not in self._changes:
            raise Refusal("NoSuchChange", f"A change with the specified change ID {change_id} does not exist.", 404)
        submitted = self._changes[change_id]
        return {"ChangeInfo": {"Id": f"/change/{change_id}", "Status": "INSYNC", "SubmittedAt": submitted}}

    def _dnssec(self, given: dict[str, Any]) -> Result:
        self._find(given["HostedZoneId"])
        return {"Status": {"ServeSignature": "NOT_SIGNING"}, "KeySigningKeys": []}

    def _tagged(self, given: dict[str, Any], resource_id: str) -> tuple[str, str]:
        kind, resource = given["ResourceType"], _bare(resource_id)
        if kind == "hostedzone":
            self._find(resource)
        else:
            self._health.find(resource)
        return (kind, resource)

    def _change_tags(self, given: dict[str, Any]) -> Result:
        tags = self._tags.setdefault(self._tagged(given, given["ResourceId"]), {})
        for key in given.get("RemoveTagKeys", ()):
            tags.pop(key, None)
        tags.update({tag["Key"]: tag.get("Value", "") for tag in given.get("AddTags", ())})
        return {}

    def _list_tags(self, given: dict[str, Any]) -> Result:
        return {"ResourceTagSet": self._tag_set(self._tagged(given, given["ResourceId"]))}

    def _list_tags_of_several(self, given: dict[str, Any]) -> Result:
        keys = [self._tagged(given, resource) for resource in given["ResourceIds"]]
        return {"ResourceTagSets": [self._tag_set(key) for key in keys]}

    def _tag_set(self, key: tuple[str, str]) -> dict[str, Any]:
        tags = [{"Key": name, "Value": value} for name, value in self._tags.get(key, {}).items()]
        return {"ResourceType": key[0], "ResourceId": key[1], "Tags": tags}


def _bare(resource_id: str) -> str:
    return resource_id.rpartition("/")[2]


def _limit(given: Mapping[str, Any], default: int) -> int:
    text = str(given.get("MaxItems", default))
    if not text.isdecimal() or int(text) < 1:
        raise Refusal("InvalidInput", f"The input parameter MaxItems is not valid: {text}")
    return int(text)


def _name_servers(zone_id: str) -> tuple[str, ...]:
    """Four of Route 53's name servers, one per top-level domain, derived from the zone's ID."""
    digest = hashlib.sha256(zone_id.encode()).digest()
    return tuple(
        f"ns-{(digest[2 * at] << 8 | digest[2 * at + 1]) % 512 + 512 * at}.awsdns-{digest[8 + at] % 64:02d}.{domain}"
        for at, domain in enumerate(("com", "net", "org", "co.uk"))
    )
