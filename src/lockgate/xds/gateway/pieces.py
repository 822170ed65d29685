"""The pieces of a gateway's listeners and route configurations. Pieces that Envoy rejects are left out."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace

from lockgate.gateway import model
from lockgate.gateway.policies.model import Wasm
from lockgate.gateway.telemetry.model import AccessLog
from lockgate.resources.faults import Origin
from lockgate.xds.gateway.listeners import Settings, filter_chain, listener
from lockgate.xds.gateway.routes import Form, route_configuration, virtual_host
from lockgate.xds.snapshot import Piece, Source


@dataclass(frozen=True, slots=True)
class RoutePieces:
    """Virtual hosts without routes, each followed by its routes. Without its virtual host, a route is left out, too."""

    item: model.RouteConfiguration
    form: Form

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
                hosts.append(virtual_host(replace(host, routes=routes), self.form))
            place += 1 + len(host.routes)
        return route_configuration(self.item.name, hosts, self.form)


@dataclass(frozen=True, slots=True)
class ListenerPieces:
    """A listener's filter chains, and what all of them have: access logs, and WebAssembly modules. Without a module the
    chains refuse requests or let them pass, as its plugin says."""

    item: model.Listener
    address: tuple[str, int]
    settings: Settings

    def all(self) -> list[Piece]:
        return [
            *(Piece(chain, _source("server", chain.origin)) for chain in self.item.filter_chains),
            *(Piece(log, _source("access log", log.origin)) for log in self.settings.telemetry.access_logs),
            *(Piece(module, _source("module", module.origin)) for module in self._modules()),
        ]

    def body(self, kept: Set[int]) -> bytes | None:
        left = [piece.value for place, piece in enumerate(self.all()) if place in kept]
        chains = tuple(each for each in left if isinstance(each, model.FilterChain))
        if not chains:
            return None
        logs = tuple(each for each in left if isinstance(each, AccessLog))
        filters = self.settings.filters
        for module in self._modules():
            if filters and module not in left:
                filters = filters.without(module)
        telemetry = replace(self.settings.telemetry, access_logs=logs)
        settings = replace(self.settings, telemetry=telemetry, filters=filters)
        bodies = [filter_chain(chain, self.item.name, self.item.port, settings) for chain in chains]
        return listener(replace(self.item, filter_chains=chains), self.address, bodies, settings)

    def _modules(self) -> tuple[Wasm, ...]:
        filters = self.settings.filters
        return tuple(module for module in filters.modules if module.module) if filters else ()


def _source(what: str, origin: Origin | None) -> Source:
    return Source(f"{what} of {origin}" if origin else what, origin)
