"""The service registry: Services with EndpointSlices, and ServiceEntries, by host name.

Source: istio/istio `pilot/pkg/serviceregistry/kube/conversion.go`, `serviceentry/conversion.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lockgate.gateway.hosts import visible
from lockgate.gateway.mesh import Mesh
from lockgate.gateway.model import Discovery, Endpoint
from lockgate.gateway.reach import is_local
from lockgate.resources import core, istio
from lockgate.resources.faults import Origin
from lockgate.resources.memo import Memo

_SERVICE_NAME = "kubernetes.io/service-name"
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


@dataclass(frozen=True, slots=True)
class Backend:
    """An endpoint of a service port. `labels` are its Pod's; None if no Pod is behind it."""

    endpoint: Endpoint
    labels: Mapping[str, str] | None = field(default=None, compare=False)


Backends = Mapping[int, tuple[Backend, ...]]  # by service port number
Pods = Mapping[tuple[str, str], core.Pod]


@dataclass(frozen=True, slots=True, eq=False)
class Host:
    """A service as routes see it. `alias` is the host that an ExternalName Service points to."""

    hostname: str
    namespace: str
    ports: tuple[HostPort, ...]
    origin: Origin
    discovery: Discovery = "EDS"
    external: bool = False
    alias: str = ""
    export_to: tuple[str, ...] = ("*",)
    subject_alt_names: tuple[str, ...] = ()
    backends: Backends = field(default_factory=dict)  # a ServiceEntry's own; Services' come from EndpointSlices
    local: tuple[tuple[int, str], ...] = ()  # a ServiceEntry's endpoints that are left out: place and address

    def port(self, number: int) -> HostPort | None:
        """The port that a cluster can be for: none over UDP."""
        return next((port for port in self.ports if port.number == number and port.protocol != "udp"), None)


@dataclass(frozen=True, slots=True, eq=False)
class Hosts:
    """The hosts that a gateway's namespace can see."""

    by_name: Mapping[str, Host]


@dataclass(frozen=True, slots=True, eq=False)
class Endpoints:
    """EndpointSlices by Service, and the Pods that they reference."""

    slices: Mapping[tuple[str, str], list[core.EndpointSlice]]
    pods: Pods

    def of(self, host: Host) -> tuple[core.EndpointSlice, ...]:
        """The slices of a Service; empty for other hosts."""
        if host.origin.key.kind != "Service":
            return ()
        return tuple(self.slices.get((host.namespace, host.origin.key.name), ()))


def backends(host: Host, port: HostPort, slices: Iterable[core.EndpointSlice], pods: Pods) -> tuple[Backend, ...]:
    """The current backends of a host's port."""
    if host.origin.key.kind != "Service":
        return host.backends.get(port.number, ())
    return tuple(found for one in slices for found in _of_slice(one, port.name, len(host.ports) == 1, pods))


def hosts(
    services: Iterable[core.Service],
    entries: Iterable[istio.ServiceEntry],
    mesh: Mesh,
    viewer: str,
    memo: Memo,
) -> Hosts:
    """The hosts visible from namespace `viewer`. A Service takes precedence over a ServiceEntry of the same host."""
    found: dict[str, Host] = {}
    for service in services:
        host = memo.made(_service, service, mesh.domain, mesh.export_services)
        if visible(host.export_to, host.namespace, viewer):
            found[host.hostname] = host
    for entry in sorted(entries, key=lambda one: (one.metadata.creation_timestamp, one.name, one.namespace)):
        for host in memo.made(_service_entry, entry, mesh.export_services):
            if visible(host.export_to, host.namespace, viewer):
                found.setdefault(host.hostname, host)
    return Hosts(found)


def by_name(pods: Iterable[core.Pod]) -> Pods:
    return {(pod.namespace, pod.name): pod for pod in pods}


def endpoints(slices: Iterable[core.EndpointSlice], pods: Pods) -> Endpoints:
    by_service: dict[tuple[str, str], list[core.EndpointSlice]] = {}
    for one in slices:
        if name := one.metadata.labels.get(_SERVICE_NAME):
            by_service.setdefault((one.namespace, name), []).append(one)
    return Endpoints(by_service, pods)


def _of_slice(one: core.EndpointSlice, port_name: str, only_port: bool, pods: Pods) -> Iterator[Backend]:
    number = next(
        (port.port for port in one.ports if (port.name or "") == port_name or (only_port and len(one.ports) == 1)),
        None,
    )
    for endpoint in one.endpoints if number is not None else ():
        if endpoint.conditions.ready is not False:
            for address in endpoint.addresses[:1]:
                yield Backend(Endpoint(address, number or 0), _labels(one, endpoint, pods))


def _labels(one: core.EndpointSlice, endpoint: core.Endpoint, pods: Pods) -> Mapping[str, str] | None:
    if endpoint.target_ref is None or endpoint.target_ref.kind != "Pod":
        return None
    pod = pods.get((endpoint.target_ref.namespace or one.namespace, endpoint.target_ref.name))
    return pod.metadata.labels if pod else {}


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
            local=tuple((at, one.address) for at, one in enumerate(spec.endpoints) if is_local(one.address)),
        )
        for hostname in spec.hosts
    )


def _entry_backends(spec: istio.ServiceEntrySpec, port: istio.ServiceEntryPort, hostname: str) -> tuple[Backend, ...]:
    if spec.resolution in (None, "NONE", "DYNAMIC_DNS"):
        return ()  # a gateway has no original destination address
    target = port.target_port or port.number
    if not spec.endpoints:
        dns = spec.resolution in ("DNS", "DNS_ROUND_ROBIN")
        return (
            (Backend(Endpoint(hostname, target), {}),)
            if dns and not hostname.startswith("*") and not is_local(hostname)
            else ()
        )
    return tuple(
        Backend(Endpoint(one.address, one.ports.get(port.name, target), one.weight or 1), one.labels)
        for one in spec.endpoints
        if one.address and not one.address.startswith("unix://") and not is_local(one.address)
    )
