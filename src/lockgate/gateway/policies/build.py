"""Builds the filters of a workload's chains from its policies.

The order is istiod's: JWTs are read first, because rules refer to their claims. Then AUDIT, DENY and ALLOW decide.

Source: istio/istio `pilot/pkg/networking/core/listener_builder.go`, `pilot/pkg/security/authz/builder/builder.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from lockgate.gateway.mesh import Mesh
from lockgate.gateway.policies.attach import attached
from lockgate.gateway.policies.model import NEVER, NO_FILTERS, Filters, Predicate, Rbac, Rule
from lockgate.gateway.policies.predicates import Unusable, permissions_and_principals
from lockgate.gateway.workload import Workload
from lockgate.resources import istio
from lockgate.resources.faults import Origin

DRY_RUN = "istio.io/dry-run"
_ORDER: Final[tuple[Literal["AUDIT", "DENY", "ALLOW"], ...]] = ("AUDIT", "DENY", "ALLOW")
_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))  # Go's strconv.ParseBool


@dataclass(frozen=True, slots=True, eq=False)
class Policies:
    """The policies of all workloads."""

    authorization: Sequence[istio.AuthorizationPolicy] = field(default_factory=list)


def filters(policies: Policies, workload: Workload, mesh: Mesh) -> Filters:
    authorization = list(attached(policies.authorization, workload, mesh.root_namespace))
    if not authorization:
        return NO_FILTERS
    return Filters(
        http=tuple(_access_control(authorization, tcp=False)),
        network=tuple(_access_control(authorization, tcp=True)),
    )


def _access_control(policies: Iterable[istio.AuthorizationPolicy], *, tcp: bool) -> Iterator[Rbac]:
    by_action: dict[str, list[istio.AuthorizationPolicy]] = {}
    for policy in policies:
        by_action.setdefault(policy.spec.action or "ALLOW", []).append(policy)
    for action in _ORDER:
        if found := by_action.get(action):
            enforced = [policy for policy in found if not is_dry_run(policy)]
            tried = [policy for policy in found if is_dry_run(policy)]
            yield Rbac(
                action,
                rules=tuple(_rules(enforced, tcp, action == "ALLOW")) if enforced else None,
                shadow=tuple(_rules(tried, tcp, action == "ALLOW")) if tried else None,
            )


def is_dry_run(policy: istio.AuthorizationPolicy) -> bool:
    return policy.metadata.annotations.get(DRY_RUN, "") in _TRUE


def _rules(policies: Iterable[istio.AuthorizationPolicy], tcp: bool, allow: bool) -> Iterator[Rule]:
    """In the order of their names, in which Envoy evaluates them."""
    found: list[Rule] = []
    for policy in policies:
        for index, rule in enumerate(policy.spec.rules):
            try:
                permissions, principals = permissions_and_principals(rule, policy.namespace, tcp=tcp, allow=allow)
            except Unusable:
                continue
            found.append(_rule(policy, index, permissions, principals, ("spec", "rules", index)))
        if not policy.spec.rules:
            found.append(_rule(policy, 0, (NEVER,), (NEVER,), ("spec",)))
    return iter(sorted(found, key=lambda rule: rule.name))


def _rule(
    policy: istio.AuthorizationPolicy,
    index: int,
    permissions: tuple[Predicate, ...],
    principals: tuple[Predicate, ...],
    path: tuple[str | int, ...],
) -> Rule:
    name = f"ns[{policy.namespace}]-policy[{policy.name}]-rule[{index}]"
    return Rule(name, permissions, principals, f"{policy.namespace}/{policy.name}", Origin(policy.key, path))
