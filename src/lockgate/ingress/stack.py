"""What an IngressGroup or a Service leads to: its load balancer and all other resources of the controller, as values.

Resources that do not exist yet are referenced by tokens: target groups and the load balancer by their resource IDs, the
two security groups by the constants below.

Source: aws-load-balancer-controller `pkg/model/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, TypeAlias

from lockgate.loadbalancer.model import EMPTY, LoadBalancer, TargetGroup
from lockgate.loadbalancer.network import AnyLoadBalancer, NetworkLoadBalancer
from lockgate.resources.faults import Fault, Origin

LOAD_BALANCER: Final = "LoadBalancer"
FRONTEND: Final = "FrontendNlb"
MANAGED_SECURITY_GROUP: Final = "ManagedLBSecurityGroup"
BACKEND_SECURITY_GROUP: Final = "backend-sg"

CLUSTER_TAG: Final = "elbv2.k8s.aws/cluster"
BACKEND_RESOURCE_TAG: Final = "elbv2.k8s.aws/resource"


@dataclass(frozen=True, slots=True, order=True)
class GroupId:
    """An IngressGroup: explicit, with a name only, or implicit, for its one Ingress. `str` is the value of the stack
    tag."""

    STACK_TAG: ClassVar[str] = "ingress.k8s.aws/stack"
    RESOURCE_TAG: ClassVar[str] = "ingress.k8s.aws/resource"

    namespace: str
    name: str

    @property
    def explicit(self) -> bool:
        return not self.namespace

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def labels(self) -> dict[str, str]:
        """The labels of its bindings."""
        return {self.STACK_TAG: self.name} if self.explicit else _labels(self)


@dataclass(frozen=True, slots=True, order=True)
class ServiceId:
    """A Service with a Network Load Balancer. `str` is the value of the stack tag."""

    STACK_TAG: ClassVar[str] = "service.k8s.aws/stack"
    RESOURCE_TAG: ClassVar[str] = "service.k8s.aws/resource"

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def labels(self) -> dict[str, str]:
        """The labels of its bindings."""
        return _labels(self)


StackId: TypeAlias = GroupId | ServiceId


def _labels(stack: StackId) -> dict[str, str]:
    return {f"{stack.STACK_TAG}-namespace": stack.namespace, f"{stack.STACK_TAG}-name": stack.name}


def tracked(tags: Mapping[str, str], stack: StackId, resource: str, cluster: str) -> dict[str, str]:
    """Adds the tags by which the controller finds its resources."""
    return {**tags, CLUSTER_TAG: cluster, stack.STACK_TAG: str(stack), stack.RESOURCE_TAG: resource}


@dataclass(frozen=True, slots=True, order=True)
class Permission:
    """One port that a security group opens to one kind of source."""

    port: int
    source: Literal["cidr", "cidr-v6", "prefix-list"]
    value: str
    protocol: Literal["tcp", "udp"] = "tcp"


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    name: str
    description: str
    permissions: tuple[Permission, ...]
    tags: Mapping[str, str] = EMPTY


@dataclass(frozen=True, slots=True)
class OpenPort:
    """A port of the targets, by number or name; None for every port."""

    port: int | str | None
    protocol: Literal["TCP", "UDP"] = "TCP"


@dataclass(frozen=True, slots=True)
class Opening:
    """Ports of the targets that the controller opens to CIDRs. Without `sources`, to the load balancer's security
    group."""

    ports: tuple[OpenPort, ...]
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TargetGroupBinding:
    """Registers a Service's endpoints in a target group, whose name it has.

    `port` is the Service's, a number, or a name where an Ingress writes one. `openings` is None if the controller
    opens nothing.
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
    openings: tuple[Opening, ...] | None = None
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
    """All resources of one group or Service. Without a load balancer, existing resources are deleted.

    A group has a `load_balancer`, and a `network` load balancer in front of it if an annotation requests one: the
    target of that one's target groups is the resource ID of the other. A Service has a `network` load balancer only.

    `capacity_units`, `coip_pool` and `ipam_pool` are applied at the load balancer's creation. `shield` None leaves its
    protection unchanged. `faults` are warnings for the user: the stack still builds.
    """

    id: StackId
    members: tuple[tuple[str, str], ...] = ()
    """Namespace and name of each Ingress, in the order of their rules."""
    load_balancer: LoadBalancer | None = None
    network: NetworkLoadBalancer | None = None
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
    def outer(self) -> AnyLoadBalancer | None:
        """The load balancer that clients connect to."""
        return self.network or self.load_balancer

    @property
    def inner(self) -> AnyLoadBalancer | None:
        """The load balancer that forwards to Services."""
        return self.load_balancer or self.network

    @property
    def network_resource(self) -> str:
        """The resource ID of the Network Load Balancer."""
        return LOAD_BALANCER if isinstance(self.id, ServiceId) else FRONTEND

    @property
    def target_groups(self) -> Mapping[str, TargetGroup]:
        made = (self.load_balancer, self.network)
        return {key: group for each in made if each is not None for key, group in each.target_groups.items()}

    @property
    def needs_backend_security_group(self) -> bool:
        return self.inner is not None and BACKEND_SECURITY_GROUP in self.inner.security_groups
