"""The result of an IngressGroup: the load balancer and all other resources of the controller, as values.

Resources that do not exist yet are referenced by tokens: target groups and the load balancer by their resource IDs, the
two security groups by the constants below.

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
    """An IngressGroup: explicit, with a name only, or implicit, for its one Ingress. `str` is the value of the stack
    tag."""

    namespace: str
    name: str

    @property
    def explicit(self) -> bool:
        return not self.namespace

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True, order=True)
class Permission:
    """One TCP port that a security group opens to one kind of source."""

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
    """Registers a Service's endpoints in a target group, whose name it has.

    `port` is the Service's as the Ingress writes it, a number or a name. `open_ports` are the targets' ports that the
    backend security group may reach, None if the controller opens none.
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
    """A certificate to request from ACM: `authority_arn` is a private CA's, "" means Amazon's public one.

    Listeners use `reference` until it has an ARN. The first of `names` is the domain name.
    """

    reference: str
    names: tuple[str, ...]
    authority_arn: str = ""
    tags: Mapping[str, str] = EMPTY


@dataclass(frozen=True, slots=True)
class WebAcl:
    """The WAFv2 association that annotations request: a web ACL by ARN, or "" for none."""

    arn: str


@dataclass(frozen=True, slots=True)
class Stack:
    """All resources of one group. Without members there is no load balancer, and existing resources are deleted.

    `listener_attributes` are in the listeners; `capacity_units`, `coip_pool` and `ipam_pool` are applied at the load
    balancer's creation. `shield` None leaves its protection unchanged. `faults` are warnings for the user: the stack
    still builds.
    """

    group: GroupId
    members: tuple[tuple[str, str], ...] = ()
    """Namespace and name of each Ingress, in the order of their rules."""
    load_balancer: LoadBalancer | None = None
    frontend: NetworkLoadBalancer | None = None
    """The Network Load Balancer in front. Its target groups' target is the load balancer's resource ID."""
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
