"""Merges the routes of several VirtualServices by host.

Source: istio/istio `pilot/pkg/networking/core/gateway.go` (buildGatewayHTTPRouteConfig).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

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


class VirtualHosts:
    """Collects the virtual hosts of one route configuration."""

    def __init__(self, name: str, port: int, origin: Origin) -> None:
        self._name = name
        self._port = port
        self._origin = origin
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
        """All hosts of a redirecting server redirect, including hosts without a VirtualService."""
        for name in hosts:
            host = self._hosts.setdefault(name, _Shared(port))
            if not (isinstance(host, Part) and host.redirects):
                self._shared(name).require_tls = True

    def configuration(self, memo: Memo) -> RouteConfiguration:
        """Hosts with identical routes become one virtual host. Without any host, one virtual host answers 404."""
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
        if not made:
            made = [VirtualHost(f"blackhole:{self._port}", ("*",))]
        return RouteConfiguration(self._name, tuple(made), self._port, self._origin)

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
