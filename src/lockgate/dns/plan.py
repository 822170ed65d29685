"""The changes in Route 53 after which the given endpoints have their records, and this owner has no others.

Ownership is a TXT record next to each record set, in external-dns' format. Record sets without this owner's TXT record
belong to someone else and are not changed. Source: kubernetes-sigs/external-dns `registry/txt.go`,
`provider/aws/aws.go`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from sys import intern
from typing import Literal

from lockgate.dns.answer import zone_of
from lockgate.dns.load_balancers import canonical_hosted_zone
from lockgate.dns.model import SIMPLE, Alias, Data, Policy, Records, RecordSet, Zone

TTL = 300  # seconds, if an endpoint sets none
MANAGED = ("A", "AAAA", "CNAME")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host and its targets: DNS names or addresses. `resource` is ``ingress/namespace/name``.

    With `alias` False, the record is a CNAME even for a load balancer.
    """

    host: str
    targets: tuple[str, ...]
    resource: str
    ttl: int | None = None
    alias: bool = True
    evaluate_target_health: bool = True
    policy: Policy = SIMPLE
    set_identifier: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    action: Literal["CREATE", "UPSERT", "DELETE"]
    record_set: RecordSet


@dataclass(frozen=True, slots=True)
class Plan:
    """`changes` by zone ID. Each inner tuple is one record set with its TXT record, which change together.

    `left` has the endpoints that get no record, each with the reason.
    """

    changes: Mapping[str, tuple[tuple[Change, ...], ...]]
    left: tuple[tuple[Endpoint, str], ...]


def plan(endpoints: Iterable[Endpoint], zones: Sequence[Zone], owner: str) -> Plan:
    """If several endpoints have the same name, the one that already has the record wins, else the first."""
    registry = _Registry(zones, owner)
    desired: dict[tuple[str, str, str], tuple[Zone, Endpoint, RecordSet]] = {}
    left: list[tuple[Endpoint, str]] = []
    for endpoint in endpoints:
        name = intern(endpoint.host.lower().rstrip(".") + ".")
        zone = zone_of(zones, name)
        if zone is None:
            left.append((endpoint, f"no hosted zone holds {endpoint.host}"))
            continue
        sets = _record_sets(endpoint, name)
        if any(record_set.type == "CNAME" for record_set in sets) and name == zone.name:
            left.append((endpoint, f"a CNAME is not possible at the apex of {zone.name}"))
            continue
        for record_set in sets:
            known = desired.get(record_set.key)
            if known is None or registry.resource(zone, record_set) == endpoint.resource != known[1].resource:
                desired[record_set.key] = (zone, endpoint, record_set)
    changes: dict[str, list[tuple[Change, ...]]] = {}
    for zone, record_set in registry.owned():
        if record_set.key not in desired:
            changes.setdefault(zone.id, []).append(registry.deletion(zone, record_set))
    for zone, endpoint, record_set in desired.values():
        current = registry.current(zone, record_set)
        if current is None:
            if _blocked(zone, record_set, desired, registry):
                left.append((endpoint, f"{record_set.name} has records of another owner"))
                continue
            changes.setdefault(zone.id, []).append(registry.creation(zone, record_set, endpoint.resource))
        elif registry.resource(zone, record_set) is None:
            if not _alike(current, record_set):
                left.append((endpoint, f"{record_set.type} {record_set.name} belongs to another owner"))
        elif not _alike(current, record_set) or registry.resource(zone, record_set) != endpoint.resource:
            changes.setdefault(zone.id, []).append(registry.update(zone, record_set, endpoint.resource))
    return Plan({zone: tuple(groups) for zone, groups in changes.items()}, tuple(left))


