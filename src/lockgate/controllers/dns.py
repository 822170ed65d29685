"""The only module with which controllers query a name server. Nothing is cached, because they check the current
state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dns.message
    import dns.name

MOST_ALIASES = 10


class DnsFailure(Exception):
    """No usable response. `code` is the DNS response's, such as ``REFUSED``, or empty if there was no response."""

    def __init__(self, name: str, type_: str, code: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.type = type_
        self.code = code


@dataclass(frozen=True, slots=True)
class NameServer:
    """An authoritative server, queried without recursion. Names have no final dot."""

    host: str
    port: int
    seconds: float = 5.0

    async def txt(self, name: str) -> tuple[str, ...]:
        """The texts at a name, or at the end of its CNAMEs; empty if there are none. Raises `DnsFailure`."""
        reply = await self._ask(await self.follow(name), "TXT")
        return tuple(
            b"".join(record.strings).decode(errors="replace")
            for records in reply.answer
            if records.rdtype.name == "TXT"
            for record in records
        )

    async def cname(self, name: str) -> str | None:
        """The target of a name's CNAME, if it has one. Raises `DnsFailure`."""
        reply = await self._ask(name, "CNAME")
        for records in reply.answer:
            if records.rdtype.name == "CNAME" and _text(records.name) == name.lower():
                return _text(records[0].target)
        return None

    async def follow(self, name: str) -> str:
        """The name at the end of a chain of CNAMEs. Raises `DnsFailure`, also for a circular chain."""
        seen = [name.lower()]
        while target := await self.cname(seen[-1]):
            if target in seen or len(seen) > MOST_ALIASES:
                message = f'Found recursive CNAME record to "{target}." when looking up "{name}."'
                raise DnsFailure(name, "CNAME", "NOERROR", message)
            seen.append(target)
        return seen[-1]

    async def zone(self, name: str) -> str | None:
        """The zone of a name, by its SOA record; None if the server has none. Raises `DnsFailure`."""
        labels = name.lower().split(".")
        for depth in range(len(labels)):
            candidate = ".".join(labels[depth:])
            try:
                reply = await self._ask(candidate, "SOA")
            except DnsFailure as failure:
                if failure.code in ("REFUSED", "NOTAUTH"):
                    continue  # not this server's; a parent may be
                raise
            if any(records.rdtype.name == "CNAME" for records in reply.answer):
                continue  # the authority section is about the alias's target
            for records in (*reply.answer, *reply.authority):
                if records.rdtype.name == "SOA":
                    return _text(records.name)
        return None

    async def name_servers(self, zone: str) -> tuple[str, ...]:
        """The zone's NS records. Raises `DnsFailure`."""
        reply = await self._ask(zone, "NS")
        return tuple(
            sorted(
                _text(record.target) for records in reply.answer if records.rdtype.name == "NS" for record in records
            )
        )

    async def _ask(self, name: str, type_: str) -> dns.message.Message:
        """A response with NOERROR or NXDOMAIN."""
        import dns.asyncquery
        import dns.exception
        import dns.flags
        import dns.message
        import dns.name
        import dns.rcode

        try:
            query = dns.message.make_query(dns.name.from_text(name), type_, use_edns=0, payload=1232)
        except dns.exception.DNSException as error:
            raise DnsFailure(name, type_, "", f"{name!r} is not a valid DNS name: {error}") from None
        query.flags &= ~dns.flags.RD
        try:
            reply, _ = await dns.asyncquery.udp_with_fallback(query, self.host, self.seconds, port=self.port)
        except dns.exception.Timeout:
            message = f"read udp {self.host}:{self.port}: i/o timeout"
            raise DnsFailure(name, type_, "", message) from None
        except (dns.exception.DNSException, OSError) as error:
            raise DnsFailure(name, type_, "", f"dial udp {self.host}:{self.port}: {error}") from None
        if reply.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            code = dns.rcode.to_text(reply.rcode())
            raise DnsFailure(name, type_, code, f"{self.host}:{self.port} returned {code} for {name}.")
        return reply


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()
