"""The service registry: Services and ServiceEntries by host name.

Source: istio/istio `pilot/pkg/serviceregistry/kube/conversion.go`, `serviceentry/conversion.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from lockgate.gateway.hosts import visible
from lockgate.gateway.locality import Backend, parsed
from lockgate.gateway.mesh import Mesh
from lockgate.gateway.model import NOWHERE, Discovery, Endpoint
from lockgate.gateway.reach import is_local
from lockgate.resources import core, istio
from lockgate.resources.faults import Origin
from lockgate.resources.memo import Memo

_EXPORT_TO = "networking.istio.io/exportTo"
_HTTP2 = ("http2", "grpc", "grpc-web")
_APP_PROTOCOLS = {"kubernetes.io/h2c": "http2", "kubernetes.io/ws": "http", "kubernetes.io/wss": "https"}
_PROTOCOLS = ("grpc-web", "grpc", "http2", "https", "http", "tls", "tcp", "mongo", "mysql", "redis", "udp")
_TCP_BY_NUMBER = (25, 53, 3306, 27017)


@dataclass(frozen=True, slots=True)
class HostPort:
    """`protocol` is lower-case; empty if nothing defines it."""

    number: int
    name: str
    protocol: str

    @property
    def http2(self) -> bool:
        return self.protocol in _HTTP2


@dataclass(frozen=True, slots=True, eq=False)
class Host:
    """A service as routes see it. `alias` is the host that an ExternalName Service points to.

    A ServiceEntry has `backends` of its own, by port, or a `selector` for workloads, whose port is in `targets`.
    `joined` are the other sources of the same host in its namespace, whose endpoints count, too.
    """

    hostname: str
    namespace: str
    ports: tuple[HostPort, ...]
    origin: Origin
    discovery: Discovery = "EDS"
    external: bool = False
    alias: str = ""
    export_to: tuple[str, ...] = ("*",)
    subject_alt_names: tuple[str, ...] = ()
    backends: Mapping[int, tuple[Backend, ...]] = field(default_factory=dict)
    selector: Mapping[str, str] | None = None
    targets: Mapping[int, int] = field(default_factory=dict)
    joined: tuple[Host, ...] = ()
    distribution: str = ""  # a Service's trafficDistribution
    local: tuple[tuple[int, str], ...] = ()  # a ServiceEntry's endpoints that are left out: place and address

    @property
    def members(self) -> tuple[Host, ...]:
        """The sources of the host's endpoints, ServiceEntries first."""
        own = (self,) if self.origin.key.kind == "ServiceEntry" else ()
        return (*own, *self.joined, *(() if own else (self,)))

    def port(self, number: int) -> HostPort | None:
        """The port that a cluster can be for: none over UDP."""
        return next((port for port in self.ports if port.number == number and port.protocol != "udp"), None)


@dataclass(frozen=True, slots=True, eq=False)
class Hosts:
    """The hosts that a gateway's namespace can see."""

    by_name: Mapping[str, Host]


def hosts(
    services: Iterable[core.Service],
    entries: Iterable[istio.ServiceEntry],
    mesh: Mesh,
    viewer: str,
    memo: Memo,
) -> Hosts:
    """The hosts visible from namespace `viewer`.

    Of one host in one namespace, a Service's ports count and the ServiceEntries add endpoints; without a Service, the
    ServiceEntries add ports and endpoints to the oldest one. Those of other namespaces do not count.
    """
    found: dict[str, Host] = {}
    for service in services:
        host = memo.made(_service, service, mesh.domain, mesh.export_services)
        if visible(host.export_to, host.namespace, viewer):
            found[host.hostname] = host
    for entry in sorted(entries, key=lambda one: (one.metadata.creation_timestamp, one.name, one.namespace)):
        for host in memo.made(_service_entry, entry, mesh.export_services):
            if not visible(host.export_to, host.namespace, viewer):
                continue
            first = found.get(host.hostname)
            if first is None:
                found[host.hostname] = host
            elif first.namespace == host.namespace and first.discovery == host.discovery:
                found[host.hostname] = memo.made(_joined, first, host)
    return Hosts(found)