class _Registry:
    """The zones' record sets, and the TXT records that identify their owners."""

    def __init__(self, zones: Sequence[Zone], owner: str) -> None:
        self._zones = zones
        self._owner = owner
        self._sets = {zone.id: {record_set.key: record_set for record_set in zone.record_sets} for zone in zones}

    def current(self, zone: Zone, record_set: RecordSet) -> RecordSet | None:
        return self._sets[zone.id].get(record_set.key)

    def owned(self) -> Iterable[tuple[Zone, RecordSet]]:
        for zone in self._zones:
            for record_set in zone.record_sets:
                if record_set.type in MANAGED and self.resource(zone, record_set) is not None:
                    yield zone, record_set

    def resource(self, zone: Zone, record_set: RecordSet) -> str | None:
        """The resource of a record set that this owner created, else None."""
        text = self._text(zone, record_set)
        if text is None or not isinstance(text.data, Records):
            return None
        if "heritage=external-dns" not in text.data.values[0] or _fields(text).get("owner") != self._owner:
            return None
        return resource_of(text)

    def creation(self, zone: Zone, record_set: RecordSet, resource: str) -> tuple[Change, ...]:
        return (Change("CREATE", record_set), Change("UPSERT", self._made(zone, record_set, resource)))

    def update(self, zone: Zone, record_set: RecordSet, resource: str) -> tuple[Change, ...]:
        return (Change("UPSERT", record_set), Change("UPSERT", self._made(zone, record_set, resource)))

    def deletion(self, zone: Zone, record_set: RecordSet) -> tuple[Change, ...]:
        text = self._text(zone, record_set)
        assert text is not None
        return (Change("DELETE", record_set), Change("DELETE", text))

    def _text(self, zone: Zone, record_set: RecordSet) -> RecordSet | None:
        return self._sets[zone.id].get((ownership_name(record_set, zone), "TXT", record_set.set_identifier))

    def _made(self, zone: Zone, record_set: RecordSet, resource: str) -> RecordSet:
        value = f'"heritage=external-dns,external-dns/owner={self._owner},external-dns/resource={resource}"'
        return RecordSet(
            ownership_name(record_set, zone),
            "TXT",
            Records(TTL, (intern(value),)),
            record_set.policy,
            record_set.set_identifier,
        )


def resource_of(text: RecordSet) -> str:
    """The ``kind/namespace/name`` in the TXT record of a record set, else ""."""
    return _fields(text).get("resource", "")


def _fields(text: RecordSet) -> dict[str, str]:
    assert isinstance(text.data, Records), "an alias has no text"
    return dict(re.findall(r"external-dns/(\w+)=([^,\"]*)", text.data.values[0]))


def ownership_name(record_set: RecordSet, zone: Zone) -> str:
    """The name of the TXT record, such as ``a-www.example.com.`` for the A record of ``www``.

    At the apex it would be outside the zone; there it is the name that external-dns'
    ``--txt-prefix=%{record_type}-edns.`` makes.
    """
    kind = record_set.type.lower()
    return intern(f"{kind}-edns.{zone.name}" if record_set.name == zone.name else f"{kind}-{record_set.name}")


def _record_sets(endpoint: Endpoint, name: str) -> list[RecordSet]:
    made: dict[str, Data] = {}
    addresses = [target for target in endpoint.targets if _version(target)]
    names = [target for target in endpoint.targets if not _version(target)]
    ttl = endpoint.ttl or TTL
    if names and not addresses:
        target = intern(names[0].lower().rstrip(".") + ".")
        zone = canonical_hosted_zone(target)
        if zone is not None and endpoint.alias:
            made = dict.fromkeys(("A", "AAAA"), Alias(target, zone, endpoint.evaluate_target_health))
        else:
            made["CNAME"] = Records(ttl, (target,))
    else:
        for kind, version in (("A", 4), ("AAAA", 6)):
            if values := tuple(target for target in addresses if _version(target) == version):
                made[kind] = Records(ttl, values)
    return [RecordSet(name, kind, data, endpoint.policy, endpoint.set_identifier) for kind, data in made.items()]


def _blocked(
    zone: Zone,
    record_set: RecordSet,
    desired: Mapping[tuple[str, str, str], tuple[Zone, Endpoint, RecordSet]],
    registry: _Registry,
) -> bool:
    """A CNAME excludes other types; record sets of one type must have the same routing policy."""
    for other in zone.by_name.get(record_set.name, ()):
        ours = registry.resource(zone, other) is not None and other.key not in desired
        clash = "CNAME" in (other.type, record_set.type) or other.type == record_set.type
        if clash and not ours and not (other.type == record_set.type and other.policy != SIMPLE != record_set.policy):
            return True
    return False


def _alike(current: RecordSet, desired: RecordSet) -> bool:
    """AWS's console adds ``dualstack.`` to aliases; values have no order."""
    match current.data, desired.data:
        case Records(ttl, values), Records(other_ttl, other_values):
            same = ttl == other_ttl and sorted(values) == sorted(other_values)
        case Alias() as one, Alias() as other:
            same = (one.dns_name.removeprefix("dualstack."), one.hosted_zone_id, one.evaluate_target_health) == (
                other.dns_name.removeprefix("dualstack."),
                other.hosted_zone_id,
                other.evaluate_target_health,
            )
        case _:
            same = False
    return same and current.policy == desired.policy


def _version(target: str) -> int | None:
    try:
        return ipaddress.ip_address(target).version
    except ValueError:
        return None
