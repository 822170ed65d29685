"""Which Services' Pods take no plain text: those with a sidecar, under a PeerAuthentication that is STRICT.

A load balancer that sends requests straight to such Pods has no certificate of the mesh: the sidecar resets its
connections. Istio's gateways have one, so their requests pass.

Source: istio/istio `pkg/kube/inject/inject.go` (injectRequired), `pilot/pkg/security/authn/policy_applier.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lockgate.edge.edge import Edge
from lockgate.edge.mesh import mesh_of
from lockgate.edge.network import ServicePort
from lockgate.resources import core, istio, workloads
from lockgate.resources.model import JsonObject

_INJECT: Final = "sidecar.istio.io/inject"
_NAMESPACE_INJECTS: Final = "istio-injection"
_REVISION: Final = "istio.io/rev"
_EXCLUDED: Final = "traffic.sidecar.istio.io/excludeInboundPorts"
_INCLUDED: Final = "traffic.sidecar.istio.io/includeInboundPorts"
WORKLOADS: Final = (workloads.Deployment, workloads.ReplicaSet, workloads.StatefulSet, workloads.DaemonSet)


@dataclass(frozen=True, slots=True)
class PlainTextRules:
    """`namespaces` are by name, `templates` the workloads' Pods; `root` is the mesh's root namespace."""

    policies: Sequence[istio.PeerAuthentication]
    namespaces: Mapping[str, core.Namespace]
    templates: Sequence[workloads.Workload]
    root: str

    def refusing(self, service: core.Service, port: core.ServicePort) -> istio.PeerAuthentication | None:
        """The policy by which all Pods behind a Service port refuse plain text; None if some take it."""
        if not any(_is_strict(policy) for policy in self.policies):
            return None
        found = [self._refusing(service.namespace, pod, _target(port, pod)) for pod in self._pods(service)]
        return found[0] if found and None not in found else None

    def _pods(self, service: core.Service) -> Iterator[workloads.PodTemplate]:
        """Without a workload in the manifests, Pods have the labels that the Service selects."""
        selector = service.spec.selector
        known = [
            each.spec.template
            for each in self.templates
            if selector and each.namespace == service.namespace and selector.items() <= each.pod_labels.items()
        ]
        yield from known
        if selector and not known:
            yield workloads.PodTemplate.model_validate({"metadata": {"labels": selector}})

    def _refusing(
        self, namespace: str, pod: workloads.PodTemplate, port: int | None
    ) -> istio.PeerAuthentication | None:
        if not self._has_sidecar(namespace, pod) or not _intercepted(pod, port):
            return None
        labels = pod.metadata.labels
        ordered = sorted(self.policies, key=lambda one: (one.metadata.creation_timestamp, one.name))
        own = [one for one in ordered if one.namespace == namespace]
        selecting = [one for one in own if _labels(one) and _labels(one).items() <= labels.items()]
        whole = [one for one in own if not _labels(one)]
        mesh = [one for one in ordered if one.namespace == self.root and not _labels(one)]
        for one in selecting[:1]:
            at_port = (one.spec.port_level_mtls or {}).get(str(port))
            if at_port is not None and at_port.mode not in (None, "UNSET"):
                return one if at_port.mode == "STRICT" else None
        for one in (*selecting[:1], *whole[:1], *mesh[:1]):
            mode = one.spec.mtls.mode if one.spec.mtls else None
            if mode not in (None, "UNSET"):
                return one if mode == "STRICT" else None
        return None

    def _has_sidecar(self, namespace: str, pod: workloads.PodTemplate) -> bool:
        labels, of_namespace = pod.metadata.labels, self.namespaces.get(namespace)
        around = of_namespace.metadata.labels if of_namespace else {}
        asked = labels.get(_INJECT) or pod.metadata.annotations.get(_INJECT, "")
        if around.get(_NAMESPACE_INJECTS) == "disabled" or asked == "false" or pod.spec.get("hostNetwork") is True:
            return False
        return (
            around.get(_NAMESPACE_INJECTS) == "enabled"
            or _REVISION in around
            or asked == "true"
            or (_REVISION in labels)
        )


def rules(edge: Edge) -> PlainTextRules:
    objects = edge.objects
    return PlainTextRules(
        objects.all(istio.PeerAuthentication),
        {each.name: each for each in objects.all(core.Namespace)},
        [each for kind in WORKLOADS for each in objects.all(kind)],
        mesh_of(objects.all(istio.IstioOperator)).root_namespace,
    )


def refusing(edge: Edge, at: ServicePort) -> istio.PeerAuthentication | None:
    """The policy by which the Pods behind a Service port, which is no gateway's, refuse a load balancer's requests."""
    service = edge.objects.get(core.Service, at.namespace, at.service)
    if service is None or at in edge.network.gateways or not edge.objects.all(istio.PeerAuthentication):
        return None
    port = next((each for each in service.spec.ports if each.port == at.port), None)
    return rules(edge).refusing(service, port) if port else None


def _is_strict(policy: istio.PeerAuthentication) -> bool:
    modes = [policy.spec.mtls, *(policy.spec.port_level_mtls or {}).values()]
    return any(each is not None and each.mode == "STRICT" for each in modes)


def _labels(policy: istio.PeerAuthentication) -> Mapping[str, str]:
    return policy.spec.selector.match_labels if policy.spec.selector else {}


def _intercepted(pod: workloads.PodTemplate, port: int | None) -> bool:
    annotations = pod.metadata.annotations
    included = annotations.get(_INCLUDED, "*")
    return str(port) not in _listed(annotations.get(_EXCLUDED, "")) and (
        included == "*" or str(port) in _listed(included)
    )


def _listed(text: str) -> list[str]:
    return [each.strip() for each in text.split(",")]


def _target(port: core.ServicePort, pod: workloads.PodTemplate) -> int | None:
    """The Pod's port behind a Service's; None if no container says which number a name has."""
    target = port.target_port
    if target is None or target == "":
        return port.port
    if isinstance(target, int) or target.isdigit():
        return int(target)
    declared = (each for container in _objects(pod.spec.get("containers")) for each in _objects(container.get("ports")))
    return next((each.get("containerPort") for each in declared if each.get("name") == target), None)


def _objects(value: Any) -> Iterable[JsonObject]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else ()
