"""The workloads that an Istio policy selects: the ingress gateway, or applications only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lockgate.edge.objects import Objects
from lockgate.edge.workloads import gateway_workloads, pod_labels
from lockgate.gateway.install import install
from lockgate.resources import core, istio, workloads
from lockgate.resources.effects.row import Scope
from lockgate.resources.model import JsonObject

_ROOT_NAMESPACE = "istio-system"


@dataclass(frozen=True, slots=True)
class GatewayPods:
    """The labels of the gateways' Pods, each with its namespace, and the mesh's root namespace."""

    pods: tuple[tuple[str, Mapping[str, str]], ...]
    root: str

    @classmethod
    def of(cls, objects: Objects) -> GatewayPods:
        services, gateways = objects.all(core.Service), objects.all(istio.Gateway)
        deployments, operators = objects.all(workloads.Deployment), objects.all(istio.IstioOperator)
        found = tuple(
            (workload.namespace, pod_labels(workload, deployments))
            for workload in gateway_workloads(services, gateways)
        )
        return cls(found, install(operators[0]).mesh.root_namespace if operators else _ROOT_NAMESPACE)

    def scope(self, policy: JsonObject) -> Scope:
        """Istio's rule: labels select in the policy's namespace, in the root namespace everywhere; no labels select
        all.

        A policy with `targetRefs` to a Gateway applies to the gateway; an EnvoyFilter for sidecars does not.
        """
        spec = _object(policy.get("spec"))
        targets = [*_objects(spec.get("targetRefs")), *_objects([spec.get("targetRef")])]
        if targets:
            gateway = any(target.get("kind") in ("Gateway", "GatewayClass") for target in targets)
            return Scope.GATEWAY if gateway else Scope.APPLICATION
        contexts = {str(_object(patch.get("match")).get("context")) for patch in _objects(spec.get("configPatches"))}
        if contexts and all(context.startswith("SIDECAR_") for context in contexts):
            return Scope.APPLICATION
        desired = {
            **_object(_object(spec.get("selector")).get("matchLabels")),
            **_object(_object(spec.get("workloadSelector")).get("labels")),
        }
        namespace = policy["metadata"].get("namespace", "")
        selected = any(
            namespace in (home, self.root) and desired.items() <= labels.items() for home, labels in self.pods
        )
        return Scope.GATEWAY if selected else Scope.APPLICATION


def _object(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[JsonObject]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
