"""The IAM role of cert-manager, in place of an access key: whom it trusts, and the least that it may do.

Source: cert-manager's page "Route53"; Amazon EKS User Guide, "Create IAM role with trust policy required by EKS Pod
Identity", "IAM roles for service accounts"; Route 53 Developer Guide, "Using IAM policy conditions for fine-grained
access control to manage resource record sets".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lockgate.deploy.planning.intent import Intent
from lockgate.deploy.planning.seen import Place, Seen
from lockgate.deploy.planning.versions import Installed
from lockgate.resources import core, workloads
from lockgate.resources.arns import partition_of
from lockgate.resources.model import JsonObject, ObjectKey

POD_IDENTITY: Final = "pod-identity"
IRSA: Final = "irsa"
PATH: Final = "/lockgate/"
POLICY: Final = "route53"
AUDIENCE: Final = "sts.amazonaws.com"
ANNOTATION: Final = "eks.amazonaws.com/role-arn"
_NAME: Final = 64  # characters of a role's name


@dataclass(frozen=True, slots=True)
class Bearer:
    """The service account that gets the role. `deployment` is cert-manager's, None until it is installed."""

    namespace: str
    name: str
    deployment: ObjectKey | None = None

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Role:
    """As it should be. `trust` and `policy` are policy documents."""

    name: str
    arn: str
    trust: JsonObject
    policy: JsonObject


def role_name(edge: str) -> str:
    return f"lockgate-{edge}-cert-manager"[:_NAME]


def role_arn(edge: str, place: Place) -> str:
    return f"arn:{partition_of(place.region)}:iam::{place.account}:role{PATH}{role_name(edge)}"


def provider_arn(place: Place) -> str:
    """The IAM OIDC provider of the cluster."""
    return f"arn:{partition_of(place.region)}:iam::{place.account}:oidc-provider/{_host(place)}"


def role(intent: Intent, seen: Seen, kind: str, bearer: Bearer) -> Role:
    """`kind` is how the service account gets the role."""
    place = seen.place
    trust = _by_pod(place, bearer) if kind == POD_IDENTITY else _by_token(place, bearer)
    policy = {"Version": "2012-10-17", "Statement": list(_statements(intent, seen))}
    return Role(role_name(intent.name), role_arn(intent.name, place), trust, policy)


def same(document: JsonObject, other: JsonObject) -> bool:
    return json.dumps(document, sort_keys=True) == json.dumps(other, sort_keys=True)


def _host(place: Place) -> str:
    return place.issuer.removeprefix("https://")


def _by_pod(place: Place, bearer: Bearer) -> JsonObject:
    cluster = f"arn:{partition_of(place.region)}:eks:{place.region}:{place.account}:cluster/{place.cluster}"
    tags = {
        "aws:RequestTag/eks-cluster-arn": cluster,
        "aws:RequestTag/kubernetes-namespace": bearer.namespace,
        "aws:RequestTag/kubernetes-service-account": bearer.name,
    }
    return _trust({"Service": "pods.eks.amazonaws.com"}, ["sts:AssumeRole", "sts:TagSession"], tags)


def _by_token(place: Place, bearer: Bearer) -> JsonObject:
    subject = f"system:serviceaccount:{bearer.namespace}:{bearer.name}"
    claims = {f"{_host(place)}:aud": AUDIENCE, f"{_host(place)}:sub": subject}
    return _trust({"Federated": provider_arn(place)}, ["sts:AssumeRoleWithWebIdentity"], claims)


def _trust(principal: JsonObject, actions: Sequence[str], equals: Mapping[str, str]) -> JsonObject:
    statement = {
        "Effect": "Allow",
        "Principal": principal,
        "Action": list(actions),
        "Condition": {"StringEquals": dict(equals)},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _statements(intent: Intent, seen: Seen) -> Iterator[JsonObject]:
    """TXT records of challenges in the zones of the issuers, and the roles of other accounts that issuers name."""
    partition = partition_of(seen.place.region)
    solvers = list(_solvers(intent))
    roles = sorted({str(each["role"]) for each in solvers if each.get("role")})
    if roles:
        yield {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": roles}
    named = {str(each["hostedZoneID"]) for each in solvers if each.get("hostedZoneID") and not each.get("role")}
    searched = any(not each.get("hostedZoneID") and not each.get("role") for each in solvers)
    zones = sorted(named | ({each.id for each in seen.zones} if searched else set()))
    if zones:
        resources = [f"arn:{partition}:route53:::hostedzone/{each}" for each in zones]
        yield {"Effect": "Allow", "Action": "route53:GetChange", "Resource": f"arn:{partition}:route53:::change/*"}
        yield {"Effect": "Allow", "Action": "route53:ListResourceRecordSets", "Resource": resources}
        yield {
            "Effect": "Allow",
            "Action": "route53:ChangeResourceRecordSets",
            "Resource": resources,
            "Condition": {
                "ForAllValues:StringEquals": {"route53:ChangeResourceRecordSetsRecordTypes": ["TXT"]},
                "ForAllValues:StringLike": {
                    "route53:ChangeResourceRecordSetsNormalizedRecordNames": ["_acme-challenge.*"]
                },
            },
        }
    if searched:
        yield {"Effect": "Allow", "Action": "route53:ListHostedZonesByName", "Resource": "*"}


def _solvers(intent: Intent) -> Iterator[JsonObject]:
    for document in intent.documents:
        if document.key.kind in ("Issuer", "ClusterIssuer"):
            for solver in ((document.manifest["spec"].get("acme") or {}).get("solvers")) or ():
                if (found := (solver.get("dns01") or {}).get("route53")) is not None:
                    yield found


def bearer(there: Mapping[str, Installed], deployments: Iterable[workloads.Deployment]) -> Bearer:
    """cert-manager's service account; that of its chart until it is installed."""
    found = there.get("cert-manager")
    if found is None:
        return Bearer("cert-manager", "cert-manager")
    named = next((each for each in deployments if (each.namespace, each.name) == (found.namespace, found.name)), None)
    account = named.spec.template.spec.get("serviceAccountName") if named else None
    key = ObjectKey("apps", "Deployment", found.namespace, found.name)
    return Bearer(found.namespace, str(account or "default"), key)


def lacks_role(seen: Seen, bearer: Bearer, *, arn: str, annotated: bool) -> bool:
    """Whether a Pod of cert-manager was created before its service account had the role: it gets none later."""
    pods = [
        raw
        for key, raw in seen.raw.items()
        if (key.group, key.kind, key.namespace) == ("", core.Pod.KIND.kind, bearer.namespace)
        and raw["spec"].get("serviceAccountName") == bearer.name
        and not raw["metadata"].get("deletionTimestamp")
        and _is_of(raw, bearer.deployment)
    ]
    return any(not has_role(raw, arn=arn, annotated=annotated) for raw in pods)


def has_role(pod: Mapping[str, Any], *, arn: str, annotated: bool) -> bool:
    env = {
        each["name"]: each.get("value")
        for container in pod["spec"].get("containers") or ()
        for each in container.get("env") or ()
    }
    return env.get("AWS_ROLE_ARN") == arn if annotated else "AWS_CONTAINER_CREDENTIALS_FULL_URI" in env


def _is_of(pod: Mapping[str, Any], deployment: ObjectKey | None) -> bool:
    """By the name of its ReplicaSet, which begins with the Deployment's."""
    owners = pod["metadata"].get("ownerReferences") or ()
    return deployment is not None and any(
        each.get("kind") == "ReplicaSet" and str(each.get("name")).rpartition("-")[0] == deployment.name
        for each in owners
    )
