"""The pieces of a gateway's listeners and route configurations. Pieces that Envoy rejects are left out."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace

from lockgate.gateway import model
from lockgate.gateway.mesh import HttpSettings
from lockgate.resources.faults import Origin
from lockgate.xds.gateway.listeners import Settings, filter_chain, listener
from lockgate.xds.gateway.routes import route_configuration, virtual_host
from lockgate.xds.snapshot import Piece, Source


@dataclass(frozen=True, slots=True)
class RoutePieces:
    """Virtual hosts without routes, each followed by its routes. Without its virtual host, a route is left out, too."""

    item: model.RouteConfiguration
    http: HttpSettings

    def all(self) -> list[Piece]:
        found: list[Piece] = []
        for host in self.item.virtual_hosts:
            first = next((route.origin for route in host.routes if route.origin), self.item.origin)
            hosts = Origin(first.key, ("spec", "hosts")) if first and host.routes else first
            found.append(Piece(replace(host, routes=()), Source(f"virtual host {host.name}", hosts)))
            found += (Piece(route, _source("route", route.origin)) for route in host.routes)
        return found

    def body(self, kept: Set[int]) -> bytes:
        hosts: list[bytes] = []
        place = 0
        for host in self.item.virtual_hosts:
            if place in kept:
                routes = tuple(route for number, route in enumerate(host.routes, place + 1) if number in kept)
                hosts.append(virtual_host(replace(host, routes=routes), self.http))
            place += 1 + len(host.routes)
        return route_configuration(self.item.name, hosts)


@dataclass(frozen=True, slots=True)
class ListenerPieces:
    """A listener's filter chains, and the access logs of all of them."""

    item: model.Listener
    address: tuple[str, int]
    settings: Settings

    def all(self) -> list[Piece]:
        logs = self.settings.telemetry.access_logs
        return [
            *(Piece(chain, _source("server", chain.origin)) for chain in self.item.filter_chains),
            *(Piece(log, _source("access log", log.origin)) for log in logs),
        ]

    def body(self, kept: Set[int]) -> bytes | None:
        chains = tuple(chain for place, chain in enumerate(self.item.filter_chains) if place in kept)
        if not chains:
            return None
        telemetry = self.settings.telemetry
        others = len(self.item.filter_chains)
        logs = tuple(log for place, log in enumerate(telemetry.access_logs, others) if place in kept)
        settings = replace(self.settings, telemetry=replace(telemetry, access_logs=logs))
        bodies = [filter_chain(chain, self.item.name, self.item.port, settings) for chain in chains]
        return listener(replace(self.item, filter_chains=chains), self.address, bodies, settings)


def _source(what: str, origin: Origin | None) -> Source:
    return Source(f"{what} of {origin}" if origin else what, origin)