def _joined(first: Host, other: Host) -> Host:
    ports = first.ports
    if first.origin.key.kind == "ServiceEntry":
        numbers = {port.number for port in ports}
        ports += tuple(port for port in other.ports if port.number not in numbers)
    return replace(first, ports=ports, joined=(*first.joined, other))


def protocol(name: str, app_protocol: str | None, number: int) -> str:
    """A Service port's protocol: appProtocol, else the prefix of the port's name, else a default for its number."""
    if app_protocol:
        return _APP_PROTOCOLS.get(app_protocol, app_protocol.lower())
    lowered = name.lower()
    for candidate in _PROTOCOLS:
        if lowered == candidate or lowered.startswith(candidate + "-"):
            return candidate
    return "tcp" if number in _TCP_BY_NUMBER else ""


def _service(service: core.Service, domain: str, export_to: tuple[str, ...]) -> Host:
    spec = service.spec
    exported = service.metadata.annotations.get(_EXPORT_TO, "")
    return Host(
        hostname=f"{service.name}.{service.namespace}.svc.{domain}",
        namespace=service.namespace,
        ports=tuple(
            HostPort(
                port.port,
                port.name or "",
                "udp" if port.protocol == "UDP" else protocol(port.name or "", port.app_protocol, port.port),
            )
            for port in spec.ports
        ),
        origin=Origin(service.key),
        alias=spec.external_name if spec.type == "ExternalName" else "",
        distribution=spec.traffic_distribution or "",
        export_to=tuple(part.strip() for part in exported.split(",") if part.strip()) or export_to,
    )


def _service_entry(entry: istio.ServiceEntry, export_to: tuple[str, ...]) -> tuple[Host, ...]:
    spec = entry.spec
    discovery: Discovery = "EDS"
    if spec.resolution == "DNS":
        discovery = "STRICT_DNS"
    elif spec.resolution == "DNS_ROUND_ROBIN":
        discovery = "LOGICAL_DNS"
    ports = tuple(HostPort(port.number, port.name, port.protocol.lower()) for port in spec.ports)
    selects = spec.resolution in ("STATIC", "DNS", "DNS_ROUND_ROBIN") and not spec.endpoints
    return tuple(
        Host(
            hostname=hostname,
            namespace=entry.namespace,
            ports=ports,
            origin=Origin(entry.key),
            discovery=discovery,
            external=spec.location != "MESH_INTERNAL",
            export_to=spec.export_to or export_to,
            subject_alt_names=spec.subject_alt_names,
            backends={port.number: _entry_backends(spec, port, hostname) for port in spec.ports},
            selector=spec.workload_selector.labels if selects and spec.workload_selector else None,
            targets={port.number: port.target_port or port.number for port in spec.ports},
            local=tuple((at, one.address) for at, one in enumerate(spec.endpoints) if is_local(one.address)),
        )
        for hostname in spec.hosts
    )


def _entry_backends(spec: istio.ServiceEntrySpec, port: istio.ServiceEntryPort, hostname: str) -> tuple[Backend, ...]:
    if spec.resolution in (None, "NONE", "DYNAMIC_DNS"):
        return ()  # a gateway has no original destination address
    target = port.target_port or port.number
    if spec.workload_selector is not None:
        return ()
    if not spec.endpoints:
        dns = spec.resolution in ("DNS", "DNS_ROUND_ROBIN")
        return (
            (Backend(Endpoint(hostname, target), {}, NOWHERE),)
            if dns and not hostname.startswith("*") and not is_local(hostname)
            else ()
        )
    return tuple(
        Backend(
            Endpoint(one.address, one.ports.get(port.name, target), one.weight or 1),
            one.labels,
            parsed(one.locality),
        )
        for one in spec.endpoints
        if one.address and not one.address.startswith("unix://") and not is_local(one.address)
    )
