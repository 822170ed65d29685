"""One gateway workload: collects its sources, and builds its value and its snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from lockgate.edge.objects import Objects
from lockgate.gateway.build import Sources, build
from lockgate.gateway.credentials import Credential, credential
from lockgate.gateway.discovery import Discovery
from lockgate.gateway.install import InstalledGateway
from lockgate.gateway.mesh import Mesh
from lockgate.gateway.model import Gateway
from lockgate.gateway.policies.build import Keys
from lockgate.gateway.telemetry.model import Collector
from lockgate.gateway.wasm import Modules
from lockgate.gateway.workload import Workload, WorkloadPort, workload
from lockgate.resources import core, istio
from lockgate.resources.codes import istio as codes
from lockgate.resources.faults import Fault, Origin
from lockgate.resources.memo import Memo
from lockgate.xds.snapshot import EMPTY, Snapshot

if TYPE_CHECKING:
    from lockgate.xds.gateway import AccessLog

SERVICE_NAME = "kubernetes.io/service-name"


FetchedOnes: TypeAlias = tuple[Keys, Modules]


def sources(objects: Objects, fetched: FetchedOnes = (None, None)) -> Sources:
    """`fetched` are keys of JWTs, and modules."""
    return Sources(
        gateways=objects.all(istio.Gateway),
        virtual_services=objects.all(istio.VirtualService),
        destination_rules=objects.all(istio.DestinationRule),
        service_entries=objects.all(istio.ServiceEntry),
        services=objects.all(core.Service),
        endpoint_slices=objects.all(core.EndpointSlice),
        pods=objects.all(core.Pod),
        nodes=objects.all(core.Node),
        namespaces=objects.all(core.Namespace),
        workload_entries=objects.all(istio.WorkloadEntry),
        proxy_configs=objects.all(istio.ProxyConfig),
        secrets={(secret.namespace, secret.name) for secret in objects.all(core.Secret)},
        authorization_policies=objects.all(istio.AuthorizationPolicy),
        envoy_filters=objects.all(istio.EnvoyFilter),
        telemetries=objects.all(istio.Telemetry),
        wasm_plugins=objects.all(istio.WasmPlugin),
        request_authentications=objects.all(istio.RequestAuthentication),
        keys=fetched[0],
        modules=fetched[1],
    )


class Proxy:
    """`gateway` was built last, `snapshot` is its Envoy's desired configuration, and `faults` are its faults."""

    def __init__(
        self, access_log: AccessLog | None, system_ca: str, watched: str = "", collector: Collector | None = None
    ) -> None:
        """`watched` is the file for requests that somebody watches, `collector` gets spans."""
        self._access_log = access_log
        self._watched = watched
        self._collector = collector
        self._system_ca = system_ca
        self._built = Memo()
        self._serialised = Memo()
        self.workload: Workload | None = None
        self._credentials: dict[str, Credential] = {}
        self.gateway: Gateway | None = None
        self.snapshot: Snapshot = EMPTY
        self.binds: Mapping[int, tuple[str, int]] = {}  # addresses of this machine, by the workload's ports
        self.faults: tuple[Fault, ...] = ()

    def build(
        self,
        objects: Objects,
        pod: core.Pod,
        installed: InstalledGateway | None,
        mesh: Mesh,
        fetched: FetchedOnes,
        named: bool = False,
    ) -> bool:
        """Builds again, and returns whether the snapshot changed. `installed` is the gateway that the Pod runs,
        `fetched` are keys of JWTs, and modules; `named` is whether somebody reads the names in Envoy's routes."""
        from lockgate.xds.gateway import AccessLog, snapshot  # Envoy's types take a third of a second to import

        built = build(
            sources(objects, fetched),
            self._workload_of(objects, pod, installed),
            mesh=mesh,
            memo=self._built,
        )
        broken = self._load_credentials(objects, built.gateway, mesh)
        own = replace(self._access_log or AccessLog(), watched=self._watched, collector=self._collector)
        binds = self._built.made(_binds, self._workload_ports(objects, pod), objects.all(core.EndpointSlice))
        made = snapshot(
            built.gateway,
            binds=binds,
            credentials=self._credentials,
            access_log=self._built.stable("own logs", own),
            system_ca=self._system_ca,
            named=named,
            memo=self._serialised,
        )
        changed = made != self.snapshot or binds != self.binds
        self.binds = binds
        self.gateway, self.snapshot = built.gateway, made
        self.faults = (*built.faults, *broken)
        return changed

    def _workload_of(self, objects: Objects, pod: core.Pod, installed: InstalledGateway | None) -> Workload:
        """The same value as long as the Pod and its Services are unchanged, because much is cached by its identity."""
        services, namespaces = objects.all(core.Service), objects.all(core.Namespace)
        self.workload = self._built.stable("workload", self._built.made(workload, pod, services, installed, namespaces))
        return self.workload

    def _workload_ports(self, objects: Objects, pod: core.Pod) -> tuple[WorkloadPort, ...]:
        return self._built.made(workload, pod, objects.all(core.Service), None, ()).ports

    def _load_credentials(self, objects: Objects, gateway: Gateway, mesh: Mesh) -> tuple[Fault, ...]:
        """Reads the Secrets that the gateway references. An invalid one is reported, and the previous one stays
        served."""
        broken: list[Fault] = []
        loaded: dict[str, Credential] = {}
        read = Discovery(mesh, objects.all(core.Namespace)).reads(gateway.namespace)
        for name, candidates in sorted(gateway.credentials.items()) if read else ():
            found = (objects.get(core.Secret, gateway.namespace, one) for one in candidates)
            secret = next((one for one in found if one is not None), None)
            if secret is None:
                continue
            material = self._built.made(_material, name, secret)
            if isinstance(material, ValueError):
                fault = codes.INVALID_CREDENTIAL.at(
                    Origin(secret.key), namespace=secret.namespace, name=secret.name, reason=material
                )
                broken.append(fault)
                if name in self._credentials:
                    loaded[name] = self._credentials[name]
            else:
                loaded[name] = material
        self._credentials = loaded
        return tuple(broken)


def _binds(ports: Iterable[WorkloadPort], slices: Iterable[core.EndpointSlice]) -> dict[int, tuple[str, int]]:
    """The addresses of the workload's ports on this machine, from its Services' EndpointSlices by port name."""
    targets: dict[tuple[str, str], int] = {}
    for port in ports:
        targets.setdefault((port.service, port.name), port.target)
    names = {service.partition("/")[2] for service, _ in targets}
    binds: dict[int, tuple[str, int]] = {}
    for one in slices:
        if (name := one.metadata.labels.get(SERVICE_NAME, "")) not in names:
            continue
        service = f"{one.namespace}/{name}"
        address = next((endpoint.addresses[0] for endpoint in one.endpoints if endpoint.addresses), None)
        for local in one.ports:
            target = targets.get((service, local.name or ""))
            if target is not None and address is not None and local.port is not None:
                binds.setdefault(target, (address, local.port))
    return dict(sorted(binds.items()))


def _material(name: str, secret: core.Secret) -> Credential | ValueError:
    try:
        return credential(secret.decoded, name)
    except ValueError as error:
        return error
