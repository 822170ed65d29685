"""Services that routes reference and no manifest contains, because other tools deploy those applications."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lockgate.edge.objects import Objects
from lockgate.edge.supply.pieces import LABEL, Object
from lockgate.resources import core, istio
from lockgate.resources.model import JsonObject


def services(objects: Objects) -> Iterator[Object]:
    there = {(service.namespace, service.name) for service in objects.all(core.Service)}
    wanted: dict[tuple[str, str], dict[int, str]] = {}
    for virtual_service in objects.all(istio.VirtualService):
        for host, port in _destinations(virtual_service):
            if (key := service_of(host, virtual_service.namespace or "default")) and key not in there:
                wanted.setdefault(key, {}).setdefault(port or 80, virtual_service.name)
    for (namespace, name), ports in wanted.items():
        yield Object(
            service(namespace, name, {f"http-{port}": (port, port) for port in ports}),
            f"Service {namespace}/{name}: created, because VirtualService {next(iter(ports.values()))} leads to it",
        )


def service(
    namespace: str,
    name: str,
    ports: Mapping[str, tuple[int, int]],
    *,
    type_: str = "ClusterIP",
    selector: Mapping[str, str] | None = None,
) -> JsonObject:
    """`ports` maps names to port and target port."""
    spec: JsonObject = {
        "type": type_,
        "ports": [{"name": key, "port": port, "targetPort": target} for key, (port, target) in ports.items()],
    }
    if selector:
        spec["selector"] = dict(selector)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "labels": {LABEL: "true"}},
        "spec": spec,
    }


def _destinations(virtual_service: istio.VirtualService) -> Iterator[tuple[str, int | None]]:
    for http in virtual_service.spec.http:
        for route in http.route:
            port = route.destination.port
            yield route.destination.host, port.number if port else None
        if http.mirror:
            yield http.mirror.host, http.mirror.port.number if http.mirror.port else None
        for mirror in http.mirrors:
            port = mirror.destination.port
            yield mirror.destination.host, port.number if port else None
    for routes in (virtual_service.spec.tls, virtual_service.spec.tcp):
        for each in routes:
            for weighted in each.route:
                port = weighted.destination.port
                yield weighted.destination.host, port.number if port else None


def service_of(host: str, namespace: str) -> tuple[str, str] | None:
    """Istio's interpretation of a destination: a name without a dot is in the VirtualService's namespace."""
    if "." not in host:
        return (namespace, host)
    name, _, rest = host.partition(".")
    there, _, suffix = rest.partition(".")
    return (there, name) if suffix == "svc.cluster.local" else None
