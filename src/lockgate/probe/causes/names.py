"""Causes in DNS: the host has no address, or not the right one."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.probe.causes.model import Cause
from lockgate.probe.evidence import Evidence
from lockgate.probe.observed import NameAnswer, Names, Observation, in_a_vpc


def diagnose(seen: Observation, known: Evidence) -> Iterator[Cause]:
    names = seen.names
    if not names.asked:
        return
    yield from _delegation(names)
    yield from _absence(names, known)
    yield from _difference(names)
    yield from _direction(seen, known)


def _delegation(names: Names) -> Iterator[Cause]:
    answered = [each for each in names.servers if each.rcode]
    lame = [each for each in answered if each.rcode in ("REFUSED", "SERVFAIL") or not each.authoritative]
    if lame:
        yield Cause(
            "lame-delegation",
            "DNS",
            f"{_listed(lame)} is delegated to for {names.zone or names.host}, and does not serve the zone",
            "Set the domain's NS records at its registrar to the name servers of the hosted zone (GetHostedZone).",
            confirmed=True,
            because=tuple(f"{each.server} answers {each.rcode}" for each in lame),
        )
    if not (names.zone or names.servers) and (names.resolver is None or not names.resolver.addresses):
        yield Cause(
            "not-delegated",
            "DNS",
            f"no zone that is delegated to holds {names.host}",
            "Register the domain, or add its NS records to the parent zone.",
        )
    resolver = names.resolver
    if resolver and resolver.rcode == "SERVFAIL" and any(each.addresses for each in answered):
        yield Cause(
            "dnssec",
            "DNS",
            f"the resolver fails (SERVFAIL) for {names.host}, and the zone's own servers answer",
            "Compare the DS record at the parent with the zone's keys (GetDNSSEC); remove a DS of an unsigned zone.",
        )


def _absence(names: Names, known: Evidence) -> Iterator[Cause]:
    answered = [each for each in names.servers if each.rcode in ("NOERROR", "NXDOMAIN")]
    if not answered and names.zone and names.resolver and names.resolver.rcode in ("NOERROR", "NXDOMAIN"):
        answered = [names.resolver]  # the zone's servers cannot be asked from here
    if not answered or any(each.addresses or each.aliases for each in answered):
        return
    gone = [each for each in known.records or () if each.alias and known.balancers is not None]
    dead = [each for each in gone if known.balancer_of([each.alias]) is None]
    if dead:
        yield Cause(
            "load-balancer-gone",
            "DNS",
            f"{names.host} is an alias of {dead[0].alias.rstrip('.')}, and no load balancer has that name",
            "Point the record to the load balancer that there is now; external-dns does it from the Ingress' status.",
            confirmed=True,
            because=(f"record {dead[0].name} {dead[0].type} in zone {dead[0].zone}",),
        )
    elif all(each.rcode == "NXDOMAIN" for each in answered):
        found = known.records is not None and not known.records
        yield Cause(
            "no-such-name",
            "DNS",
            f"{names.host} does not exist in {names.zone}",
            "Write the record: external-dns makes it from the Ingress' host, or its hostname annotation.",
            confirmed=found,
            because=tuple(f"{each.server}: NXDOMAIN" for each in answered),
        )
    else:
        others = sorted({kind for each in answered for kind in each.others})
        yield Cause(
            "no-address",
            "DNS",
            f"{names.host} exists without an address: "
            + (f"it has only {', '.join(others)} records" if others else "there are only names below it"),
            "Add an A record. While the name exists in any form, a wildcard above it does not apply.",
            confirmed=bool(names.servers),
            because=tuple(f"{each.server}: NOERROR, no A and no AAAA" for each in answered),
        )


def _difference(names: Names) -> Iterator[Cause]:
    answered = [each for each in names.servers if each.rcode in ("NOERROR", "NXDOMAIN") and each.authoritative]
    resolver = names.resolver
    have = [each for each in answered if each.addresses]
    if have and len(have) < len(answered):
        lacking = [each for each in answered if not each.addresses]
        yield Cause(
            "servers-differ",
            "DNS",
            f"{len(have)} of {len(answered)} servers of {names.zone} know {names.host}: a change is on its way",
            "Wait until the change is INSYNC (GetChange), about a minute.",
            confirmed=True,
            because=tuple(f"{each.server}: {each.rcode} without an address" for each in lacking),
        )
    elif have and resolver and resolver.rcode == "NXDOMAIN":
        left = f" for up to {resolver.negative_ttl} s more" if resolver.negative_ttl is not None else ""
        yield Cause(
            "negative-cache",
            "DNS",
            f"the resolver remembers{left} that {names.host} does not exist; the zone's servers have it",
            "Wait, or ask another resolver. Lower the SOA's minimum TTL before the next new name.",
            confirmed=True,
            because=(f"{resolver.server}: NXDOMAIN", f"{have[0].server}: {', '.join(have[0].addresses)}"),
        )
    elif have and resolver and resolver.addresses and _private(resolver) != _private(have[0]):
        yield Cause(
            "split-horizon",
            "DNS",
            f"the resolver has {', '.join(resolver.addresses)} for {names.host}, and the public zone "
            f"{', '.join(have[0].addresses)}",
            "A private hosted zone of the VPC answers first: add the record there, too (ListHostedZonesByName).",
        )


def _private(answer: NameAnswer) -> bool:
    return any(in_a_vpc(each) for each in answer.addresses)


def _direction(seen: Observation, known: Evidence) -> Iterator[Cause]:
    records = [each for each in known.records or () if each.type in ("A", "AAAA", "CNAME")]
    targets = {each.alias.rstrip(".").lower().removeprefix("dualstack.") for each in records if each.alias}
    if len({each.set_id for each in records if each.set_id}) > 1 and len(targets) > 1:
        yield Cause(
            "several-record-sets",
            "DNS",
            f"{seen.asked.host} has {len(targets)} record sets that lead to different load balancers",
            "Remove the record set that was left over, or its weight.",
            confirmed=True,
            because=tuple(f"{each.set_id}: {each.alias.rstrip('.')}" for each in records if each.set_id),
        )
    if not seen.connections:
        return
    elsewhere = [each for each in seen.connections if "no load balancer of this edge" in each.error]
    if len(elsewhere) < len(seen.connections):
        elsewhere = []  # the other family's addresses are right
    foreign = [each for each in records if each.type in ("A", "AAAA") and not each.alias and not targets]
    unknown = known.balancers is not None and targets and not any(known.balancer_of([each]) for each in targets)
    if elsewhere or unknown or (foreign and known.balancers is not None and _failing(seen)):
        where = elsewhere[0].address if elsewhere else ", ".join(targets) or ", ".join(foreign[0].values)
        yield Cause(
            "not-this-load-balancer",
            "DNS",
            f"{seen.asked.host} leads to {where}, which is no load balancer of this account",
            "Make the record an alias of the load balancer (DescribeLoadBalancers, DNSName).",
            confirmed=known.records is not None,
            because=tuple(f"record {each.name} {each.type} {', '.join(each.values) or each.alias}" for each in records),
        )


def _failing(seen: Observation) -> bool:
    return all(each.error or each.tls_error for each in seen.connections)


def _listed(answers: list[NameAnswer]) -> str:
    return ", ".join(each.server for each in answers)
