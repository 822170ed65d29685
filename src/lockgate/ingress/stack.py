"""What an IngressGroup leads to: the load balancer and all that the controller makes with it, as values.

Whatever AWS or Kubernetes names later is referred to by a token until then: a target group and the load balancer by
their resource ids, the two security groups by the constants below.

Source: aws-load-balancer-controller `pkg/model/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from lockgate.loadbalancer.model import EMPTY, LoadBalancer, TargetGroup
from lockgate.loadbalancer.network import NetworkLoadBalancer
from lockgate.resources.faults import Fault, Origin

LOAD_BALANCER: Final = "LoadBalancer"
FRONTEND: Final = "FrontendNlb"
MANAGED_SECURITY_GROUP: Final = "ManagedLBSecurityGroup"
BACKEND_SECURITY_GROUP: Final = "backend-sg"

CLUSTER_TAG: Final = "elbv2.k8s.aws/cluster"
STACK_TAG: Final = "ingress.k8s.aws/stack"
RESOURCE_TAG: Final = "ingress.k8s.aws/resource"
BACKEND_RESOURCE_TAG: Final = "elbv2.k8s.aws/resource"


@dataclass(frozen=True, slots=True, order=True)
class GroupId:
    """An IngressGroup: explicit by a name alone, implicit by its one Ingress. `str` gives the stack tag's value."""

    namespace: str
    name: str

    @property
    def explicit(self) -> bool:
        return not self.namespace

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True, order=True)
class Permission:
    """One TCP port that a security group lets one kind of source into."""

    port: int
    source: Literal["cidr", "cidr-v6", "prefix-list"]
    value: str


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    name: str
    description: str
    permissions: tuple[Permission, ...]
    tags: Mapping[str, str] = EMPTY


@dataclass(frozen=True, slots=True)
class TargetGroupBinding:
    """The object that says whose endpoints go into a target group. Its name is the target group's.

    `port` is the Service's as the Ingress has it, a number or a name. `open_ports` are those on which the backend
    security group may reach targets, None where the controller opens nothing.
    """

    namespace: str
    name: str
    target_group: str
    service: str
    port: int | str
    target_type: Literal["instance", "ip"]
    protocol: str
    ip_address_type: str
    vpc_id: str = ""
    labels: Mapping[str, str] = EMPTY
    node_selector: Mapping[str, str] = EMPTY
    open_ports: tuple[int | str, ...] | None = None
    multi_cluster: bool = False
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """A certificate that ACM is asked for: `authority_arn` names a private CA, "" means Amazon's public one.

    Listeners refer to it by `reference` until it has an ARN. The first of `names` is the domain name.
    """

    reference: str
    names: tuple[str, ...]
    authority_arn: str = ""
    tags: Mapping[str, str] = EMPTY


@dataclass(frozen=True, slots=True)
class WebAcl:
    """What the annotations say of WAFv2: a web ACL by ARN, or "" to have none."""

    arn: str


@dataclass(frozen=True, slots=True)
class Stack:
    """Everything of one group. Without members there is no load balancer, and all that was made goes.

    `listener_attributes` are in the listeners; `capacity_units`, `coip_pool` and `ipam_pool` go with the load
    balancer's creation. `shield` None leaves its protection as it is. `faults` are what the user should know though
    it builds.
    """

    group: GroupId
    members: tuple[tuple[str, str], ...] = ()
    """Namespace and name of each Ingress, in the order that their rules take."""
    load_balancer: LoadBalancer | None = None
    frontend: NetworkLoadBalancer | None = None
    """What passes connections on to the load balancer, whose resource id is the target of its target groups."""
    security_group: SecurityGroup | None = None
    bindings: tuple[TargetGroupBinding, ...] = ()
    certificates: tuple[CertificateRequest, ...] = ()
    web_acl: WebAcl | None = None
    shield: bool | None = None
    capacity_units: int | None = None
    coip_pool: str = ""
    ipam_pool: str = ""
    faults: tuple[Fault, ...] = ()

    @property
    def target_groups(self) -> Mapping[str, TargetGroup]:
        in_front = self.frontend.target_groups if self.frontend else {}
        return {**self.load_balancer.target_groups, **in_front} if self.load_balancer else {}

    @property
    def needs_backend_security_group(self) -> bool:
        return self.load_balancer is not None and BACKEND_SECURITY_GROUP in self.load_balancer.security_groups
