"""Applies a change batch to a zone: completely, or not at all with every error.

Source: Route 53 API Reference, ChangeResourceRecordSets; the texts are from users' reports of InvalidChangeBatch.
"""

from __future__ import annotations

import ipaddress
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from lockgate.dns.model import Alias, MultiValue, Records, RecordSet, Simple, Zone, within
from lockgate.embedded.aws.route53.records import listing_order, name_order

RECORDS = 1000  # resource records per batch; those of an UPSERT count twice
CHARACTERS = 32_000


@dataclass(frozen=True, slots=True)
class Change:
    action: Literal["CREATE", "DELETE", "UPSERT"]
    record_set: RecordSet


# Why an alias cannot have a target outside of its zone, or None if it can.
AliasFault = Callable[[Alias], Literal["outside", "missing"] | None]


class State(dict[str, dict[tuple[str, str], RecordSet]]):
    """A zone during a change: record sets by name, then by type and identifier.

    Only the names that a change concerns are looked up, because a zone may have tens of thousands.
    """

    def __init__(self, zone: Zone) -> None:
        super().__init__()
        self._sets = zone.record_sets

    def __missing__(self, name: str) -> dict[tuple[str, str], RecordSet]:
        start, end = self.place(name)
        at_name = {(each.type, each.set_identifier): each for each in self._sets[start:end]}
        self[name] = at_name
        return at_name

    def place(self, name: str) -> tuple[int, int]:
        """Where the record sets of a name are, or would be, in the order of listings."""
        start = end = bisect_left(self._sets, name_order(name), key=_order)
        while end < len(self._sets) and self._sets[end].name == name:
            end += 1
        return start, end

    def record_sets(self) -> tuple[RecordSet, ...]:
        """All of the zone, in the order of listings."""
        sets = list(self._sets)
        places = sorted(((self.place(name), name_order(name), name) for name in self), reverse=True)  # last first
        for (start, end), _, name in places:
            sets[start:end] = sorted(self[name].values(), key=listing_order)
        return tuple(sets)


def _order(record_set: RecordSet) -> tuple[Sequence[str], str]:
    return name_order(record_set.name)


def apply(zone: Zone, changes: Sequence[Change], alias_fault: AliasFault) -> tuple[Zone, tuple[str, ...]]:
    """The zone after the batch, in the order of listings, and its faults. With faults, the zone must not be used."""
    faults = list(_size(changes))
    state = State(zone)
    for change in changes:
        new = change.record_set
        at_name = state[new.name]
        found = list(_values(new)) or list(_check(zone, at_name, change))
        faults.extend(found)
        if found:
            continue
        if change.action == "DELETE":
            del at_name[new.type, new.set_identifier]
        else:
            at_name[new.type, new.set_identifier] = new
    if not faults:  # these concern the zone after the change
        most = len(zone.record_sets) + len(changes)
        for change in changes:
            if change.action != "DELETE":
                faults.extend(_alias(zone, state, change.record_set, alias_fault))
                faults.extend(_loop(zone, state, change.record_set, most))
        return replace(zone, record_sets=state.record_sets()), tuple(faults)
    return zone, tuple(faults)


def _size(changes: Sequence[Change]) -> Iterable[str]:
    values = [
        value
        for change in changes
        if isinstance(change.record_set.data, Records)
        for value in change.record_set.data.values * (2 if change.action == "UPSERT" else 1)
    ]
    if len(values) > RECORDS:
        yield f"Number of records limit of {RECORDS} exceeded."
    if sum(map(len, values)) > CHARACTERS:
        yield f"Number of characters limit of {CHARACTERS} exceeded."


def _check(zone: Zone, at_name: Mapping[tuple[str, str], RecordSet], change: Change) -> Iterable[str]:
    new = change.record_set
    which = f"[name='{new.name}', type='{new.type}'"
    which += f", set-identifier='{new.set_identifier}']" if new.set_identifier else "]"
    current = at_name.get((new.type, new.set_identifier))
    if not within(new.name, zone.name):
        yield f"RRSet with DNS name {new.name} is not permitted in zone {zone.name}"
        return
    if change.action == "DELETE":
        if current is None:
            yield f"Tried to delete resource record set {which} but it was not found"
        elif not _same(current, new):
            yield (
                f"Tried to delete resource record set {which} but the values provided do not match the current values"
            )
        elif new.name == zone.name and new.type == "NS":
            yield "A HostedZone must contain at least one NS record for the zone itself."
        elif new.name == zone.name and new.type == "SOA":
            yield "A HostedZone must contain exactly one SOA record."
        return
    if change.action == "CREATE" and current is not None:
        yield f"Tried to create resource record set {which} but it already exists"
        return
    siblings = [other for other in at_name.values() if other.key != new.key]
    yield from _alike(new, [other for other in siblings if other.type == new.type])
    yield from _cname(zone, new, [other for other in siblings if other.type != new.type])


