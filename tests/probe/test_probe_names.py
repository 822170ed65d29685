"""A probe's DNS part against real servers that disagree: two of the zone, and a resolver of the client's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest

from lockgate.dns.model import Records, RecordSet, Zone
from lockgate.embedded.dns_server import DnsServer
from lockgate.probe.causes import causes
from lockgate.probe.evidence import Evidence
from lockgate.probe.names import Server, look_up
from lockgate.probe.observed import Asked, Names, Observation

ADDRESSES = ("127.0.0.2", "127.0.0.3")  # ns1 and ns2
HOST = "shop.lock.example"
THERE = (RecordSet(f"{HOST}.", "A", Records(60, ("203.0.113.1",))),)
NOT_THERE: Sequence[RecordSet] = ()
PRIVATE = (RecordSet(f"{HOST}.", "A", Records(60, ("10.0.0.7",))),)


@pytest.mark.parametrize(
    ("first", "second", "resolver", "cause"),
    [
        (THERE, THERE, THERE, None),
        (THERE, NOT_THERE, THERE, "servers-differ"),
        (THERE, THERE, NOT_THERE, "negative-cache"),
        (THERE, None, THERE, "lame-delegation"),
        (NOT_THERE, NOT_THERE, NOT_THERE, "no-such-name"),
        (THERE, THERE, PRIVATE, "split-horizon"),
    ],
    ids=["agree", "a change on its way", "a remembered absence", "lame", "absent", "split horizon"],
)
def test_servers_that_disagree(
    first: Sequence[RecordSet] | None,
    second: Sequence[RecordSet] | None,
    resolver: Sequence[RecordSet],
    cause: str | None,
) -> None:
    names = asyncio.run(_looked_up(first, second, resolver))
    assert names.zone == "lock.example"
    assert len(names.servers) == 2
    found = causes(Observation(_asked(), names, (), ()), Evidence(), datetime.now(UTC))
    assert [each.name for each in found] == [cause or "no-answer"]  # no request was sent


def test_a_resolver_that_does_not_answer() -> None:
    async def probe() -> Names:
        return await look_up("shop.lock.example", resolver=Server("resolver", "127.0.0.1", 9))

    names = asyncio.run(probe())
    assert names.resolver is not None
    assert names.resolver.rcode == "" and names.resolver.error


async def _looked_up(
    first: Sequence[RecordSet] | None, second: Sequence[RecordSet] | None, resolver: Sequence[RecordSet]
) -> Names:
    async with AsyncExitStack() as running:
        client = await _served(running, "127.0.0.1", 0, (_zone(resolver), _name_servers()))
        for address, held in zip(ADDRESSES, (first, second), strict=True):
            await _served(running, address, client.port, (_zone(held),) if held is not None else ())
        return await look_up(HOST, resolver=Server("resolver", client.host, client.port))


def _zone(held: Sequence[RecordSet]) -> Zone:
    servers = RecordSet("lock.example.", "NS", Records(60, ("ns1.dns.example.", "ns2.dns.example.")))
    soa = RecordSet("lock.example.", "SOA", Records(60, ("ns1.dns.example. admin.dns.example. 1 7200 900 1209600 60",)))
    return Zone("Z1", "lock.example.", (soa, servers, *held))


def _name_servers() -> Zone:
    hosts = [RecordSet(f"ns{n}.dns.example.", "A", Records(60, (each,))) for n, each in enumerate(ADDRESSES, 1)]
    return Zone("Z2", "dns.example.", tuple(hosts))


async def _served(running: AsyncExitStack, host: str, port: int, zones: tuple[Zone, ...]) -> DnsServer:
    async def read() -> tuple[Zone, ...]:
        return zones

    async def never() -> AsyncIterator[frozenset[str]]:
        await asyncio.Event().wait()
        yield frozenset()

    server = DnsServer(read, lambda _: (), never)
    await server.start(host, port)
    running.push_async_callback(server.stop)
    return server


def _asked() -> Asked:
    return Asked(f"https://{HOST}/", "https", HOST, 443, "/", "GET", (), "auto", "http", "1-2-3", "probe")
