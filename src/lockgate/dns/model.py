"""Hosted zones as values, in Route 53's nouns.

Names are lower-case and end with a dot; a wildcard's first label is ``*``. Values are in presentation format, as in the
Route 53 API: TXT in quotes, names absolute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Literal, TypeAlias

# --- contents of a record set ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Records:
    ttl: int
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alias:
    """Answers with the records of `dns_name`: a load balancer's addresses, or a record set of the same zone."""

    dns_name: str
    hosted_zone_id: str
    evaluate_target_health: bool = False


Data: TypeAlias = Records | Alias


# --- routing policies: which of several record sets with the same name and type answers ---------------------------


@dataclass(frozen=True, slots=True)
class Simple:
    """The only record set answers."""


@dataclass(frozen=True, slots=True)
class MultiValue:
    """All record sets answer together, at most eight."""


@dataclass(frozen=True, slots=True)
class Weighted:
    weight: int


@dataclass(frozen=True, slots=True)
class Latency:
    region: str


@dataclass(frozen=True, slots=True)
class Failover:
    role: Literal["PRIMARY", "SECONDARY"]


@dataclass(frozen=True, slots=True)
class Geolocation:
    """`country` is ``*`` for the default location."""

    continent: str = ""
    country: str = ""
    subdivision: str = ""


Policy: TypeAlias = Simple | MultiValue | Weighted | Latency | Failover | Geolocation


SIMPLE = Simple()


@dataclass(frozen=True, slots=True)
class RecordSet:
    name: str
    type: str
    data: Data
    policy: Policy = SIMPLE
    set_identifier: str = ""
    health_check_id: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.name, self.type, self.set_identifier)


@dataclass(frozen=True)
class Zone:
    """`id` has no ``/hostedzone/`` prefix. Private zones are never used: this machine is in none of their VPCs."""

    id: str
    name: str
    record_sets: tuple[RecordSet, ...]
    private: bool = False

    @cached_property
    def by_name(self) -> Mapping[str, tuple[RecordSet, ...]]:
        names: dict[str, tuple[RecordSet, ...]] = {}
        for record_set in self.record_sets:
            names[record_set.name] = (*names.get(record_set.name, ()), record_set)
        return MappingProxyType(names)

    @cached_property
    def names(self) -> frozenset[str]:
        """Every existing name, including empty non-terminals (RFC 4592 section 2.2.2)."""
        found = {self.name}
        for name in self.by_name:
            while len(name) > len(self.name):
                found.add(name)
                name = parent(name)
        return frozenset(found)


def parent(name: str) -> str:
    """The parent of a name, such as ``b.`` for ``a.b.``; the root is its own parent."""
    return name.partition(".")[2] or "."


def within(name: str, zone: str) -> bool:
    """Whether `name` equals `zone` or is below it."""
    return name == zone or zone == "." or name.endswith(f".{zone}")
