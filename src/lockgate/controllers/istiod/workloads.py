"""One gateway workload: its sources gathered, its value built, its snapshot made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lockgate.controllers.istiod.cache import Cache
from lockgate.controllers.istiod.installer import Installer
from lockgate.gateway import faults
from lockgate.gateway.build import Sources, build
from lockgate.gateway.credentials import Credential, credential, secret_names
from lockgate.gateway.faults import Locate, fault
from lockgate.gateway.memo import Memo
from lockgate.gateway.model import Gateway, Origin
from lockgate.gateway.workload import Workload, workload
from lockgate.resources import kinds
from lockgate.resources.finding import Finding
from lockgate.xds.snapshot import EMPTY, Snapshot

if TYPE_CHECKING:
    from lockgate.xds.gateway import AccessLog

SERVICE_NAME = "kubernetes.io/service-name"


class Proxy:
    """`gateway` is what was built last, `snapshot` what its Envoy ought to have, `findings` what is wrong."""

    def __init__(self, cache: Cache, access_log: AccessLog | None, locate: Locate) -> None:
        self._cache = cache
        self._access_log = access_log
        self._locate = locate
        self._built = Memo()
        self._serialised = Memo()
        self._workload: tuple[object, Workload] | None = None
        self._credentials: dict[str, Credential] = {}
        self._read: dict[str, tuple[kinds.Secret, Credential | ValueError]] = {}
        self.gateway: Gateway | None = None
        self.snapshot: Snapshot = EMPTY
        self.findings: tuple[Finding, ...] = ()

    def build(self, pod: kinds.Pod, installer: Installer) -> bool:
        """Build anew; whether the snapshot is another one now."""
        from lockgate.xds.gateway import snapshot  # Envoy's types take a third of a second to import

        built = build(
            self._sources(),
            self._workload_of(pod, installer),
            mesh=installer.mesh,
            memo=self._built,
            locate=self._locate,
        )
        broken = self._load_credentials(built.gateway)
        made = snapshot(
            built.gateway,
            binds=self._binds(pod),
            credentials=self._credentials,
            access_log=self._access_log,
            memo=self._serialised,
        )
        changed = made != self.snapshot
        self.gateway, self.snapshot = built.gateway, made
        self.findings = (*built.findings, *broken)
        return changed

    def _sources(self) -> Sources:
        cache = self._cache
        return Sources(
            gateways=cache.all(kinds.Gateway),
            virtual_services=cache.all(kinds.VirtualService),
            destination_rules=cache.all(kinds.DestinationRule),
            service_entries=cache.all(kinds.ServiceEntry),
            services=cache.all(kinds.Service),
            endpoint_slices=cache.all(kinds.EndpointSlice),
            pods=cache.all(kinds.Pod),
            secrets={(secret.namespace, secret.name) for secret in cache.all(kinds.Secret)},
        )

    def _workload_of(self, pod: kinds.Pod, installer: Installer) -> Workload:
        """The same value for as long as the Pod and its Services say the same, as much is remembered by it."""
        made = workload(pod, self._cache.all(kinds.Service))
        annotations = {**installer.pod_annotations(pod.namespace, pod.metadata.labels), **made.annotations}
        same = (made.name, made.labels, annotations, made.ports, made.unprivileged)
        if self._workload is None or self._workload[0] != same:
            self._workload = (
                same,
                Workload(made.name, made.namespace, made.labels, annotations, made.ports, made.unprivileged),
            )
        return self._workload[1]

    def _binds(self, pod: kinds.Pod) -> dict[int, tuple[str, int]]:
        """Where on this machine the workload's ports are: its Services' EndpointSlices know them by port name."""
        targets: dict[tuple[str, str], int] = {}
        for port in workload(pod, self._cache.all(kinds.Service)).ports:
            targets.setdefault((port.service, port.name), port.target)
        binds: dict[int, tuple[str, int]] = {}
        for one in self._cache.all(kinds.EndpointSlice):
            service = f"{one.namespace}/{one.metadata.labels.get(SERVICE_NAME, '')}"
            address = next((endpoint.addresses[0] for endpoint in one.endpoints if endpoint.addresses), None)
            for local in one.ports:
                target = targets.get((service, local.name or ""))
                if target is not None and address is not None and local.port is not None:
                    binds.setdefault(target, (address, local.port))
        return dict(sorted(binds.items()))

    def _load_credentials(self, gateway: Gateway) -> tuple[Finding, ...]:
        """Read the Secrets that are wanted. One that went bad is told, and the one before goes on serving."""
        broken: list[Finding] = []
        loaded: dict[str, Credential] = {}
        for name in sorted(gateway.credentials):
            secret = next(
                (
                    found
                    for one in secret_names(name)
                    if (found := self._cache.get(kinds.Secret, gateway.namespace, one)) is not None
                ),
                None,
            )
            if secret is None:
                continue
            material = self._material(name, secret)
            if isinstance(material, ValueError):
                told = fault(
                    faults.INVALID_CREDENTIAL,
                    Origin(secret.key),
                    namespace=secret.namespace,
                    name=secret.name,
                    reason=material,
                )
                broken.append(told.finding(self._locate))
                if name in self._credentials:
                    loaded[name] = self._credentials[name]
            else:
                loaded[name] = material
        self._credentials = loaded
        return tuple(broken)

    def _material(self, name: str, secret: kinds.Secret) -> Credential | ValueError:
        earlier = self._read.get(name)
        if earlier is None or earlier[0] is not secret:
            try:
                earlier = (secret, credential(secret.decoded, name))
            except ValueError as error:
                earlier = (secret, error)
            self._read[name] = earlier
        return earlier[1]
