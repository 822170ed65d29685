"""What was read of a cluster and an account, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lockgate.dns.model import Zone
from lockgate.ingress.changes.change import Change
from lockgate.ingress.changes.load_balancers import DeleteLoadBalancer
from lockgate.ingress.existing import Existing
from lockgate.ingress.stack import Stack, StackId
from lockgate.loadbalancer.discovered import Discovered
from lockgate.loadbalancer.network import AnyLoadBalancer
from lockgate.resources.model import JsonObject, ObjectKey, Resource

OWNER_LABEL: Final = "lockgate.dev/edge"
"""The label of objects, and the tag of AWS resources, that Lockgate created: its value is the edge's name."""

RELEASE_LABEL: Final = "lockgate.dev/installed-by"
"""The label of Helm releases that `apply --install` made. It is not the owner's: Helm deletes what is in them."""
MANAGER: Final = "lockgate"
SHIFT_MANAGER: Final = "lockgate-shift"
"""The field manager of the weights while `apply --progressive` shifts requests."""


@dataclass(frozen=True, slots=True)
class Place:
    """Who asks, and where. `vpc_id`, `version` and `issuer` are EKS's; "" where they could not be read."""

    account: str
    region: str
    caller: str
    context: str
    server: str
    version: str
    cluster: str = ""
    vpc_id: str = ""
    issuer: str = ""
    auto_mode: bool = False


@dataclass(frozen=True, slots=True)
class Served:
    """A kind that the cluster serves."""

    group: str
    kind: str
    plural: str
    namespaced: bool
    versions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Acm:
    """A certificate of ACM. `records` are the name and value of its validation records, read while it is pending."""

    arn: str
    names: tuple[str, ...]
    status: str
    in_use: bool = False
    not_after: str = ""
    imported: bool = False
    records: tuple[tuple[str, str], ...] = ()
    ours: bool = False
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """A target as DescribeTargetHealth has it."""

    target: str
    port: int
    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DryRun:
    """What the API server would make of an object. `result` is None where it refuses, with the reason in `refused`.

    `conflicts` are fields of other managers. `local` means that the credentials may not write, so that the result is a
    merge of the manifest with the object: without defaults and admission.
    """

    result: JsonObject | None
    refused: str = ""
    conflicts: tuple[tuple[str, str], ...] = ()
    local: bool = False


@dataclass(frozen=True, slots=True)
class GroupSeen:
    """A group of Ingresses, or a Service: what the AWS Load Balancer Controller will build, what there is, and the
    changes that it will make. Without `stack`, `refused` says why it builds nothing. `reads` are the IAM actions that
    it took to find out, beyond those of every plan."""

    group: StackId
    stack: Stack | None
    existing: Existing
    changes: tuple[Change, ...] = ()
    refused: str = ""
    reads: tuple[str, ...] = ()

    @property
    def deleted(self) -> tuple[AnyLoadBalancer, ...]:
        """The load balancers that the controller will delete."""
        arns = {each.arn for each in self.changes if isinstance(each, DeleteLoadBalancer)}
        return tuple(each for each in self.existing.load_balancers if each.arn in arns)


@dataclass(frozen=True, slots=True)
class Association:
    """Of EKS Pod Identity. `owner` is the edge that made it, or ""."""

    id: str
    namespace: str
    service_account: str
    role: str
    owner: str


@dataclass(frozen=True, slots=True)
class RoleSeen:
    """An IAM role with its trust policy and its policy; `owner` as above."""

    arn: str
    trust: JsonObject
    policy: JsonObject
    owner: str


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that the credentials may not read, and what the plan lacks because of it."""

    what: str
    why: str
    lacks: str


@dataclass(frozen=True, slots=True)
class Seen:
    """`raw` has the cluster's objects as JSON, `resources` those of kinds with a model; Secrets are metadata only."""

    place: Place
    served: Mapping[tuple[str, str], Served] = field(default_factory=dict)
    resources: tuple[Resource, ...] = ()
    raw: Mapping[ObjectKey, JsonObject] = field(default_factory=dict)
    zones: tuple[Zone, ...] = ()
    certificates: tuple[Acm, ...] = ()
    balancers: Discovered = field(default_factory=Discovered)
    states: Mapping[str, str] = field(default_factory=dict)
    """The state of each load balancer, by ARN."""
    health: Mapping[str, tuple[Health, ...]] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    """How much of a quota is used, by the quota's name."""
    groups: tuple[GroupSeen, ...] = ()
    dry_runs: Mapping[ObjectKey, DryRun] = field(default_factory=dict)
    associations: tuple[Association, ...] = ()
    role: RoleSeen | None = None
    """The IAM role with this edge's name."""
    annotated: str = ""
    """The role in the annotation of cert-manager's service account."""
    provider: bool = False
    """Whether IAM has the cluster's OIDC provider."""
    unread: tuple[Unread, ...] = ()


def managers(raw: Mapping[str, Any]) -> dict[str, str]:
    """The field managers of an object, each with its operation."""
    entries = (raw.get("metadata") or {}).get("managedFields") or ()
    return {str(each.get("manager")): str(each.get("operation")) for each in entries if not each.get("subresource")}
