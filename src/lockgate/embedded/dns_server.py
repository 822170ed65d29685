"""The authoritative DNS server of Route 53's zones, over UDP and TCP on one port.

`lockgate.dns.answer` decides the answers. This module has the sockets, the wire format and the limits.
Source: RFC 1035, RFC 6891 (EDNS), RFC 7766 (TCP). RFC 8482 is not followed: ANY returns all records.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lockgate.dns.answer import Answer, Record, answer
from lockgate.dns.model import Zone
from lockgate.embedded.http import PortInUse, listen

if TYPE_CHECKING:
    import dns.message
    import dns.name
    import dns.rdata

log = logging.getLogger("lockgate.embedded.dns")

PLAIN_UDP = 512  # the largest answer that a client without EDNS accepts
EDNS_UDP = 1232  # DNS Flag Day 2020: crosses any network without fragmentation
IN_FLIGHT = 1000  # UDP queries waiting for zones
CONNECTIONS = 128
IDLE = 10.0  # s, of a TCP connection
ATTEMPTS = 20  # to find a port that is free for both protocols


class DnsServer:
    """`zones` is called again after each change of Route 53 that `changes` reports. `addresses` maps load balancers'
    DNS names (lower-case, final dot) to their addresses."""

    def __init__(
        self,
        zones: Callable[[], Awaitable[tuple[Zone, ...]]],
        addresses: Callable[[str], Sequence[str]],
        changes: Callable[[], AsyncIterator[frozenset[str]]],
    ) -> None:
        self._read_zones = zones
        self._addresses = addresses
        self._changes = changes
        self._zones: tuple[Zone, ...] = ()
        self._stale = True
        self._reading = asyncio.Lock()
        self._following: asyncio.Task[None] | None = None
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.host = ""
        self.port = 0

    async def start(self, host: str, port: int = 0) -> None:
        """With port 0, binds a port that is free for both protocols. Raises `PortInUse`."""
        loop = asyncio.get_running_loop()
        tcp, udp = _bind(host, port)
        self.host, self.port = host, int(tcp.getsockname()[1])
        self._udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self._received), sock=udp)
        self._tcp = await asyncio.start_server(self._connected, sock=tcp)
        self._following = asyncio.create_task(self._follow(self._changes()), name="dns:changes")

    async def stop(self) -> None:
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        tasks = [*self._tasks, *((self._following,) if self._following else ())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def addresses_of(self, host: str) -> list[str]:
        """The addresses of a host, as a client would resolve them: CNAMEs and aliases are followed. May be empty."""
        zones = await self.zones()
        name = host.lower().rstrip(".") + "."
        found = [answer(zones, name, kind, self._addresses, draw=_draw()) for kind in ("A", "AAAA")]
        return [r.value for each in found for r in each.answer if r.type in ("A", "AAAA")]

    # --- zones

    async def _follow(self, changes: AsyncIterator[frozenset[str]]) -> None:
        async for changed in changes:
            if "route53" in changed:
                self._stale = True

    async def zones(self) -> tuple[Zone, ...]:
        """All zones as Route 53 has them now. The same tuple is returned until something changes."""
        if self._stale:
            async with self._reading:
                if self._stale:
                    self._stale = False  # before the read, so that a change during the read makes it stale again
                    try:
                        self._zones = await self._read_zones()
                    except BaseException:
                        self._stale = True
                        raise
        return self._zones

    # --- sockets

    def _received(self, data: bytes, peer: Any) -> None:
        if len(self._tasks) < IN_FLIGHT:
            self._spawn(self._answer_datagram(data, peer))

    async def _answer_datagram(self, data: bytes, peer: Any) -> None:
        reply = await self._reply(data, udp=True)
        if reply is not None and self._udp is not None and not self._udp.is_closing():
            self._udp.sendto(reply, peer)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if len(self._tasks) > CONNECTIONS + IN_FLIGHT:
                return
            while True:
                async with asyncio.timeout(IDLE):
                    (length,) = struct.unpack("!H", await reader.readexactly(2))
                    data = await reader.readexactly(length)
                    reply = await self._reply(data, udp=False)
                    if reply is None:
                        return
                    writer.write(struct.pack("!H", len(reply)) + reply)
                    await writer.drain()
        except (asyncio.IncompleteReadError, TimeoutError, OSError):
            return
        finally:
            self._tasks.discard(task)
            writer.close()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- messages

    async def _reply(self, data: bytes, *, udp: bool) -> bytes | None:
        """None for a message that must not be answered: it has no header, or is a response."""
        if len(data) < 12 or data[2] & 0x80:
            return None
        try:
            zones = await self.zones()
            return _respond(data, zones, self._addresses, udp=udp)
        except Exception:
            log.exception("a DNS query failed")
            return _bare(data, 2)  # SERVFAIL


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes, Any], None]) -> None:
        self._received = received

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._received(data, addr)

    def error_received(self, exc: Exception) -> None:
        """The client has gone away; nothing to do."""


def _bind(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for attempt in range(ATTEMPTS):
        tcp = listen(host, port)
        udp = socket.socket(family, socket.SOCK_DGRAM)
        udp.setblocking(False)
        try:
            udp.bind((host, tcp.getsockname()[1]))
        except OSError as error:
            tcp.close()
            udp.close()
            if port or attempt == ATTEMPTS - 1:
                raise PortInUse(host, port) from error
        else:
            tcp.setblocking(False)
            return tcp, udp
    raise AssertionError("the last attempt returns or raises")


def _respond(data: bytes, zones: tuple[Zone, ...], addresses: Callable[[str], Sequence[str]], *, udp: bool) -> bytes:
    import dns.exception
    import dns.flags
    import dns.message
    import dns.opcode
    import dns.rcode
    import dns.rdataclass
    import dns.rdatatype

    try:
        query = dns.message.from_wire(data, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError):
        return _bare(data, 1)  # FORMERR
    if query.opcode() != dns.opcode.QUERY:
        return _bare(data, 4)  # NOTIMP
    if len(query.question) != 1:
        return _bare(data, 1)
    response = dns.message.make_response(query, our_payload=EDNS_UDP)
    response.flags &= ~(dns.flags.AD | dns.flags.CD)
    question = query.question[0]
    if query.edns > 0:
        response.set_rcode(dns.rcode.BADVERS)
    elif question.rdclass != dns.rdataclass.IN or (
        dns.rdatatype.is_metatype(question.rdtype) and (question.rdtype != dns.rdatatype.ANY)
    ):
        response.set_rcode(dns.rcode.REFUSED)
    else:
        found = answer(
            zones,
            question.name.to_text().lower(),
            dns.rdatatype.to_text(question.rdtype),
            addresses,
            draw=_draw(),
        )
        _fill(response, found, question.name)
    limit = 65535
    if udp:
        limit = PLAIN_UDP if query.edns < 0 else min(max(query.payload, PLAIN_UDP), EDNS_UDP)
    try:
        return response.to_wire(max_size=limit)
    except dns.exception.TooBig:
        response.flags |= dns.flags.TC
        for section in (response.answer, response.authority, response.additional):
            section.clear()
        return response.to_wire(max_size=limit)


def _fill(response: dns.message.Message, found: Answer, asked: dns.name.Name) -> None:
    import dns.flags
    import dns.rcode

    response.set_rcode(dns.rcode.from_text(found.rcode))
    if found.authoritative:
        response.flags |= dns.flags.AA
    for section, records in ((response.answer, found.answer), (response.authority, found.authority)):
        for record in records:
            _add(response, section, record, asked)


def _add(response: dns.message.Message, section: list[Any], record: Record, asked: dns.name.Name) -> None:
    import dns.name
    import dns.rdataclass

    name = dns.name.from_text(record.name)
    if name == asked:
        name = asked  # in the case of the query: some resolvers check it
    data = _rdata(record.type, record.value)
    rrset = response.find_rrset(section, name, dns.rdataclass.IN, data.rdtype, data.covers(), create=True)
    rrset.add(data, ttl=record.ttl)


@lru_cache(maxsize=512)
def _rdata(type_: str, value: str) -> dns.rdata.Rdata:
    """Route 53 escapes bytes of TXT in octal, zone files in decimal."""
    import dns.rdata
    import dns.rdataclass
    import dns.rdatatype

    if type_ in ("TXT", "SPF"):
        value = re.sub(r"\\([0-7]{3})", lambda match: f"\\{int(match[1], 8):03d}", value)
    return dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(type_), value)


def _bare(data: bytes, rcode: int) -> bytes:
    """Only a header, for a query that cannot be repeated in its answer."""
    opcode_and_rd = data[2] & 0x79
    return data[:2] + bytes((0x80 | opcode_and_rd, rcode)) + bytes(8)


def _draw() -> float:
    return random.random()  # noqa: S311 - spreads load, keeps no secret


__all__ = ["DnsServer"]
