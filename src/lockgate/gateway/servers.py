"""The servers of a workload's Gateways: which are selected, where they listen, and which are dropped.

Source: istio/istio `pilot/pkg/model/gateway.go` (mergeGateways).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from lockgate.gateway.hosts import ServerHost, server_hosts
from lockgate.gateway.workload import Workload
from lockgate.resources import istio
from lockgate.resources.codes import gateway as codes
from lockgate.resources.codes import istio as istio_codes
from lockgate.resources.faults import Fault, Origin
from lockgate.resources.memo import Memo

_HTTP_FAMILY = ("HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTP_PROXY")


@dataclass(frozen=True, slots=True, eq=False)
class BoundServer:
    """A server of a Gateway, with the port on which the workload listens."""

    gateway: str  # namespace/name
    server: istio.Server
    hosts: tuple[ServerHost, ...]
    port: int  # resolved
    protocol: str  # upper-case
    origin: Origin

    @property
    def bind(self) -> str:
        return self.server.bind or "0.0.0.0"  # noqa: S104  # Istio's name; the real address is `snapshot`'s `binds`

    @property
    def http(self) -> bool:
        """Whether the gateway parses HTTP: plain HTTP, or terminated TLS."""
        if self.plain_http:
            return True
        mode = self.server.tls.mode if self.server.tls else None
        return self.protocol == "HTTPS" and mode not in (None, "PASSTHROUGH", "AUTO_PASSTHROUGH")

    @property
    def plain_http(self) -> bool:
        return self.protocol in _HTTP_FAMILY

    @property
    def plain(self) -> bool:
        return self.plain_http or self.server.tls is None

    @property
    def redirects(self) -> bool:
        return self.server.tls is not None and self.server.tls.https_redirect

    @property
    def routes(self) -> str:
        """The name of the route configuration; empty for servers without HTTP."""
        if not self.http:
            return ""
        suffix = f".{self.server.bind}" if self.server.bind else ""
        if self.plain_http:
            return f"http.{self.port}{suffix}"
        namespace, _, name = self.gateway.partition("/")
        port = self.server.port
        return f"https.{port.number}.{port.name}.{name}.{namespace}{suffix}"


@dataclass(slots=True)
class Servers:
    """`groups` are the servers that share a part of a listener: one group per port, protocol and bind, in order."""

    groups: list[list[BoundServer]] = field(default_factory=list)
    gateways: set[str] = field(default_factory=set)  # the selected Gateways
    faults: list[Fault] = field(default_factory=list)

    def all(self) -> Iterable[BoundServer]:
        return (server for group in self.groups for server in group)


def servers(gateways: Iterable[istio.Gateway], workload: Workload, memo: Memo) -> Servers:
    """The servers of a workload. If servers conflict, the older Gateway's server wins."""
    found = Servers()
    merge = _Merge(found)
    ordered = sorted(gateways, key=lambda one: (one.metadata.creation_timestamp, one.name, one.namespace))
    for gateway in ordered:
        if not workload.selected_by(gateway.spec.selector):
            continue
        found.gateways.add(f"{gateway.namespace}/{gateway.name}")
        for server in memo.made(_bound, gateway, workload):
            number = server.server.port.number
            if workload.unprivileged and server.port < 1024:
                found.faults.append(
                    codes.PRIVILEGED_PORT.at(server.origin.under("port"), port=number, target=server.port)
                )
            elif server.protocol in ("HTTPS", "TLS") and server.server.tls is None:
                found.faults.append(codes.NO_TLS.at(server.origin.under("port", "protocol"), protocol=server.protocol))
            else:
                merge.add(server)
                _check_port(server, workload, found.faults)
    return found


def _bound(gateway: istio.Gateway, workload: Workload) -> tuple[BoundServer, ...]:
    return tuple(
        BoundServer(
            gateway=f"{gateway.namespace}/{gateway.name}",
            server=server,
            hosts=server_hosts(server.hosts, gateway.namespace),
            port=workload.target_port(server.port.number),
            protocol=server.port.protocol.upper(),
            origin=Origin(gateway.key, ("spec", "servers", index)),
        )
        for index, server in enumerate(gateway.spec.servers)
    )


class _Merge:
    def __init__(self, found: Servers) -> None:
        self._found = found
        self._groups: dict[tuple[int, str, str], list[BoundServer]] = {}
        self._plain: dict[int, tuple[int, str, str]] = {}  # the first plain server of a port
        self._tls_hosts: dict[tuple[int, str], dict[ServerHost, str]] = {}
        self._https_names: set[str] = set()

    def add(self, server: BoundServer) -> None:
        if reason := self._excluded(server):
            self._found.faults.append(istio_codes.CONFLICTING_GATEWAYS.at(server.origin, reason=reason))
            return
        if server.server.tls is not None:
            taken = self._tls_hosts.setdefault((server.port, server.server.bind), {})
            taken.update(dict.fromkeys(server.hosts, server.gateway))
        if server.http and not server.plain_http:
            self._https_names.add(server.routes)
        key = (server.port, server.protocol, server.server.bind)
        if (first := self._plain.get(server.port)) and first[2] == server.server.bind:
            key = first
        elif server.plain and server.port not in self._plain:
            self._plain[server.port] = key
        if key not in self._groups:
            self._groups[key] = []
            self._found.groups.append(self._groups[key])
        self._groups[key].append(server)

    def _excluded(self, server: BoundServer) -> str | None:
        number = server.server.port.number
        if server.server.tls is not None:
            taken = self._tls_hosts.get((server.port, server.server.bind), {})
            for host in server.hosts:
                if host in taken:
                    return f"host {host} on port {number} is taken by Gateway {taken[host]}"
        first = self._plain.get(server.port)
        if first and first[2] == server.server.bind:
            both_http = server.plain_http and first[1] in _HTTP_FAMILY
            if not both_http:
                return f"port {number} already serves {first[1]}, which {server.protocol} cannot share"
        if server.http and not server.plain_http and server.routes in self._https_names:
            return f"port name {server.server.port.name} is used twice for HTTPS in one Gateway"
        return None


def _check_port(server: BoundServer, workload: Workload, faults: list[Fault]) -> None:
    number = server.server.port.number
    if workload.ports and not any(number in (port.port, port.target) for port in workload.ports):
        ports = ", ".join(str(port) for port in sorted({port.port for port in workload.ports}))
        faults.append(
            istio_codes.PORT_NOT_ON_SERVICE.at(server.origin.under("port", "number"), port=number, ports=ports)
        )
