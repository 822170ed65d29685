"""The Service of Istio's ingress gateway, if there are Gateways but no such Service."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from lockgate.edge.objects import Name, Objects
from lockgate.edge.supply.gateway_secrets import credentials_of, made_secrets
from lockgate.edge.supply.pieces import Object
from lockgate.edge.supply.services import service
from lockgate.edge.workloads import gateway_workloads
from lockgate.ingress.references import services_of
from lockgate.resources import core, istio, networking

_NAME: Final = "istio-ingressgateway"
_NAMESPACE: Final = "istio-system"
_LABELS: Final = {"app": _NAME, "istio": "ingressgateway"}  # the labels of the default profile's Pods

# The status port, which a gateway Service of the default profile has in addition to the Gateways' ports.
_STATUS: Final = ("status-port", 15021, 15021)
_TARGETS: Final = {80: 8080, 443: 8443}


def gateway_services(objects: Objects) -> Iterator[Object]:
    """A Service for each set of labels that Gateways select. If there is a gateway already, a Gateway that selects
    another one is a mistake, which is reported instead."""
    if gateway_workloads(objects.all(core.Service), objects.all(istio.Gateway)):
        return
    missing: dict[tuple[tuple[str, str], ...], list[istio.Gateway]] = {}
    for gateway in objects.all(istio.Gateway):
        selector = gateway.spec.selector
        if _is_ingress(gateway):
            labels = {**_LABELS, **selector} if selector.items() <= _LABELS.items() else selector
            missing.setdefault(tuple(sorted(labels.items())), []).append(gateway)
    led = list(_led_to(objects)) if missing else []
    for selected, gateways in missing.items():
        yield _service(objects, dict(selected), gateways, led)


def _is_ingress(gateway: istio.Gateway) -> bool:
    """Egress and east-west traffic has other gateways."""
    text = " ".join(gateway.spec.selector.values())
    return "egress" not in text and "eastwest" not in text and bool(gateway.spec.servers)


def _led_to(objects: Objects) -> Iterator[tuple[Name, networking.Ingress]]:
    """Missing Services that Ingresses forward to, those with a gateway's name first."""
    found = [
        ((ingress.namespace, name), ingress)
        for ingress in objects.all(networking.Ingress)
        for name in services_of(ingress)
        if objects.get(core.Service, ingress.namespace, name) is None
    ]
    yield from sorted(found, key=lambda pair: not re.search("istio|ingress|gateway", pair[0][1]))


def _service(
    objects: Objects,
    labels: Mapping[str, str],
    gateways: Sequence[istio.Gateway],
    led: list[tuple[Name, networking.Ingress]],
) -> Object:
    first = gateways[0]
    ports = {name: (port, target) for name, port, target in _ports(gateways)}
    if led:  # the Ingress has the name
        (namespace, name), ingress = led.pop(0)
        led[:] = [each for each in led if each[0] != (namespace, name)]
        why = f"because Ingress {ingress.name} leads to it"
        made = service(namespace, name, ports, type_="NodePort", selector=labels)
        return Object(made, f"Service {namespace}/{name}: created as Istio's ingress gateway, {why}")
    name = _service_name(labels)
    namespace = _namespace(objects, gateways, labels)
    why = f"because Gateway {first.namespace}/{first.name} selects it and nothing brings one"
    made = service(namespace, name, ports, type_="LoadBalancer", selector=labels)
    return Object(made, f"Service {namespace}/{name}: created as Istio's ingress gateway, {why}")


def _service_name(labels: Mapping[str, str]) -> str:
    """The name in Istio's charts: that of the label ``app``; ``istio: ingress`` belongs to istio-ingress."""
    value = labels.get("app") or labels.get("istio") or next(iter(labels.values()), _NAME)
    name = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")
    return f"istio-{name}" if name == "ingress" else name[:63] or _NAME


def _ports(gateways: Iterable[istio.Gateway]) -> Iterator[tuple[str, int, int]]:
    """Each number that the Gateways have. 8080 and 8443 are also the Pods' ports, to which 80 and 443 lead."""
    numbers = dict.fromkeys((80, 443, *(each.port.number for one in gateways for each in one.spec.servers)))
    yield _STATUS
    for number in numbers:
        name = {80: "http2", 443: "https"}.get(number, f"tcp-{number}")
        yield name, number, _TARGETS.get(number, number)


def _namespace(objects: Objects, gateways: Sequence[istio.Gateway], labels: Mapping[str, str]) -> str:
    """The namespace of its servers' Secrets, because Istio reads them only from the gateway's namespace."""
    named = {name for gateway in gateways for server in gateway.spec.servers for name in credentials_of(server)}
    holding = {namespace for namespace, name in made_secrets(objects) if name in named}
    if len(holding) == 1:
        return holding.pop()
    return _NAMESPACE if labels.get("istio") == "ingressgateway" else gateways[0].namespace or _NAMESPACE
