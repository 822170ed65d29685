"""The workloads that a policy applies to: by labels, or by the objects that it targets.

Source: istio/api `type/v1beta1/selector.proto`.
"""

from __future__ import annotations

from pydantic import Field

from lockgate.resources.model import Model


class PolicySelector(Model):
    """Without labels it selects every workload of the policy's namespace."""

    match_labels: dict[str, str] = Field(default_factory=dict)


class TargetReference(Model):
    """An object that a policy is attached to, such as a Gateway of the Gateway API."""

    group: str = ""
    kind: str
    name: str
    namespace: str = ""
