"""The public host names of an edge, and the zones and certificates for them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Final

from lockgate.edge import endpoint_annotations as annotation
from lockgate.edge.objects import Objects
from lockgate.resources import core, istio, networking
from lockgate.resources.model import Resource

_SECOND_LEVELS: Final = frozenset({"ac", "co", "com", "edu", "gob", "gov", "go", "ne", "net", "or", "org"})


def hosts(objects: Objects, routed: Iterable[str]) -> tuple[str, ...]:
    """The hosts of VirtualServices, which are `routed`, Ingresses, Gateways and Services, without duplicates."""
    found = dict.fromkeys(routed)
    for kind in (networking.Ingress, istio.Gateway, core.Service):
        found.update(dict.fromkeys(host for each in objects.all(kind) for host in hosts_of(each)))
    return tuple(found)


def hosts_of(resource: Resource) -> Iterator[str]:
    """The public hosts in an object's fields and in its annotation for external-dns."""
    written: Iterable[str] = ()
    match resource:
        case networking.Ingress():
            written = annotation.ingress_hosts(resource)
        case istio.VirtualService() if any(gateway != "mesh" for gateway in resource.spec.gateways):
            written = (*resource.spec.hosts, *annotation.hostnames(resource))
        case istio.Gateway():
            named = (host.rpartition("/")[2] for server in resource.spec.servers for host in server.hosts)
            written = (*named, *annotation.hostnames(resource))
        case core.Service() if resource.spec.type == "LoadBalancer":
            written = annotation.hostnames(resource)
    return filter(is_public, written)


def is_public(host: str) -> bool:
    return "." in host.removeprefix("*.") and not host.endswith((".svc", ".cluster.local", ".local"))


def registrable(host: str) -> str:
    """The domain for which a team would own a zone: ``example.com`` for ``a.b.example.com``, or ``example.co.uk``.

    It follows from the form of the name, without the public suffix list. A zone that an issuer names takes precedence.
    """
    labels = host.removeprefix("*.").split(".")
    keep = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVELS else 2
    return ".".join(labels[-keep:])


def common_parent(names: Iterable[str]) -> str:
    """The longest name that equals or contains all of them."""
    reversed_ = [name.removeprefix("*.").split(".")[::-1] for name in names]
    shared: list[str] = []
    for labels in zip(*reversed_, strict=False):
        if len(set(labels)) > 1:
            break
        shared.append(labels[0])
    return ".".join(reversed(shared))


def zone_of(host: str, zones: Container[str]) -> str | None:
    """The longest of the zones that the host is in."""
    name = host
    while name and name not in zones:
        name = name.partition(".")[2]
    return name or None


def covering(hosts: Iterable[str], zones: Sequence[str]) -> tuple[str, ...]:
    """The names in a team's certificate: each zone's apex and wildcard; for deeper hosts, their parent's wildcard."""
    names: dict[str, None] = {}
    candidates = frozenset(zones)
    for host in sorted(hosts, key=lambda each: (each.count("."), each)):
        bare = host.removeprefix("*.")
        zone = zone_of(bare, candidates)
        if zone is None:
            names[host] = None
            continue
        names[zone] = None
        names[f"*.{zone}"] = None
        if bare != zone and bare.count(".") > zone.count(".") + (0 if host.startswith("*.") else 1):
            names[f"*.{bare}" if host.startswith("*.") else f"*.{bare.partition('.')[2]}"] = None
    return tuple(names)
