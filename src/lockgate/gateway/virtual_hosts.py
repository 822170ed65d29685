"""Merges the routes of several VirtualServices by host.

Source: istio/istio `pilot/pkg/networking/core/gateway.go` (buildGatewayHTTPRouteConfig).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import compress
from operator import attrgetter
from typing import Final

from lockgate.gateway.model import RouteConfiguration, VirtualHost
from lockgate.gateway.routes import Translated
from lockgate.resources.faults import Origin
from lockgate.resources.memo import Memo


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The routes that one VirtualService adds to one server. `alone` is its virtual host if no other part has its
    hosts."""

    hosts: tuple[str, ...]
    translated: Translated
    port: int
    redirects: bool
    alone: VirtualHost


def part(hosts: tuple[str, ...], translated: Translated, port: int, redirects: bool) -> Part:
    alone = VirtualHost(f"{_first(hosts)}:{port}", hosts, translated.routes, redirects)
    return Part(hosts, translated, port, redirects, alone)


@dataclass(slots=True)
class _Shared:
    """A host with the parts that have it. The name uses `port`, the first part's."""

    port: int
    parts: list[Part] = field(default_factory=list)
    require_tls: bool = False


@dataclass(frozen=True, slots=True)
class Hosts:
    """The hosts of a part that has routes."""

    names: tuple[str, ...]


def hosts_of(part: Part | None, _server: object) -> Hosts | None:
    return Hosts(part.hosts) if part is not None and part.translated.routes else None


class VirtualHosts:
    """Collects the virtual hosts of one route configuration.

    Nearly always, each host belongs to one VirtualService on one server. Whether that is so hangs on the hosts alone;
    then each part has its virtual host already, and no loop over thousands of them is needed.
    """

    def __init__(self, name: str, port: int, origin: Origin) -> None:
        self._name = name
        self._port = port
        self._origin = origin
        self._added: list[tuple[Sequence[Part | None], Sequence[Hosts | None]]] = []
        self._redirects: list[tuple[Sequence[str], int]] = []

    def add(self, parts: Sequence[Part | None], hosts: Sequence[Hosts | None]) -> None:
        """Adds a server's parts. `hosts` are those of each part that has routes."""
        self._added.append((parts, hosts))

    def redirect(self, hosts: Sequence[str], port: int) -> None:
        """All hosts of a redirecting server redirect, including hosts without a VirtualService."""
        self._redirects.append((hosts, port))

    def configuration(self, memo: Memo) -> RouteConfiguration:
        """Hosts with identical routes become one virtual host. Without any host, one virtual host answers 404."""
        made = self._each_alone(memo)
        if made is None:
            merging = _Merging()
            for parts, hosts in self._added:
                for part in compress(parts, hosts):
                    assert part is not None
                    merging.add(part)
            for names, port in self._redirects:
                merging.redirect(names, port)
            made = merging.virtual_hosts(memo)
        if not made:
            made = [VirtualHost(f"blackhole:{self._port}", ("*",))]
        return RouteConfiguration(self._name, tuple(made), self._port, self._origin)

    def _each_alone(self, memo: Memo) -> list[VirtualHost] | None:
        """The virtual hosts of one server whose parts share no host."""
        if len(self._added) != 1 or len(self._redirects) > 1:
            return None
        parts, hosts = self._added[0]
        layout = memo.made(_layout, hosts)
        if layout is None:
            return None
        made = list(map(_ALONE, map(parts.__getitem__, layout.places)))
        rest = _Merging()
        for names, port in self._redirects:
            rest.redirect([name for name in names if name not in layout.names], port)
        return made + rest.virtual_hosts(memo)


@dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """The places of the parts with routes, and all their hosts."""

    places: Sequence[int]
    names: frozenset[str]


_ALONE: Final = attrgetter("alone")


def _layout(hosts: Sequence[Hosts | None]) -> _Layout | None:
    """None if two parts have the same host."""
    every = [name for each in hosts if each is not None for name in each.names]
    names = frozenset(every)
    if len(names) < len(every):
        return None
    return _Layout([place for place, each in enumerate(hosts) if each is not None], names)


class _Merging:
    """Merges the parts by host."""

    def __init__(self) -> None:
        self._hosts: dict[str, Part | _Shared] = {}

    def add(self, part: Part) -> None:
        """Appends a part to its hosts. If several VirtualServices have a host, the earlier one's routes come first."""
        for name in part.hosts:
            if name in self._hosts:
                host = self._shared(name)
                host.parts.append(part)
                host.require_tls |= part.redirects
            else:
                self._hosts[name] = part

    def redirect(self, hosts: Iterable[str], port: int) -> None:
        for name in hosts:
            host = self._hosts.setdefault(name, _Shared(port))
            if not (isinstance(host, Part) and host.redirects):
                self._shared(name).require_tls = True

    def virtual_hosts(self, memo: Memo) -> list[VirtualHost]:
        made: list[VirtualHost] = []
        groups: dict[tuple[object, ...], list[str]] = {}
        for name, host in self._hosts.items():
            if type(host) is Part:
                if all(self._hosts[other] is host for other in host.hosts):
                    if name == host.hosts[0]:
                        made.append(host.alone)
                    continue
                alike: tuple[object, ...] = (host.translated, host.redirects)
            else:
                shared = self._shared(name)
                translated = (part.translated for part in shared.parts)
                alike = (*translated, shared.require_tls) if shared.parts else (name,)
            groups.setdefault(alike, []).append(name)
        made += (_joined(memo, self._shared(names[0]), tuple(names)) for names in groups.values())
        return made

    def _shared(self, name: str) -> _Shared:
        host = self._hosts[name]
        if isinstance(host, Part):
            host = self._hosts[name] = _Shared(host.port, [host], host.redirects)
        return host


def _joined(memo: Memo, host: _Shared, names: tuple[str, ...]) -> VirtualHost:
    translated = tuple(part.translated for part in host.parts)
    return memo.made(_virtual_host, translated, names, host.port, host.require_tls)


def _virtual_host(parts: tuple[Translated, ...], names: tuple[str, ...], port: int, require_tls: bool) -> VirtualHost:
    routes = [route for part in parts for route in part.routes]
    if len(parts) > 1:
        routes.sort(key=lambda route: route.match.catches_all)  # stable: catch-all routes move to the end
    return VirtualHost(f"{_first(names)}:{port}", names, tuple(routes), require_tls)


def _first(names: tuple[str, ...]) -> str:
    """The host that names a virtual host: the first in alphabetical order, wildcards last."""
    return min(names, key=lambda name: (name.startswith("*"), name))
