"""Answers of an authoritative server, from Route 53's zones and from AWS's zones of load balancer names.

Source: RFC 1034 section 4.3.2, RFC 4592 (wildcards), RFC 2308 (negative answers), and Route 53's developer guide,
"Choosing between alias and non-alias records".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, assert_never

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
    Zone,
    parent,
    within,
)

ALIAS_TTL = 60  # Route 53's TTL of an alias to a load balancer
CHAIN = 16  # maximum length of a CNAME chain, which ends loops across zones
MULTIVALUES = 8

_FIELD = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')
_NAMES: Mapping[str, tuple[int, ...]] = {  # indices of the fields of a value that are names
    "CNAME": (0,),
    "HTTPS": (1,),
    "MX": (1,),
    "NAPTR": (5,),
    "NS": (0,),
    "PTR": (0,),
    "SOA": (0, 1),
    "SRV": (3,),
    "SVCB": (1,),
}

Rcode: TypeAlias = Literal["NOERROR", "NXDOMAIN", "REFUSED"]
Addresses: TypeAlias = Callable[[str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Record:
    """One record of an answer. `value` is in presentation format; names in it end with a dot."""

    name: str
    type: str
    ttl: int
    value: str


@dataclass(frozen=True, slots=True)
class Answer:
    rcode: Rcode
    authoritative: bool
    answer: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()


def answer(zones: Sequence[Zone], name: str, rdtype: str, addresses: Addresses, *, draw: float = 0.0) -> Answer:
    """`addresses` returns the addresses of an AWS resource by its DNS name (lower-case, with the dot); empty if
    unknown.

    `draw`, in [0, 1), selects among weighted record sets.
    """
    name = name.lower()
    zone = zone_of(zones, name)
    if zone is None:
        known = bool(addresses(name.removeprefix("dualstack.")))
        return Answer("NOERROR" if known else "REFUSED", known, _addressed(name, name, rdtype, addresses))
    chain: list[Record] = []
    while True:
        if referral := _delegation(zone, name, rdtype):
            return Answer("NOERROR", bool(chain), tuple(chain), referral)
        found = _match(zone, name)
        if found is None:
            return Answer("NXDOMAIN", True, tuple(chain), _soa(zone))
        records = _records(zone, name, found, rdtype, addresses, draw)
        if records:
            return Answer("NOERROR", True, (*chain, *records))
        cname = _records(zone, name, found, "CNAME", addresses, draw) if rdtype != "CNAME" else ()
        if not cname:
            return Answer("NOERROR", True, tuple(chain), _soa(zone))
        chain.append(cname[0])
        name = cname[0].value.lower()
        following = zone_of(zones, name)
        if following is None or len(chain) == CHAIN:  # the resolver continues from here
            return Answer("NOERROR", True, (*chain, *_addressed(name, name, rdtype, addresses)))
        zone = following


def zone_of(zones: Iterable[Zone], name: str) -> Zone | None:
    """The public zone with the longest name that contains `name`.

    If several zones have the same name, a registrar delegates to one of them, but Lockgate does not know which: the
    first zone that has the name answers.
    """
    best: Zone | None = None
    for zone in zones:
        if zone.private or not within(name, zone.name):
            continue
        if (
            best is None
            or len(zone.name) > len(best.name)
            or (zone.name == best.name and _match(best, name) is None and _match(zone, name) is not None)
        ):
            best = zone
    return best


def _match(zone: Zone, name: str) -> tuple[RecordSet, ...] | None:
    """The record sets at `name`, or at the wildcard that covers it; None if the name does not exist."""
    if name in zone.names:
        return zone.by_name.get(name, ())
    encloser = parent(name)
    while encloser not in zone.names:
        encloser = parent(encloser)
    return zone.by_name.get(f"*.{encloser}")


def _delegation(zone: Zone, name: str, rdtype: str) -> tuple[Record, ...]:
    """The NS records of a delegation between the zone's apex and `name`, which the child's servers answer for."""
    cut = name
    if rdtype == "DS" and len(cut) > len(zone.name):
        cut = parent(cut)  # the parent zone answers for DS (RFC 4035 section 3.1.4.1)
    highest: tuple[Record, ...] = ()
    while len(cut) > len(zone.name):
        for record_set in zone.by_name.get(cut, ()):
            if record_set.type == "NS" and isinstance(record_set.data, Records):
                data = record_set.data
                highest = tuple(Record(cut, "NS", data.ttl, _absolute("NS", value)) for value in data.values)
        cut = parent(cut)
    return highest


def _records(
    zone: Zone, name: str, found: tuple[RecordSet, ...], rdtype: str, addresses: Addresses, draw: float
) -> tuple[Record, ...]:
    if rdtype == "ANY":
        types = dict.fromkeys(record_set.type for record_set in found)
        return tuple(r for type_ in types for r in _records(zone, name, found, type_, addresses, draw))
    chosen = _choose([record_set for record_set in found if record_set.type == rdtype], draw)
    return tuple(record for record_set in chosen for record in _expand(zone, name, record_set, addresses, draw))


def _choose(candidates: Sequence[RecordSet], draw: float) -> Sequence[RecordSet]:
    """Applies the routing policy, of which a name and type has only one. If AWS would measure the client, the first
    record set answers, because everything is on one machine. Health checks are ignored: Route 53, too, answers with the
    only record if it is unhealthy."""
    if len(candidates) < 2:
        return candidates
    match candidates[0].policy:
        case Simple() | Latency():
            return candidates[:1]
        case MultiValue():
            return candidates[:MULTIVALUES]
        case Weighted():
            return [_weighted(candidates, draw)]
        case Failover():
            return [next((c for c in candidates if c.policy == Failover("PRIMARY")), candidates[0])]
        case Geolocation():
            return [next((c for c in candidates if c.policy == Geolocation(country="*")), candidates[0])]
        case other:
            assert_never(other)


def _weighted(candidates: Sequence[RecordSet], draw: float) -> RecordSet:
    """Record sets with weight zero are chosen only if all weights are zero, and then evenly."""
    weights = [c.policy.weight if isinstance(c.policy, Weighted) else 0 for c in candidates]
    if not any(weights):
        weights = [1] * len(candidates)
    point = draw * sum(weights)
    for candidate, weight in zip(candidates, weights, strict=True):
        if point < weight:
            return candidate
        point -= weight
    return candidates[-1]


def _expand(
    zone: Zone, name: str, record_set: RecordSet, addresses: Addresses, draw: float, depth: int = 0
) -> tuple[Record, ...]:
    match record_set.data:
        case Records(ttl, values):
            return tuple(Record(name, record_set.type, ttl, _absolute(record_set.type, value)) for value in values)
        case Alias(dns_name, hosted_zone_id):
            target = dns_name.lower().rstrip(".") + "."
            if hosted_zone_id == zone.id:
                targets = [r for r in _match(zone, target) or () if r.type == record_set.type]
                if depth == CHAIN:
                    return ()
                return tuple(
                    record
                    for chosen in _choose(targets, draw)
                    for record in _expand(zone, name, chosen, addresses, draw, depth + 1)
                )
            return _addressed(name, target, record_set.type, addresses)
        case other:
            assert_never(other)


def _addressed(name: str, target: str, rdtype: str, addresses: Addresses) -> tuple[Record, ...]:
    """The addresses of an AWS resource as records of `name`."""
    family = {"A": ".", "AAAA": ":"}.get(rdtype)
    if family is None:
        return ()
    found = addresses(target.removeprefix("dualstack."))
    return tuple(Record(name, rdtype, ALIAS_TTL, address) for address in found if family in address)


def _soa(zone: Zone) -> tuple[Record, ...]:
    """The SOA of a negative answer. Its TTL is the smaller of its own TTL and its MINIMUM (RFC 2308)."""
    for record_set in zone.by_name.get(zone.name, ()):
        if record_set.type == "SOA" and isinstance(record_set.data, Records):
            value = record_set.data.values[0]
            minimum = value.split()[-1]
            ttl = min(record_set.data.ttl, int(minimum) if minimum.isdigit() else record_set.data.ttl)
            return (Record(zone.name, "SOA", ttl, _absolute("SOA", value)),)
    return ()


def _absolute(rdtype: str, value: str) -> str:
    """Route 53 treats names in values as absolute, with or without the final dot, unlike a zone file (developer guide,
    "Supported DNS record types")."""
    names = _NAMES.get(rdtype, ())
    if not names:
        return value
    fields = _FIELD.findall(value)
    return " ".join(
        f"{field}." if at in names and not field.endswith(".") else field for at, field in enumerate(fields)
    )
