"""The steps after which cert-manager has its IAM role: in an order in which its Pods have it from their beginning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lockgate.deploy.planning import identity, versions
from lockgate.deploy.planning.intent import Intent
from lockgate.deploy.planning.problems import Problem
from lockgate.deploy.planning.seen import Seen
from lockgate.deploy.planning.steps import Annotate, Associate, CreateProvider, PutRole, RestartPods
from lockgate.resources import workloads
from lockgate.resources.model import JsonObject


@dataclass(frozen=True, slots=True)
class Grant:
    """The steps to a role before cert-manager is installed and after, and the values of its chart."""

    before: tuple[CreateProvider | PutRole | Associate, ...] = ()
    after: tuple[Annotate | RestartPods, ...] = ()
    values: JsonObject = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def granting(intent: Intent, seen: Seen, deployments: Sequence[workloads.Deployment], wish: str) -> Grant:
    """`wish` is a value of `--identity`, or ""."""
    if not wish:
        return Grant()
    bearer = identity.bearer(versions.installed(deployments), deployments)
    before: list[CreateProvider | PutRole | Associate] = []
    after: list[Annotate | RestartPods] = []
    found: list[Problem] = []
    own, arn = wish in (identity.POD_IDENTITY, identity.IRSA), wish
    if own:
        arn = identity.role_arn(intent.name, seen.place)
        wanted, there = identity.role(intent, seen, wish, bearer), seen.role
        if wish == identity.IRSA and not seen.provider:
            before.append(CreateProvider(seen.place.issuer))
        if there is not None and there.owner != intent.name:
            found.append(Problem(f"the IAM role {there.arn} exists, and it has no tag of this edge", "delete it"))
        elif there is None or not (
            identity.same(there.trust, wanted.trust) and identity.same(there.policy, wanted.policy)
        ):
            before.append(PutRole(wanted))
    values: JsonObject = {}
    annotated = wish == identity.IRSA
    if annotated and bearer.deployment is None:
        values = {"serviceAccount": {"annotations": {identity.ANNOTATION: arn}}}
    elif annotated and seen.annotated != arn:
        after.append(Annotate(bearer, arn))
    if not annotated:
        one = next(
            (a for a in seen.associations if (a.namespace, a.service_account) == (bearer.namespace, bearer.name)), None
        )
        if one is not None and one.role != arn and one.owner != intent.name:
            text = f"{bearer} has the role {one.role}, by an association of EKS that somebody else made"
            found.append(Problem(text, "delete the association, or give --identity that role"))
        elif one is None or one.role != arn:
            before.append(Associate(bearer.namespace, bearer.name, arn, one.id if one else ""))
    lacking = identity.lacks_role(seen, bearer, arn=arn, annotated=annotated)
    if bearer.deployment is not None and lacking:
        after.append(RestartPods(bearer.deployment, arn, annotated))
    return Grant(tuple(before), tuple(after), values, tuple(found))
