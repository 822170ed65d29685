"""The annotation for dry runs, which Istio's webhook reads of all kinds: `pkg/config/validation/validation.go`,
checkDryRunAnnotation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lockgate.resources import istio
from lockgate.resources.field_errors import FieldError
from lockgate.resources.model import Resource
from lockgate.resources.rules.istio_names import problem, q

DRY_RUN: Final = "istio.io/dry-run"
_BOOLEANS: Final = frozenset(
    ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"]
)  # Go's strconv.ParseBool


def refusals(resource: Resource) -> Iterator[FieldError]:
    value = resource.metadata.annotations.get(DRY_RUN)
    if value is None or not resource.KIND.group.endswith(".istio.io"):
        return
    at, name = ("metadata", "annotations", DRY_RUN), f"{resource.namespace}/{resource.name}"
    if not isinstance(resource, istio.AuthorizationPolicy):
        yield problem(at, f"{name} has unsupported annotation {DRY_RUN}, please remove the annotation")
    elif (action := resource.spec.action or "ALLOW") not in ("ALLOW", "DENY"):
        only = f"the annotation {DRY_RUN} currently only supports action ALLOW/DENY"
        yield problem(at, f"{only}, found action {action} in {name}")
    elif value not in _BOOLEANS:
        reason = f"strconv.ParseBool: parsing {q(value)}: invalid syntax"
        yield problem(at, f"{name} has annotation {DRY_RUN} with invalid value ({value}): {reason}")
