"""The DNS server on real sockets, asked by dnspython and by dig."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import dns.asyncquery
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import pytest

from lockgate.dns.model import Alias, Records, RecordSet, Zone
from lockgate.embedded.dns_server import DnsServer
from lockgate.embedded.http import PortInUse

Value = TypeVar("Value")

SOA = RecordSet("z.example.", "SOA", Records(900, ("ns.z.example. host.z.example. 1 7200 900 1209600 86400",)))
ZONE = Zone(
    "Z1",
    "z.example.",
    (
        SOA,
        RecordSet("z.example.", "A", Alias("dualstack.lb-1.us-east-1.elb.amazonaws.com.", "ZLB")),
        RecordSet("www.z.example.", "CNAME", Records(60, ("z.example.",))),
        RecordSet("bare.z.example.", "CNAME", Records(60, ("elsewhere.example",))),
        RecordSet("big.z.example.", "TXT", Records(60, tuple(f'"{n}{"x" * 200}"' for n in range(10)))),
        RecordSet("octal.z.example.", "TXT", Records(60, ('"a\\042b"',))),
        RecordSet("broken.z.example.", "A", Records(60, ("not an address",))),
    ),
)


class Source:
    """Zones that a test can change, with Route 53's notifications."""

    def __init__(self) -> None:
        self.zones = (ZONE,)
        self.reads = 0
        self._changes: asyncio.Queue[frozenset[str]] = asyncio.Queue()

    async def read(self) -> tuple[Zone, ...]:
        self.reads += 1
        return self.zones

    def publish(self, service: str) -> None:
        self._changes.put_nowait(frozenset({service}))

    async def changes(self) -> AsyncIterator[frozenset[str]]:
        while True:
            yield await self._changes.get()


def addresses(name: str) -> list[str]:
    return ["127.0.0.2"] if name == "lb-1.us-east-1.elb.amazonaws.com." else []


def served(work: Callable[[DnsServer, Source], Awaitable[Value]]) -> Value:
    async def run() -> Value:
        source = Source()
        server = DnsServer(source.read, addresses, source.changes)
        await server.start("127.0.0.1")
        try:
            async with asyncio.timeout(30):
                return await work(server, source)
        finally:
            await server.stop()

    return asyncio.run(run())


async def ask(server: DnsServer, query: dns.message.Message, *, tcp: bool = False) -> dns.message.Message:
    over = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
    return await over(query, server.host, port=server.port, timeout=10)


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_an_alias_answers_with_the_load_balancers_address(tcp: bool) -> None:
    async def work(server: DnsServer, _: Source) -> None:
        reply = await ask(server, dns.message.make_query("Z.eXample", "A"), tcp=tcp)
        assert reply.answer[0].to_text() == "Z.eXample. 60 IN A 127.0.0.2", "the case of the question comes back"
        assert reply.flags & dns.flags.AA
        assert not reply.flags & dns.flags.RA

    served(work)


def test_a_name_without_its_dot_is_absolute_all_the_same() -> None:
    async def work(server: DnsServer, _: Source) -> None:
        reply = await ask(server, dns.message.make_query("bare.z.example", "A"))
        assert [each.to_text() for each in reply.answer] == ["bare.z.example. 60 IN CNAME elsewhere.example."]

    served(work)


def test_negative_answers_carry_the_soa() -> None:
    async def work(server: DnsServer, _: Source) -> None:
        missing = await ask(server, dns.message.make_query("no.z.example", "A"))
        assert (missing.rcode(), missing.authority[0].ttl) == (dns.rcode.NXDOMAIN, 900)
        nodata = await ask(server, dns.message.make_query("z.example", "AAAA"))
        assert (nodata.rcode(), nodata.answer, len(nodata.authority)) == (dns.rcode.NOERROR, [], 1)

    served(work)


def test_long_answers_are_truncated_over_udp_and_complete_over_tcp() -> None:
    async def work(server: DnsServer, _: Source) -> None:
        plain = dns.message.make_query("big.z.example", "TXT", use_edns=False)
        for query in (plain, dns.message.make_query("big.z.example", "TXT", use_edns=0, payload=65000)):
            short = await ask(server, query)
            assert short.flags & dns.flags.TC
            assert short.answer == []
        whole = await ask(server, plain, tcp=True)
        assert len(whole.answer[0]) == 10

    served(work)


def test_edns_is_answered_with_edns_and_only_then() -> None:
    async def work(server: DnsServer, _: Source) -> None:
        assert (await ask(server, dns.message.make_query("z.example", "A", use_edns=False))).edns == -1
        assert (await ask(server, dns.message.make_query("z.example", "A", use_edns=0))).edns == 0
        newer = await ask(server, dns.message.make_query("z.example", "A", use_edns=1))
        assert newer.rcode() == dns.rcode.BADVERS

    served(work)


