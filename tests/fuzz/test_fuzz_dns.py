"""Whatever bytes come as a query, the DNS server answers with a message or stays silent, and never breaks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.dns.model import Alias, Records, RecordSet, Zone
from lockgate.embedded.dns_server import DnsServer
from tests.fuzz.fuzzing import fuzz

SOA = RecordSet("z.example.", "SOA", Records(900, ("ns.z.example. host.z.example. 1 7200 900 1209600 86400",)))
ZONE = Zone(
    "Z1",
    "z.example.",
    (
        SOA,
        RecordSet("z.example.", "A", Alias("lb-1.us-east-1.elb.amazonaws.com.", "ZLB")),
        RecordSet("\\052.z.example.", "A", Records(60, ("192.0.2.1",))),
        RecordSet("www.z.example.", "CNAME", Records(60, ("z.example.",))),
        RecordSet("loop.z.example.", "CNAME", Records(60, ("loop.z.example.",))),
        RecordSet("big.z.example.", "TXT", Records(60, tuple(f'"{n}{"x" * 200}"' for n in range(10)))),
    ),
)
LABELS = st.sampled_from(["z", "example", "www", "loop", "big", "*", "", "a" * 63, "xn--", "_acme-challenge", "\\000"])
NAMES = st.lists(LABELS, max_size=6).map(lambda labels: ".".join(label for label in labels if label) + ".")
KINDS = st.sampled_from(
    ["A", "AAAA", "TXT", "CNAME", "SOA", "NS", "ANY", "CAA", "MX", "AXFR", "IXFR", "OPT", "TYPE65535"]
)


@st.composite
def packets(draw: st.DrawFn) -> bytes:
    """A query, most often damaged."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=600))
    try:
        query = dns.message.make_query(draw(NAMES), draw(KINDS), use_edns=draw(st.sampled_from([False, 0, 1])))
        wire = bytearray(query.to_wire())
    except (dns.exception.DNSException, ValueError):
        return b"\0" * 12
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, max(len(wire) - 1, 0)))
        match draw(st.integers(0, 3)):
            case 0:
                wire[at : at + 1] = bytes((draw(st.integers(0, 255)),))
            case 1:
                del wire[at:]
            case 2:
                wire[at:at] = draw(st.binary(max_size=8))
            case _:
                wire[at : at + 2] = b"\xc0" + bytes((at % 256,))  # a pointer, perhaps to itself
    return bytes(wire)


async def _zones() -> tuple[Zone, ...]:
    return (ZONE,)


async def _changes() -> AsyncIterator[frozenset[str]]:
    return
    yield


SERVER = DnsServer(_zones, lambda name: ["127.0.0.1"], _changes)


@fuzz(400)
@given(packet=packets(), udp=st.booleans())
def test_every_packet_is_answered_or_ignored(packet: bytes, udp: bool) -> None:
    failures: list[logging.LogRecord] = []
    handler = Kept(failures)
    logging.getLogger("lockgate").addHandler(handler)
    try:
        reply = asyncio.run(SERVER._reply(packet, udp=udp))
    finally:
        logging.getLogger("lockgate").removeHandler(handler)
    assert not failures, (packet, failures[0].exc_info)
    if reply is not None:
        assert reply[:2] == packet[:2]
        assert len(reply) <= (1232 if udp else 65535)
        if len(reply) > 12:
            assert dns.message.from_wire(reply).rcode() != dns.rcode.SERVFAIL


class Kept(logging.Handler):
    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__(logging.ERROR)
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)


@fuzz(300)
@given(
    host=st.one_of(
        NAMES, st.text(max_size=30), st.sampled_from(["a" * 300, "a..b", "\\", "\\999", "é.example", "\x00"])
    )
)
def test_every_host_of_the_proxy_has_addresses_or_none(host: str) -> None:
    found: Any = asyncio.run(SERVER.addresses_of(host))
    assert isinstance(found, list)


@pytest.mark.parametrize("kind", ["A", "TXT"])
def test_the_server_answers_what_is_whole(kind: str) -> None:
    wire = dns.message.make_query("big.z.example.", kind).to_wire()
    reply = asyncio.run(SERVER._reply(wire, udp=False))
    assert reply is not None
    assert dns.message.from_wire(reply).rcode() == dns.rcode.NOERROR
