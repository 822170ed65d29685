"""The least rights that each verb needs, as a policy document of IAM and a ClusterRole.

Lockgate calls no write operation of ELBv2 and EC2: the AWS Load Balancer Controller does that, with its own role.
Source: Service Authorization Reference; Route 53 Developer Guide, "Using IAM policy conditions for fine-grained access
control to manage resource record sets".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from lockgate.deploy.planning.identity import IRSA, PATH, POD_IDENTITY, role_name
from lockgate.resources.arns import partition_of

_ELB: Final = (
    "DescribeAccountLimits",
    "DescribeListenerAttributes",
    "DescribeListenerCertificates",
    "DescribeListeners",
    "DescribeLoadBalancerAttributes",
    "DescribeLoadBalancers",
    "DescribeRules",
    "DescribeTags",
    "DescribeTargetGroupAttributes",
    "DescribeTargetGroups",
    "DescribeTargetHealth",
)
_EC2: Final = ("DescribeRouteTables", "DescribeSecurityGroups", "DescribeSubnets")


@dataclass(frozen=True, slots=True)
class Needs:
    """What the verbs will touch. `zones` are IDs; `names` are of certificates. `identity` is a value of
    `--identity`."""

    account: str
    region: str
    edge: str
    cluster: str
    zones: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    new_zones: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    """Actions that only some load balancers need: `seen.GroupSeen.reads`."""
    identity: str = ""


def policy(needs: Needs, *, write: bool = True, destroy: bool = False) -> dict[str, Any]:
    """A policy document with which `plan` and `verify` work; with `write`, `apply` too; with `destroy`, that too."""
    statements = list(_reads(needs))
    if write:
        statements += _writes(needs)
    if destroy:
        statements += _deletions(needs)
    return {"Version": "2012-10-17", "Statement": statements}


def actions(document: dict[str, Any]) -> frozenset[str]:
    """All actions that a policy document allows."""
    return frozenset(action for each in document["Statement"] for action in each["Action"])


def _reads(needs: Needs) -> Iterable[dict[str, Any]]:
    partition = partition_of(needs.region)
    if needs.cluster:
        arn = f"arn:{partition}:eks:{needs.region}:{needs.account}:cluster/{needs.cluster}"
        yield _allow("ReadCluster", ["eks:DescribeCluster"], [arn])
        if needs.identity:
            reads = ["eks:DescribePodIdentityAssociation", "eks:ListPodIdentityAssociations"]
            associations = (
                f"arn:{partition}:eks:{needs.region}:{needs.account}:podidentityassociation/{needs.cluster}/*"
            )
            if needs.identity != IRSA:
                yield _allow("ReadIdentities", reads, [arn, associations])
            yield from _role_reads(needs)
    yield _allow("ListCertificatesAndZones", ["acm:ListCertificates", "route53:ListHostedZones"], ["*"])
    yield _allow(
        "ReadCertificates",
        ["acm:DescribeCertificate", "acm:ListTagsForCertificate"],
        [_certificates(needs)],
    )
    zones = _zones(needs)
    yield _allow("ReadRecords", ["route53:ListResourceRecordSets", "route53:ListTagsForResource"], zones)
    yield _allow(
        "ReadLoadBalancing",  # ELBv2 and EC2 have no resource level for reads
        [*(f"elasticloadbalancing:{each}" for each in _ELB), *(f"ec2:{each}" for each in _EC2)],
        ["*"],
    )
    if needs.reads:
        yield _allow("ReadAddOns", needs.reads, ["*"])


def _writes(needs: Needs) -> Iterable[dict[str, Any]]:
    partition = partition_of(needs.region)
    if needs.new_zones:
        yield _allow("CreateZones", ["route53:CreateHostedZone"], ["*"])
        yield _allow("TagZones", ["route53:ChangeTagsForResource"], [f"arn:{partition}:route53:::hostedzone/*"])
    if needs.names:
        yield _allow("RequestCertificates", ["acm:RequestCertificate", "acm:AddTagsToCertificate"], ["*"]) | {
            "Condition": {
                "ForAllValues:StringEquals": {"acm:DomainNames": sorted(needs.names)},
                "StringEquals": {"aws:RequestTag/lockgate.dev/edge": needs.edge},
            }
        }
    yield _allow("WriteRecords", ["route53:ChangeResourceRecordSets"], _zones(needs)) | {
        "Condition": {
            "ForAllValues:StringEquals": {
                "route53:ChangeResourceRecordSetsRecordTypes": ["A", "AAAA", "CNAME", "TXT"],
            }
        }
    }
    yield _allow("WaitForRecords", ["route53:GetChange"], [f"arn:{partition}:route53:::change/*"])
    if needs.identity:
        yield from _identity(needs)


def _role(needs: Needs) -> str:
    """The ARN of cert-manager's role."""
    own = f"arn:{partition_of(needs.region)}:iam::{needs.account}:role{PATH}{role_name(needs.edge)}"
    return own if needs.identity in ("", POD_IDENTITY, IRSA) else needs.identity


