"""Asks DNS for a host: every server that the zone is delegated to, and the resolver that a client would use."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import dns.asyncquery
import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.resolver

from lockgate.probe.observed import NameAnswer, Names

_SECONDS = 4.0
_OTHER_TYPES = ("TXT", "MX", "NS", "CAA", "SRV")
_MOST_SERVERS = 8


@dataclass(frozen=True, slots=True)
class Server:
    name: str
    address: str
    port: int = 53

    def __str__(self) -> str:
        at = self.address if self.port == 53 else f"{self.address}:{self.port}"
        return f"{self.name} ({at})" if self.name else at


async def look_up(host: str, *, only: Server | None = None, resolver: Server | None = None) -> Names:
    """With `only`, every zone is at that server, as for a running edge. `resolver` replaces the system's."""
    if only is not None:
        zone, served = await _zone_at(host, only)
        answer = await ask(Server(served[0] if served else "", only.address, only.port), host)
        return Names(host, zone, (answer,) if served or answer.addresses else ())
    client = _resolver(resolver)
    zone, servers = await _delegation(host, client)
    recursive = resolver or Server("resolver", str(client.nameservers[0]), client.port)
    answers = await asyncio.gather(ask(recursive, host, recurse=True), *(ask(each, host) for each in servers))
    return Names(host, zone, tuple(answers[1:]), answers[0])


async def ask(server: Server, host: str, *, recurse: bool = False) -> NameAnswer:
    """The A and AAAA records of `host` at one server; where there are none, which other types the name has."""
    try:
        four, six = await asyncio.gather(*(_query(server, host, each, recurse=recurse) for each in ("A", "AAAA")))
    except (OSError, dns.exception.DNSException) as error:
        return NameAnswer(str(server), "", error=_said(error))
    records = [(each.rdtype, item.to_text()) for answer in (four, six) for each in answer.answer for item in each]
    addresses = [text for kind, text in records if kind in (dns.rdatatype.A, dns.rdatatype.AAAA)]
    aliases = dict.fromkeys(text.rstrip(".") for kind, text in records if kind == dns.rdatatype.CNAME)
    found = NameAnswer(
        str(server),
        dns.rcode.to_text(four.rcode()),
        tuple(dict.fromkeys(addresses)),
        tuple(aliases),
        authoritative=bool(four.flags & dns.flags.AA),
        negative_ttl=None if addresses else _negative_ttl(four),
    )
    if found.rcode != "NOERROR" or found.addresses or found.aliases:
        return found
    try:
        others = await asyncio.gather(*(_query(server, host, each, recurse=recurse) for each in _OTHER_TYPES))
    except (OSError, dns.exception.DNSException):
        return found
    existing = [kind for kind, answer in zip(_OTHER_TYPES, others, strict=True) if answer.answer]
    return NameAnswer(
        found.server,
        found.rcode,
        authoritative=found.authoritative,
        others=tuple(existing),
        negative_ttl=found.negative_ttl,
    )


async def _query(server: Server, host: str, kind: str, *, recurse: bool) -> dns.message.Message:
    question = dns.message.make_query(host, kind)
    if not recurse:
        question.flags &= ~dns.flags.RD
    answer, _ = await dns.asyncquery.udp_with_fallback(question, server.address, _SECONDS, server.port)
    return answer


def _negative_ttl(answer: dns.message.Message) -> int | None:
    """RFC 2308: the lower of the SOA's TTL and its MINIMUM."""
    for each in answer.authority:
        if each.rdtype == dns.rdatatype.SOA:
            return int(min(each.ttl, next(iter(each)).minimum))
    return None


async def _zone_at(host: str, server: Server) -> tuple[str, list[str]]:
    """The longest suffix of `host` that is a zone of the server, with its name servers."""
    name = dns.name.from_text(host)
    while name != dns.name.root:
        try:
            answer = await _query(server, name.to_text(), "NS", recurse=False)
        except (OSError, dns.exception.DNSException):
            return "", []
        served = [
            item.to_text().rstrip(".") for each in answer.answer if each.rdtype == dns.rdatatype.NS for item in each
        ]
        if served:
            return name.to_text().rstrip("."), sorted(served)
        name = name.parent()
    return "", []


async def _delegation(host: str, client: dns.asyncresolver.Resolver) -> tuple[str, list[Server]]:
    """The zone that holds `host`, and the addresses of its name servers, as the client's resolver sees them."""
    name = dns.name.from_text(host)
    while name != dns.name.root:
        try:
            answer = await client.resolve(name, "NS", raise_on_no_answer=False)
        except (dns.exception.DNSException, OSError):
            name = name.parent()
            continue
        if answer.rrset is not None and answer.canonical_name == name:
            names = [item.target.to_text() for item in answer.rrset][:_MOST_SERVERS]
            found = await asyncio.gather(*(_address(each, client) for each in names))
            return name.to_text().rstrip("."), [each for each in found if each is not None]
        name = name.parent()
    return "", []


async def _address(server: str, client: dns.asyncresolver.Resolver) -> Server | None:
    try:
        answer = await client.resolve(server, "A")
    except (dns.exception.DNSException, OSError):
        return None
    return Server(server.rstrip("."), next(iter(answer)).address, client.port)


def _resolver(server: Server | None) -> dns.asyncresolver.Resolver:
    """Raises `dns.resolver.NoResolverConfiguration`."""
    made = dns.asyncresolver.Resolver(configure=server is None)
    made.lifetime = _SECONDS
    if server is not None:
        made.nameservers, made.port = [server.address], server.port
    return made


def _said(error: Exception) -> str:
    return "no answer in time" if isinstance(error, dns.exception.Timeout) else str(error) or type(error).__name__
