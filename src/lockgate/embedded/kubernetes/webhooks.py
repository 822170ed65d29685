"""Admission webhooks that read other objects than the written one, called like the API server calls them.

They belong to the AWS Load Balancer Controller: `loadbalancer.admission` and `loadbalancer.readiness_gates` make its
decisions. Checks that need no other object are part of each kind.
"""

from __future__ import annotations

from lockgate.embedded.kubernetes.admission import namespace_key
from lockgate.embedded.kubernetes.storage import Storage
from lockgate.ingress import admission, readiness_gates
from lockgate.ingress.services.ownership import calls_webhook, needs_class
from lockgate.ingress.world import Settings
from lockgate.resources import core, elbv2, networking
from lockgate.resources.field_errors import FieldError
from lockgate.resources.model import JsonObject, ObjectKey, Resource, ResourceT


class Webhooks:
    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.settings = Settings()
        """The controller's flags."""
        self.enabled = True

    def mutated(self, key: ObjectKey, body: JsonObject) -> JsonObject:
        """A new object, mutated, before validation. Like `defaulted`, may raise for a body with a wrong shape."""
        if not self.enabled:
            return body
        match (key.group, key.kind):
            case core.Pod.KIND.group_kind:
                return self._gated(key, body)
            case core.Service.KIND.group_kind:
                return self._claimed(body)
            case _:
                return body

    def refusals(self, resource: Resource, before: Resource | None) -> list[FieldError]:
        """Validates a created or updated object that is valid by itself. Objects in deletion are skipped: if their
        class was deleted first, Ingresses could never be deleted."""
        fault: FieldError | None = None
        if resource.metadata.deletion_timestamp or not self.enabled:
            return []
        match resource:
            case networking.Ingress():
                classes = {each.name: each for each in self._all(networking.IngressClass)}
                former = before if isinstance(before, networking.Ingress) else None
                fault = admission.ingress(resource, classes, self.settings, former)
            case elbv2.TargetGroupBinding():
                fault = admission.target_group_binding(resource, self._all(elbv2.TargetGroupBinding))
            case _:
                pass
        return [fault] if fault else []

    def _claimed(self, body: JsonObject) -> JsonObject:
        spec = body["spec"]
        stored = self._storage.all(("admissionregistration.k8s.io", "MutatingWebhookConfiguration"))
        if not needs_class(spec.get("type"), spec.get("loadBalancerClass")) or not calls_webhook(
            each.json for each in stored
        ):
            return body
        return {**body, "spec": {**spec, "loadBalancerClass": self.settings.load_balancer_class}}

    def _gated(self, key: ObjectKey, body: JsonObject) -> JsonObject:
        namespace = self._storage.get(namespace_key(key.namespace))
        labels = namespace.json["metadata"].get("labels") if namespace else None
        if not self.settings.inject_readiness_gates or not readiness_gates.injected(labels or {}):
            return body
        spec = body["spec"]
        before = tuple(gate["conditionType"] for gate in spec.get("readinessGates") or ())
        after = readiness_gates.with_gates(
            before,
            body["metadata"].get("labels") or {},
            self._all(elbv2.TargetGroupBinding, key.namespace),
            {each.name: each for each in self._all(core.Service, key.namespace)},
        )
        if after == before:
            return body
        return {**body, "spec": {**spec, "readinessGates": [{"conditionType": gate} for gate in after]}}

    def _all(self, kind: type[ResourceT], namespace: str = "") -> list[ResourceT]:
        return [stored.parsed(kind) for stored in self._storage.all(kind.KIND.group_kind, namespace)]
