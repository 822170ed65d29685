"""Routes of several VirtualServices put together by host.

Source: istio/istio `pilot/pkg/networking/core/gateway.go` (buildGatewayHTTPRouteConfig).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from lockgate.gateway.memo import Memo
from lockgate.gateway.model import Origin, RouteConfiguration, VirtualHost
from lockgate.gateway.routes import Translated


@dataclass(slots=True)
class _Host:
    port: int  # of the first server that has the host; it goes into the name
    parts: list[Translated] = field(default_factory=list)
    require_tls: bool = False


class VirtualHosts:
    """The virtual hosts of one route configuration, while they are gathered."""

    def __init__(self, name: str, port: int, origin: Origin) -> None:
        self._name = name
        self._port = port
        self._origin = origin
        self._hosts: dict[str, _Host] = {}

    def add(self, hosts: Iterable[str], translated: Translated, port: int, redirects: bool) -> None:
        """Append routes to hosts: of a host's several VirtualServices, the earlier one's come first."""
        for name in hosts:
            host = self._hosts.setdefault(name, _Host(port))
            host.parts.append(translated)
            host.require_tls |= redirects

    def redirect(self, hosts: Iterable[str], port: int) -> None:
        """All of a redirecting server's hosts redirect, those too that no VirtualService has."""
        for name in hosts:
            self._hosts.setdefault(name, _Host(port)).require_tls = True

    def configuration(self, memo: Memo) -> RouteConfiguration:
        """Hosts with the very same routes become one virtual host; none at all become one that answers 404."""
        groups: dict[tuple[object, ...], list[str]] = {}
        for name, host in self._hosts.items():
            alike = (*host.parts, host.require_tls) if host.parts else (name,)
            groups.setdefault(alike, []).append(name)
        made = [_made(memo, self._hosts[names[0]], tuple(names)) for names in groups.values()]
        if not made:
            made = [VirtualHost(f"blackhole:{self._port}", ("*",))]
        return RouteConfiguration(self._name, tuple(made), self._port, self._origin)


def _made(memo: Memo, host: _Host, names: tuple[str, ...]) -> VirtualHost:
    if not host.parts:
        return VirtualHost(f"{names[0]}:{host.port}", names, require_tls=host.require_tls)
    first, *rest = host.parts
    return memo.made(_virtual_host, first, tuple(rest), names, host.port, host.require_tls)


def _virtual_host(
    first: Translated, rest: tuple[Translated, ...], names: tuple[str, ...], port: int, require_tls: bool
) -> VirtualHost:
    routes = [route for part in (first, *rest) for route in part.routes]
    if rest:
        routes.sort(key=lambda route: route.match.catches_all)  # stable: only what takes everything goes last
    return VirtualHost(f"{min(names)}:{port}", names, tuple(routes), require_tls)
