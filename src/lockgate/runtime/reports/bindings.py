"""A line for each TargetGroupBinding of the manifests that fails."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.resources import elbv2
from lockgate.runtime.observed import State
from lockgate.runtime.parts import Line, Readiness


def bindings(state: State) -> Iterator[Line]:
    """Load balancers report the bindings that the controller creates for them."""
    for binding in state.cluster.all(elbv2.TargetGroupBinding) if state.cluster.warnings else ():
        message = state.cluster.warnings.get(binding.metadata.uid)
        if message is not None and binding.key in state.applied:
            yield Line("target group", f"{binding.namespace}/{binding.name}", Readiness.FAILED, message)
