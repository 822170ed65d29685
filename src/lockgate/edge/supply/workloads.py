"""Deployments of Services whose Pods nothing brings, because other tools deploy those applications.

A Service whose host has subsets gets one for each, so that each version answers as itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from lockgate.edge.expected_pods import KINDS
from lockgate.edge.objects import Objects
from lockgate.edge.service_pods import Labelled
from lockgate.edge.supply.pieces import LABEL, Object
from lockgate.edge.supply.services import service_of
from lockgate.edge.workloads import gateway_workloads
from lockgate.resources import core, istio, workloads
from lockgate.resources.model import JsonObject, Resource

MOST: Final = 50  # Services: the others are answered without Pods, because each Deployment costs 10 ms at start
Labels = Mapping[str, str]


def deployments(objects: Objects) -> Iterator[Object]:
    """`objects` include the Services that are supplied."""
    gateways = gateway_workloads(objects.all(core.Service), objects.all(istio.Gateway))
    brought: Labelled[Resource] = Labelled()
    for kind in KINDS:
        for each in objects.all(kind):
            brought.enter(each, each.pod_labels)
    for pod in objects.all(core.Pod):
        brought.enter(pod, pod.metadata.labels)
    given = {(each.namespace, each.name) for each in objects.all(core.Endpoints)}
    given |= {
        (each.namespace, each.metadata.labels.get("kubernetes.io/service-name", ""))
        for each in objects.all(core.EndpointSlice)
    }
    subsets = _subsets(objects.all(istio.DestinationRule))
    made = 0
    for service in objects.all(core.Service):
        key, selector = (service.namespace, service.name), service.spec.selector
        if not selector or key in given or service.spec.type == "ExternalName":
            continue
        if next(brought.selected(service.namespace, selector), None) or any(each.serves(service) for each in gateways):
            continue
        if (made := made + 1) > MOST:
            return
        for name, labels in _versions(service.name, selector, subsets.get(key, {})):
            if objects.get(workloads.Deployment, service.namespace, name) is None:
                yield Object(_deployment(service, name, labels), "")


def _subsets(rules: Iterable[istio.DestinationRule]) -> dict[tuple[str, str], dict[str, Labels]]:
    """The labels of subsets with labels, by Service and by the subset's name."""
    found: dict[tuple[str, str], dict[str, Labels]] = {}
    for rule in rules:
        key = service_of(rule.spec.host, rule.namespace)
        for subset in rule.spec.subsets if key else ():
            if subset.labels and key:
                found.setdefault(key, {})[subset.name] = subset.labels
    return found


def _versions(service: str, selector: Labels, subsets: Mapping[str, Labels]) -> Iterator[tuple[str, Labels]]:
    """The names and Pod labels of the Deployments. A subset that contradicts the selector has no Pods."""
    possible = {
        subset: {**selector, **labels}
        for subset, labels in subsets.items()
        if all(selector.get(name, value) == value for name, value in labels.items())
    }
    seen: list[Labels] = []
    for subset, labels in possible.items():
        if labels not in seen:
            seen.append(labels)
            yield f"{service}-{_suffix(labels.get('version') or subset)}", labels
    if not possible:
        yield service, selector


def _suffix(text: str) -> str:
    return "".join(each if each.isascii() and (each.islower() or each.isdigit()) else "-" for each in text.lower())


def _deployment(service: core.Service, name: str, labels: Labels) -> JsonObject:
    complete = {"app": service.name, **labels}
    numbered = (each.target_port if isinstance(each.target_port, int) else each.port for each in service.spec.ports)
    named = {each.target_port: each.port for each in service.spec.ports if isinstance(each.target_port, str)}
    names = {number: text for text, number in named.items() if text}
    ports = [
        {"containerPort": number, **({"name": names[number]} if number in names else {})}
        for number in dict.fromkeys(each for each in numbered if each)
    ]
    container = {"name": service.name, "image": "lockgate.dev/stand-in", "ports": ports}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": service.namespace, "labels": {**complete, LABEL: "true"}},
        "spec": {
            "selector": {"matchLabels": dict(complete)},
            "template": {"metadata": {"labels": complete}, "spec": {"containers": [container]}},
        },
    }
