"""Services that routes reference and no manifest contains, because other tools deploy those applications."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from lockgate.edge.objects import Objects
from lockgate.edge.supply.pieces import LABEL, Object
from lockgate.edge.supply.routed import Routed
from lockgate.resources import core
from lockgate.resources.model import JsonObject


def services(objects: Objects, routed: Iterable[Routed]) -> Iterator[Object]:
    there = objects.among(core.Service)
    wanted: dict[tuple[str, str], dict[int, str]] = {}
    for virtual_service in routed:
        for host, port in virtual_service.destinations:
            if (key := service_of(host, virtual_service.namespace or "default")) and key not in there:
                wanted.setdefault(key, {}).setdefault(port or 80, virtual_service.name)
    for (namespace, name), ports in wanted.items():
        yield Object(
            service(namespace, name, {f"http-{port}": (port, port) for port in ports}, selector={"app": name}),
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


def service_of(host: str, namespace: str) -> tuple[str, str] | None:
    """Istio's interpretation of a destination: a name without a dot is in the VirtualService's namespace."""
    if "." not in host:
        return (namespace, host)
    name, _, rest = host.partition(".")
    there, _, suffix = rest.partition(".")
    return (there, name) if suffix == "svc.cluster.local" else None
