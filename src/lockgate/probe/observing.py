"""Makes an observation: names, a connection to each address, and the request at each, side by side."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lockgate import __version__
from lockgate.probe.connections import connect
from lockgate.probe.grpc import call
from lockgate.probe.names import Server, look_up
from lockgate.probe.observed import Asked, Connection, Exchange, Names, Observation
from lockgate.probe.reach import Direct, Reach
from lockgate.probe.requests import send
from lockgate.trace.model import Request

_MOST_ADDRESSES = 8


@dataclass(frozen=True, slots=True)
class Place:
    """Where a probe looks. `dns` is the only name server there is, for a running edge; `resolver` replaces the
    system's. `entrance` is the DNS name to connect to instead of the URL's host, such as a load balancer's."""

    reach: Reach
    dns: Server | None = None
    resolver: Server | None = None
    entrance: str = ""


def asked(request: Request, *, protocol: str, kind: str, now: float, newest_tls: str = "") -> Asked:
    """`now` is Unix time: X-Amzn-Trace-Id starts with it, so that the load balancer's log can be searched by both."""
    assert kind in ("http", "websocket", "grpc")
    trace_id = f"1-{int(now):08x}-{secrets.token_hex(12)}"
    return Asked(
        request.url,
        request.scheme,
        request.host,
        request.port,
        request.target,
        request.method,
        request.headers,
        protocol,
        kind,  # type: ignore[arg-type]
        trace_id,
        f"lockgate-probe/{__version__} ({trace_id[-8:]})",
        newest_tls,
    )


async def observe(place: Place, asked: Asked) -> Observation:
    names = await _names(place, asked)
    secure = asked.scheme == "https"
    alpn = {"auto": ("h2", "http/1.1"), "1.1": ("http/1.1",), "2": ("h2",)}[asked.protocol]
    named = None if _is_address(asked.host) else asked.host
    addresses = names.addresses[:_MOST_ADDRESSES] if names.asked else (names.host,)
    connections = await asyncio.gather(
        *(
            connect(
                place.reach,
                each,
                asked.port,
                server_name=named,
                secure=secure,
                alpn=alpn,
                newest=asked.newest_tls,
            )
            for each in addresses
        )
    )
    open_to = [each.address for each in connections if not each.error and not each.tls_error]
    exchanges = await asyncio.gather(*(_exchange(place.reach, asked, each) for each in open_to))
    return Observation(asked, names, tuple(connections), tuple(exchanges), again=await _again(place, asked, exchanges))


async def _exchange(reach: Reach, asked: Asked, address: str) -> Exchange:
    if asked.kind == "grpc":
        return await call(reach, asked, address)
    return await send(reach, asked, address, protocol=asked.protocol)


async def _names(place: Place, asked: Asked) -> Names:
    host = place.entrance or asked.host
    if _is_address(host):
        return Names(host, asked=False)
    return await look_up(host, only=place.dns, resolver=place.resolver)


async def _again(place: Place, asked: Asked, exchanges: list[Exchange] | tuple[Exchange, ...]) -> Exchange | None:
    """By HTTP/1.1, if HTTP/2 was not asked for, was taken, and failed: some limits are HTTP/2's alone."""
    failed = next((each for each in exchanges if each.protocol == "2" and (each.status or 500) in (400, 500)), None)
    if failed is None or asked.protocol != "auto" or asked.kind != "http":
        return None
    return await send(place.reach, replace(asked, protocol="1.1"), failed.address, protocol="1.1")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def behind_the_load_balancer(addresses: Sequence[tuple[str, int]]) -> dict[str, Connection]:
    """TLS without a server name, as a load balancer connects. Addresses that cannot be reached are left out."""
    found = await asyncio.gather(
        *(
            connect(Direct(), address, port, server_name=None, secure=True)
            for address, port in addresses[:_MOST_ADDRESSES]
        )
    )
    reached = (each for each in found if each.error in ("", "refused"))
    return {f"{each.address}:{each.port}": each for each in reached}