def _role_reads(needs: Needs) -> Iterable[dict[str, Any]]:
    if needs.identity in (POD_IDENTITY, IRSA):
        yield _allow("ReadRole", ["iam:GetRole", "iam:GetRolePolicy"], [_role(needs)])
    if needs.identity == IRSA:
        yield _allow("ReadProvider", ["iam:GetOpenIDConnectProvider"], [_providers(needs)])


def _providers(needs: Needs) -> str:
    return f"arn:{partition_of(needs.region)}:iam::{needs.account}:oidc-provider/*"


def _identity(needs: Needs) -> Iterable[dict[str, Any]]:
    role = _role(needs)
    if needs.identity in (POD_IDENTITY, IRSA):
        actions = ["iam:CreateRole", "iam:PutRolePolicy", "iam:TagRole", "iam:UpdateAssumeRolePolicy"]
        yield _allow("WriteRole", actions, [role])
    if needs.identity == IRSA:
        actions = ["iam:CreateOpenIDConnectProvider", "iam:TagOpenIDConnectProvider"]
        yield _allow("CreateProvider", actions, [_providers(needs)])
        return
    partition = partition_of(needs.region)
    where = f"arn:{partition}:eks:{needs.region}:{needs.account}"
    yield _allow("PassRole", ["iam:GetRole", "iam:PassRole"], [role])
    associating = ["eks:CreatePodIdentityAssociation", "eks:TagResource", "eks:UpdatePodIdentityAssociation"]
    resources = [f"{where}:cluster/{needs.cluster}", f"{where}:podidentityassociation/{needs.cluster}/*"]
    yield _allow("AssociateRole", associating, resources)


def _deletions(needs: Needs) -> Iterable[dict[str, Any]]:
    yield _allow("DeleteCertificates", ["acm:DeleteCertificate"], [_certificates(needs)]) | {
        "Condition": {"StringEquals": {"aws:ResourceTag/lockgate.dev/edge": needs.edge}}
    }
    partition = partition_of(needs.region)
    yield _allow("ReadNetworkInterfaces", ["ec2:DescribeNetworkInterfaces"], ["*"])
    own = replace(needs, identity="")
    yield _allow(
        "DeleteRole", ["iam:DeleteRole", "iam:DeleteRolePolicy", "iam:GetRole", "iam:GetRolePolicy"], [_role(own)]
    )
    providers = ["iam:DeleteOpenIDConnectProvider", "iam:GetOpenIDConnectProvider"]
    yield _allow("DeleteProvider", providers, [_providers(needs)])
    yield _allow("ListRoles", ["iam:ListRoles"], [f"arn:{partition}:iam::{needs.account}:role/*"])
    if needs.cluster:
        where = f"arn:{partition}:eks:{needs.region}:{needs.account}"
        associations = f"{where}:podidentityassociation/{needs.cluster}/*"
        actions = [f"eks:{verb}PodIdentityAssociation" for verb in ("Delete", "Describe")]
        yield _allow("DeleteAssociations", actions, [associations])
        yield _allow("ListAssociations", ["eks:ListPodIdentityAssociations"], [f"{where}:cluster/{needs.cluster}"])
    if needs.new_zones:
        yield _allow("DeleteZones", ["route53:DeleteHostedZone"], _zones(needs))


def _certificates(needs: Needs) -> str:
    return f"arn:{partition_of(needs.region)}:acm:{needs.region}:{needs.account}:certificate/*"


def _zones(needs: Needs) -> list[str]:
    """Zones that are still to be created have no ID yet."""
    partition = partition_of(needs.region)
    names = ["*"] if needs.new_zones or not needs.zones else sorted(needs.zones)
    return [f"arn:{partition}:route53:::hostedzone/{each}" for each in names]


def _allow(name: str, actions: Sequence[str], resources: list[str]) -> dict[str, Any]:
    return {"Sid": name, "Effect": "Allow", "Action": sorted(actions), "Resource": resources}


def cluster_role(edge: str, written: Iterable[tuple[str, str]], read: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """A ClusterRole. `written` and `read` are API groups and plurals."""
    writing, reading = frozenset(written), frozenset(read)

    def rules(kinds: Iterable[tuple[str, str]], verbs: list[str]) -> list[dict[str, Any]]:
        groups: dict[str, list[str]] = {}
        for group, plural in sorted(kinds):
            groups.setdefault(group, []).append(plural)
        return [{"apiGroups": [group], "resources": names, "verbs": verbs} for group, names in groups.items()]

    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": f"lockgate-{edge}"},
        "rules": [
            *rules(reading - writing, ["get", "list"]),
            *rules(writing, ["get", "list", "create", "patch", "delete"]),
        ],
    }
