"""Validates dns-01 with real DNS queries: RFC 8555 section 8.4, with CAA (RFC 8659).

One name server stands for the whole DNS. Queries are not recursive, and CNAMEs are followed here, so that a validation
sees exactly the edge's zones. The problem texts are those that users of Let's Encrypt search for.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from lockgate.embedded.acme.jws import encode
from lockgate.embedded.acme.problems import Problem

MOST_ALIASES = 10
SECONDS_PER_QUERY = 3.0


def record_value(token: str, thumbprint: str) -> str:
    """The expected content of the TXT record: the digest of the key authorization."""
    return encode(hashlib.sha256(f"{token}.{thumbprint}".encode()).digest())


@dataclass(frozen=True, slots=True)
class Validator:
    """`caa_identities` are the names of this CA in CAA records."""

    dns_server: tuple[str, int]
    caa_identities: tuple[str, ...]

    async def validate(self, domain: str, *, wildcard: bool, expected: str) -> None:
        """Raises `Problem` unless a TXT record of the domain is `expected` and its CAA records permit this CA."""
        await asyncio.gather(self._txt(domain, expected), self._caa(domain, wildcard))

    async def _txt(self, domain: str, expected: str) -> None:
        name = f"_acme-challenge.{domain}"
        records = await self._records(name, dns.rdatatype.TXT)
        found = [b"".join(record.strings).decode(errors="replace") for record in records]
        if expected in found:
            return
        if not found:
            raise Problem("unauthorized", f"No TXT record found at {name}")
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        shown = found[0] if len(found[0]) <= 100 else found[0][:100] + "..."
        raise Problem("unauthorized", f'Incorrect TXT record "{shown}"{more} found at {name}')

    async def _caa(self, domain: str, wildcard: bool) -> None:
        """Climbs from the domain to the first name with CAA records (RFC 8659 section 3)."""
        labels = domain.split(".")
        climb = [".".join(labels[depth:]) for depth in range(len(labels))]
        answers = await asyncio.gather(*(self._caa_records(name) for name in climb))
        for name, records in zip(climb, answers, strict=True):
            if not records:
                continue
            properties = [(record.tag.decode().lower(), record.value.decode()) for record in records]
            for record, (tag, _) in zip(records, properties, strict=True):
                if record.flags & 128 and tag not in ("issue", "issuewild", "iodef"):
                    raise Problem("caa", f"CAA record for {name} has the unknown critical property {tag!r}")
            issuers = [value for tag, value in properties if tag == "issue"]
            wild = [value for tag, value in properties if tag == "issuewild"]
            permitted = wild if wildcard and wild else issuers
            if permitted and not any(self._is_us(value) for value in permitted):
                raise Problem("caa", f"CAA record for {name} prevents issuance")
            return

    async def _caa_records(self, name: str) -> dns.rrset.RRset | tuple[()]:
        try:
            return await self._records(name, dns.rdatatype.CAA)
        except _NoSuchName:
            return ()
        except _Refused:
            return ()  # above the edge's zones, no record can forbid issuance

    def _is_us(self, value: str) -> bool:
        return value.partition(";")[0].strip().lower() in self.caa_identities

    async def _records(self, name: str, kind: dns.rdatatype.RdataType) -> dns.rrset.RRset | tuple[()]:
        """The records at a name, after its CNAMEs. Empty if the name exists without such records."""
        asked = f"{dns.rdatatype.to_text(kind)} for {name}"
        target = dns.name.from_text(name)
        for _ in range(MOST_ALIASES):
            reply = await self._ask(target, kind, asked)
            aliases = {each.name: each[0].target for each in reply.answer if each.rdtype == dns.rdatatype.CNAME}
            while target in aliases:
                target = aliases.pop(target)
            if records := reply.get_rrset(dns.message.ANSWER, target, dns.rdataclass.IN, kind):
                return records
            if not reply.answer:
                _judge(reply.rcode(), asked)
                return ()
        raise Problem("dns", f"DNS problem: too many CNAMEs looking up {asked}")

    async def _ask(self, name: dns.name.Name, kind: dns.rdatatype.RdataType, asked: str) -> dns.message.Message:
        host, port = self.dns_server
        query = dns.message.make_query(name, kind, use_edns=0, payload=1232)
        query.flags &= ~dns.flags.RD
        for attempt in (1, 2):
            try:
                reply, _ = await dns.asyncquery.udp_with_fallback(query, host, timeout=SECONDS_PER_QUERY, port=port)
                return reply
            except dns.exception.Timeout:
                if attempt == 2:
                    raise Problem("dns", f"DNS problem: query timed out looking up {asked}") from None
            except (dns.exception.DNSException, OSError) as error:
                raise Problem("dns", f"DNS problem: networking error looking up {asked}: {error}") from None
        raise AssertionError("unreachable")


class _NoSuchName(Problem):
    pass


class _Refused(Problem):
    pass


def _judge(code: dns.rcode.Rcode, asked: str) -> None:
    match code:
        case dns.rcode.NOERROR:
            return
        case dns.rcode.NXDOMAIN:
            raise _NoSuchName(
                "dns",
                f"DNS problem: NXDOMAIN looking up {asked} - check that a DNS record exists for this domain",
            )
        case dns.rcode.SERVFAIL:
            raise Problem(
                "dns",
                f"DNS problem: SERVFAIL looking up {asked} - the domain's nameservers may be malfunctioning",
            )
        case dns.rcode.REFUSED:
            raise _Refused("dns", f"DNS problem: REFUSED looking up {asked}")
        case _:
            raise Problem("dns", f"DNS problem: {dns.rcode.to_text(code)} looking up {asked}")
