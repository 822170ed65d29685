"""The gateway's Pod, and its ports as Services define them.

Source: istio/istio `pilot/pkg/model/gateway.go` (resolvePorts), `pilot/pkg/serviceregistry/kube/controller`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from lockgate.gateway.install import DEFAULT_SECRET_VOLUMES, InstalledGateway
from lockgate.gateway.revisions import DEFAULT, revision
from lockgate.resources import core

_NO_TRANSLATION = "experimental.istio.io/disable-gateway-port-translation"
_COMPONENT = ("operator.istio.io/component", "IngressGateways")
PROXY_CONFIG = "proxy.istio.io/config"
WORKLOAD = "lockgate.dev/gateway"
"""The annotation with the name of a gateway workload, all of whose Pods have one Envoy."""


@dataclass(frozen=True, slots=True)
class WorkloadPort:
    """A port of a Service that selects the workload."""

    service: str  # namespace/name
    name: str
    port: int
    target: int
    translated: bool = True


@dataclass(frozen=True, slots=True)
class Workload:
    """`unprivileged` Pods cannot listen below 1024; istiod skips such servers. `secret_volumes` maps mount paths to
    Secrets. `revision` is that of the istiod that configures it."""

    name: str
    namespace: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[WorkloadPort, ...] = ()
    unprivileged: bool = False
    secret_volumes: Mapping[str, str] = field(default_factory=lambda: DEFAULT_SECRET_VOLUMES)
    revision: str = DEFAULT

    def selected_by(self, selector: Mapping[str, str] | None) -> bool:
        return all(self.labels.get(name) == value for name, value in (selector or {}).items())

    def target_port(self, port: int) -> int:
        """The workload's port for a Gateway's port: the targetPort of the first Service that has it, or the same
        number."""
        for candidate in self.ports:
            if candidate.translated and candidate.port == port:
                return candidate.target
        return port


def workload(
    pod: core.Pod,
    services: Iterable[core.Service],
    installed: InstalledGateway | None = None,
    namespaces: Iterable[core.Namespace] = (),
) -> Workload:
    """A Pod's workload, with the ports of the `services` that select it, oldest first. `installed` is the gateway of an
    IstioOperator that the Pod runs."""
    mine = [service for service in services if _selects(service, pod)]
    mine.sort(key=lambda service: (service.metadata.creation_timestamp, service.name))
    ports = tuple(
        WorkloadPort(
            f"{service.namespace}/{service.name}",
            port.name or "",
            port.port,
            _target(port, pod),
            _NO_TRANSLATION not in service.metadata.labels,
        )
        for service in mine
        for port in service.spec.ports
    )
    label, value = _COMPONENT
    found = Workload(
        name=f"{pod.namespace}/{pod.metadata.annotations.get(WORKLOAD, pod.name)}",
        namespace=pod.namespace,
        labels=pod.metadata.labels,
        annotations=pod.metadata.annotations,
        ports=ports,
        unprivileged=any(service.metadata.labels.get(label) == value for service in mine),
        revision=revision(pod, mine, namespaces),
    )
    if installed is None:
        return found
    annotations = {**installed.pod_annotations, **found.annotations}
    return replace(found, annotations=annotations, secret_volumes=installed.secret_volumes)


def _selects(service: core.Service, pod: core.Pod) -> bool:
    selector = service.spec.selector
    if not selector or service.namespace != pod.namespace:
        return False
    return all(pod.metadata.labels.get(name) == value for name, value in selector.items())


def _target(port: core.ServicePort, pod: core.Pod) -> int:
    target = port.target_port
    if target is None or target == "":
        return port.port
    if isinstance(target, int):
        return target
    if target.isdigit():
        return int(target)
    for container in pod.spec.containers:
        for declared in container.ports:
            if declared.name == target:
                return declared.container_port
    return port.port