@pytest.mark.parametrize(
    ("name", "kind", "class_"),
    [("elsewhere.test", "A", "IN"), ("z.example", "AXFR", "IN"), ("version.bind", "TXT", "CH")],
)
def test_what_is_refused(name: str, kind: str, class_: str) -> None:
    async def work(server: DnsServer, _: Source) -> None:
        reply = await ask(server, dns.message.make_query(name, kind, class_))
        assert reply.rcode() == dns.rcode.REFUSED
        assert not reply.flags & dns.flags.AA

    served(work)


def test_other_operations_are_not_implemented() -> None:
    async def work(server: DnsServer, _: Source) -> None:
        query = dns.message.make_query("z.example", "SOA")
        query.set_opcode(dns.opcode.NOTIFY)
        assert (await ask(server, query)).rcode() == dns.rcode.NOTIMP

    served(work)


def test_bytes_of_text_are_octal_in_route53() -> None:
    async def work(server: DnsServer, _: Source) -> None:
        reply = await ask(server, dns.message.make_query("octal.z.example", "TXT"))
        assert reply.answer[0][0].strings == (b'a"b',)

    served(work)


def test_it_survives_invalid_messages() -> None:
    async def work(server: DnsServer, _: Source) -> None:
        good = dns.message.make_query("z.example", "A").to_wire()
        rubbish = [os.urandom(size) for size in range(0, 200, 3)]
        rubbish += [good[:size] for size in range(len(good))]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            for data in rubbish:
                client.sendto(data, (server.host, server.port))
        for data in (b"", b"\x00", struct.pack("!H", 5) + b"abcde", struct.pack("!H", 60000) + good):
            reader, writer = await asyncio.open_connection(server.host, server.port)
            writer.write(data)
            writer.write_eof()
            assert b"elb" not in await reader.read()
            writer.close()
        assert (await ask(server, dns.message.make_query("z.example", "A"))).answer

    served(work)


def test_a_record_that_does_not_parse_fails_alone() -> None:
    async def work(server: DnsServer, _: Source) -> None:
        assert (await ask(server, dns.message.make_query("broken.z.example", "A"))).rcode() == dns.rcode.SERVFAIL
        assert (await ask(server, dns.message.make_query("z.example", "A"))).answer

    served(work)


def test_an_answer_is_not_answered() -> None:
    async def work(server: DnsServer, _: Source) -> None:
        query = dns.message.make_query("z.example", "A", id=2)
        answer = dns.message.make_response(dns.message.make_query("z.example", "A", id=1))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(10)
            client.connect((server.host, server.port))
            client.send(answer.to_wire())
            client.send(query.to_wire())
            reply = await asyncio.to_thread(client.recv, 4096)
        assert dns.message.from_wire(reply).id == 2

    served(work)


def test_several_queries_on_one_connection() -> None:
    async def work(server: DnsServer, _: Source) -> None:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        queries = [dns.message.make_query(name, "A") for name in ("z.example", "www.z.example")]
        for query in queries:
            wire = query.to_wire()
            writer.write(struct.pack("!H", len(wire)) + wire)
        for query in queries:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            reply = dns.message.from_wire(await reader.readexactly(length))
            assert query.is_response(reply)
        writer.close()

    served(work)


def test_a_change_is_answered_at_once_and_zones_are_read_once_a_change() -> None:
    async def work(server: DnsServer, source: Source) -> None:
        new = RecordSet("new.z.example.", "A", Records(60, ("192.0.2.1",)))
        query = dns.message.make_query("new.z.example", "A")
        for _ in range(3):
            assert (await ask(server, query)).rcode() == dns.rcode.NXDOMAIN
        assert source.reads == 1
        source.zones = (replace(ZONE, record_sets=(*ZONE.record_sets, new)),)
        source.publish("elbv2")
        assert (await ask(server, query)).rcode() == dns.rcode.NXDOMAIN
        source.publish("route53")
        assert (await ask(server, query)).answer[0].to_text() == "new.z.example. 60 IN A 192.0.2.1"
        assert source.reads == 2

    served(work)


def test_addresses_of_a_host() -> None:
    async def work(server: DnsServer, _: Source) -> None:
        assert await server.addresses_of("WWW.z.example.") == ["127.0.0.2"]
        assert await server.addresses_of("no.z.example") == []

    served(work)


def test_a_port_that_is_taken_by_either_protocol_is_reported() -> None:
    async def work(server: DnsServer, source: Source) -> None:
        with pytest.raises(PortInUse):
            await DnsServer(source.read, addresses, source.changes).start("127.0.0.1", server.port)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind(("127.0.0.1", 0))
            with pytest.raises(PortInUse):
                await DnsServer(source.read, addresses, source.changes).start("127.0.0.1", udp.getsockname()[1])

    served(work)


@pytest.mark.skipif(shutil.which("dig") is None, reason="dig is not installed")
def test_dig() -> None:
    async def work(server: DnsServer, _: Source) -> str:
        process = await asyncio.create_subprocess_exec(
            *("dig", "@127.0.0.1", "-p", str(server.port), "+short", "www.z.example"),
            stdout=asyncio.subprocess.PIPE,
        )
        output, _errors = await process.communicate()
        return output.decode()

    assert served(work) == "z.example.\n127.0.0.2\n"
