"""What VirtualServices ask for: their hosts, and the Services that they lead to. No other field of them is read here.

There may be thousands, of which one changes at a time. While what it asks for stays the same, so does the supply.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lockgate.edge.supply.hosts import hosts_of
from lockgate.resources import istio


@dataclass(frozen=True, slots=True)
class Routed:
    """One VirtualService. `published` are the public ones of its hosts, and those in its annotation. `destinations` are
    pairs of host and port, without duplicates; no port is None."""

    namespace: str
    name: str
    hosts: tuple[str, ...]
    published: tuple[str, ...]
    gateways: tuple[str, ...]
    destinations: tuple[tuple[str, int | None], ...]


def routed(service: istio.VirtualService) -> Routed:
    spec = service.spec
    destinations = tuple(
        dict.fromkeys((each.host, each.port.number if each.port else None) for each in _destinations(spec))
    )
    return Routed(service.namespace, service.name, spec.hosts, tuple(hosts_of(service)), spec.gateways, destinations)


def _destinations(spec: istio.VirtualServiceSpec) -> Iterator[istio.Destination]:
    for http in spec.http:
        yield from (part.destination for part in http.route)
        yield from _mirrors(http)
    for routes in (spec.tls, spec.tcp):
        for each in routes:
            yield from (part.destination for part in each.route)


def _mirrors(http: istio.HTTPRoute) -> Iterable[istio.Destination]:
    if http.mirror:
        yield http.mirror
    yield from (mirror.destination for mirror in http.mirrors)