def _alike(new: RecordSet, others: Sequence[RecordSet]) -> Iterable[str]:
    """All record sets of a name and type must have the same routing policy."""
    if not others or type(others[0].policy) is type(new.policy) is not Simple:
        return
    if isinstance(new.policy, MultiValue):
        yield (
            f'RRSet with DNS name {new.name}, type {new.type}, SetIdentifier "{new.set_identifier}" cannot be created '
            "because a non multivalue answer rrset exists with the same name and type."
        )
    else:
        yield (
            f"RRSet with DNS name {new.name}, type {new.type} cannot be created as other RRSets exist with the same "
            "name and type."
        )


def _cname(zone: Zone, new: RecordSet, others: Sequence[RecordSet]) -> Iterable[str]:
    subject = f"RRSet of type {new.type} with DNS name {new.name} is not permitted"
    if new.type == "SOA" and new.name != zone.name:
        yield f"{subject} in zone {zone.name}"
    elif new.type != "CNAME":
        if any(other.type == "CNAME" for other in others):
            yield (
                f"{subject} because a conflicting RRSet of type CNAME with the same DNS name already exists in zone "
                f"{zone.name}"
            )
    elif new.name == zone.name:
        yield f"{subject} at apex in zone {zone.name}"
    elif others:
        yield f"{subject} as it conflicts with other records with the same DNS name in zone {zone.name}"


def _alias(zone: Zone, state: State, new: RecordSet, fault: AliasFault) -> Iterable[str]:
    if not isinstance(new.data, Alias):
        return
    target = new.data
    problem: str | None = None
    if target.hosted_zone_id == zone.id:
        if not within(target.dns_name, zone.name):
            problem = "outside"
        elif not any(type_ == new.type for type_, _ in state[target.dns_name]):
            problem = "missing"
    else:
        problem = fault(target)
    if problem is not None:
        why = (
            "the alias target name does not lie within the target zone"
            if problem == "outside"
            else "that target was not found"
        )
        yield (
            f"Tried to create an alias that targets {target.dns_name}, type {new.type} in zone "
            f"{target.hosted_zone_id}, but {why}"
        )


def _loop(zone: Zone, state: State, new: RecordSet, most: int) -> Iterable[str]:
    """Follows CNAMEs, and aliases within the zone, until they end or return to the start."""
    name, passed = _following(zone, new), 0
    while name is not None and passed < most:
        if name == new.name:
            yield (
                f"RRSet of type {new.type} with DNS name {new.name} is not permitted as it creates a CNAME or alias "
                "loop in the zone."
            )
            return
        at_name = state[name]
        onward = [each for (type_, _), each in at_name.items() if type_ in ("CNAME", new.type)]
        name, passed = (_following(zone, onward[0]) if onward else None), passed + 1


def _following(zone: Zone, record_set: RecordSet) -> str | None:
    match record_set.data:
        case Records(_, values) if record_set.type == "CNAME":
            return values[0].lower().rstrip(".") + "."
        case Alias(name, zone_id) if zone_id == zone.id:
            return name
        case _:
            return None


def _same(one: RecordSet, other: RecordSet) -> bool:
    """Whether both are equal, except for the order of values."""
    if isinstance(one.data, Records) and isinstance(other.data, Records):
        plain = Records(0, ())
        return (
            one.data.ttl == other.data.ttl
            and sorted(one.data.values) == sorted(other.data.values)
            and replace(one, data=plain) == replace(other, data=plain)
        )
    return one == other


# --- values -------------------------------------------------------------------------------------------------------

_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


def _values(record_set: RecordSet) -> Iterable[str]:
    if len(record_set.name) > 255 or any(not 0 < len(label) < 64 for label in record_set.name[:-1].split(".")):
        yield f"Invalid Domain Name: FATAL problem: DomainLabelInvalid encountered at '{record_set.name}'"
    if not isinstance(record_set.data, Records):
        return
    values = record_set.data.values
    for value in values:
        if fault := _fault(record_set.type, value):
            yield f"Invalid Resource Record: FATAL problem: {fault} encountered with '{value}'"
    for value in sorted({value for value in values if values.count(value) > 1}):
        yield f"Duplicate Resource Record: '{value}'"
    if record_set.type == "CNAME" and len(values) > 1:
        yield f"RRSet of type CNAME with DNS name {record_set.name} can only have one value."


def _fault(type_: str, value: str) -> str | None:
    match type_:
        case "A":
            return None if _address(value, 4) else "ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)"
        case "AAAA":
            return None if _address(value, 6) else "AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address)"
        case "TXT" | "SPF":
            return _character_strings(value)
        case _:
            return _rdata(type_, value)


def _address(value: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(value).version == version
    except ValueError:
        return False


def _character_strings(value: str) -> str | None:
    strings = _STRING.findall(value)
    if not strings or _STRING.sub("", value).strip():
        return "InvalidCharacterString (Value should be enclosed in quotation marks)"
    if any(len(re.sub(r"\\(?:[0-7]{3}|.)", "x", string)) > 255 for string in strings) or len(value) > 4000:
        return "CharacterStringTooLong (Value is too long)"
    return None


def _rdata(type_: str, value: str) -> str | None:
    import dns.exception
    import dns.rdata
    import dns.rdataclass
    import dns.rdatatype

    try:
        dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(type_), value)
    except (dns.exception.DNSException, ValueError):
        return f"{type_}RRDATANotParseable (Value is not the data of a record of type {type_})"
    return None
