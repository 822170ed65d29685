"""Pod readiness gates: a Pod with one is ready only if its target is healthy in the load balancer.

Source: aws-load-balancer-controller `pkg/targetgroupbinding/resource_manager.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lockgate.controllers.aws_load_balancer.site import Site
from lockgate.ingress.readiness_gates import gate_of
from lockgate.loadbalancer.model import Target
from lockgate.resources import core, elbv2
from lockgate.resources.meta import condition
from lockgate.resources.model import JsonObject
from lockgate.resources.status import ApiError

Json = Mapping[str, Any]


class Gates:
    def __init__(self, site: Site) -> None:
        self._site = site

    async def report(
        self,
        binding: elbv2.TargetGroupBinding,
        pods: Mapping[Target, core.Pod | None],
        health: Iterable[Json],
        registered: Iterable[Target],
    ) -> bool:
        """Writes the condition of each Pod with a gate. Returns whether one is still not ready."""
        states = {(item["Target"]["Id"], int(item["Target"].get("Port") or 0)): item for item in health}
        new = set(registered)
        waits = False
        for target, pod in pods.items():
            if pod is None or not _gated(pod, binding):
                continue
            if target in new:
                status = "False"
                reason, message = "Elb.RegistrationInProgress", "Target registration is in progress"
            else:
                answer = states.get((target.id, target.port), {}).get("TargetHealth", {})
                state = answer.get("State")
                status = "Unknown" if state is None else "True" if state == "healthy" else "False"
                reason, message = answer.get("Reason", ""), answer.get("Description", "")
            waits = waits or status != "True"
            await self._set(pod, gate_of(binding), status, reason, message)
        return waits

    async def release(self, binding: elbv2.TargetGroupBinding) -> None:
        """Opens the gates of a deleted binding."""
        for pod in list(self._site.cluster.pods.values()):
            if pod.namespace == binding.namespace and _gated(pod, binding):
                await self._set(pod, gate_of(binding), "True", "", "Target Group Binding is deleted")

    async def _set(self, pod: core.Pod, type_: str, status: str, reason: str, message: str) -> None:
        found = condition(pod.status.conditions, type_)
        if found is not None and (found.status, found.reason, found.message) == (status, reason, message):
            return
        conditions: list[JsonObject] = [
            item.model_dump(by_alias=True, exclude_defaults=True)
            for item in pod.status.conditions
            if item.type != type_
        ]
        entry: JsonObject = {"type": type_, "status": status}
        if found is None or found.status != status:
            entry["lastTransitionTime"] = self._site.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        else:
            entry["lastTransitionTime"] = found.last_transition_time
        if reason:
            entry["reason"] = reason
        if message:
            entry["message"] = message
        try:
            await self._site.kubernetes.patch_status(
                core.Pod, pod.name, pod.namespace, {"conditions": [*conditions, entry]}
            )
        except ApiError as error:
            if error.code != 404:
                raise


def _gated(pod: core.Pod, binding: elbv2.TargetGroupBinding) -> bool:
    return any(gate.condition_type == gate_of(binding) for gate in pod.spec.readiness_gates)
