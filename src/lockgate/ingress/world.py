"""The inputs of a build: the cluster's objects, the account as read, and the controller's flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from lockgate.ingress.subnets import Subnet
from lockgate.loadbalancer.model import EMPTY, Scheme
from lockgate.resources import core, eks, elbv2, networking

Name: TypeAlias = tuple[str, str]  # namespace, name


@dataclass(frozen=True, slots=True)
class Objects:
    """The cluster's objects by name. Mappings may be live views: a build only reads them."""

    ingresses: Mapping[Name, networking.Ingress] = field(default_factory=dict)
    services: Mapping[Name, core.Service] = field(default_factory=dict)
    secrets: Mapping[Name, core.Secret] = field(default_factory=dict)
    classes: Mapping[str, networking.IngressClass] = field(default_factory=dict)
    class_params: Mapping[str, elbv2.IngressClassParams] = field(default_factory=dict)
    auto_params: Mapping[str, eks.AutoIngressClassParams] = field(default_factory=dict)
    """EKS Auto Mode's parameters, which may have the same names."""
    namespaces: Mapping[str, dict[str, str]] = field(default_factory=dict)
    """Labels by namespace."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """An issued certificate of ACM, and its domains."""

    arn: str
    domains: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExistingLoadBalancer:
    """The existing load balancer of the group or Service. Its subnets are kept while its scheme is unchanged."""

    scheme: Scheme
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """The account as read. None means not read: such a choice stays open and is reported."""

    vpc_id: str = ""
    vpc_blocks: tuple[str, ...] | None = None
    """The CIDRs of the VPC, of both families."""
    subnets: tuple[Subnet, ...] | None = None
    certificates: tuple[Certificate, ...] | None = None
    security_groups: Mapping[str, tuple[str, ...]] | None = None
    """IDs by the value of the Name tag; every ID is also a key."""
    trust_stores: Mapping[str, str] | None = None
    """ARNs by name."""
    target_groups: Mapping[str, str] | None = None
    """ARNs by name."""
    web_acls: Mapping[str, str] | None = None
    """ARNs of WAFv2 web ACLs by name."""
    existing: ExistingLoadBalancer | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """A feature gate. `counts` means that it has an effect here."""

    default: bool
    counts: bool = False


GATES: Final[Mapping[str, Gate]] = {
    "ListenerRulesTagging": Gate(True, counts=True),
    "EndpointsFailOpen": Gate(True, counts=True),
    "EnableIPTargetType": Gate(True, counts=True),
    "SubnetsClusterTagCheck": Gate(True, counts=True),
    "SubnetDiscoveryByReachability": Gate(True, counts=True),
    "LBCapacityReservation": Gate(True, counts=True),
    "ALBSingleSubnet": Gate(False, counts=True),
    "EnhancedDefaultBehavior": Gate(False, counts=True),
    "EnableDefaultTagsLowPriority": Gate(False, counts=True),
    "EnableCertificateManagement": Gate(False, counts=True),
    "WeightedTargetGroups": Gate(True),
    "EnableServiceController": Gate(True, counts=True),
    "NLBHealthCheckAdvancedConfig": Gate(True, counts=True),
    "NLBSecurityGroup": Gate(True, counts=True),
    "NLBGatewayAPI": Gate(True),
    "ALBGatewayAPI": Gate(True),
    "GatewayListenerSet": Gate(True),
    "ServiceTypeLoadBalancerOnly": Gate(False, counts=True),
    "EnableTCPUDPListener": Gate(False, counts=True),
    "EnableRGTAPI": Gate(False),
    "ALBTargetControlAgent": Gate(False),
    "IngressPlanAnnotation": Gate(False),
    "GlobalAcceleratorController": Gate(False),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """The controller's flags that affect its resources, with their defaults."""

    cluster_name: str = ""
    ingress_class: str = "alb"
    default_scheme: Literal["internal", "internet-facing"] = "internal"
    default_target_type: Literal["instance", "ip"] = "instance"
    default_ssl_policy: str = "ELBSecurityPolicy-2016-08"
    default_tags: Mapping[str, str] = EMPTY
    external_managed_tags: frozenset[str] = frozenset()
    enable_backend_security_group: bool = True
    manage_backend_security_group_rules: bool = False
    backend_security_group: str = ""
    disable_restricted_sg_rules: bool = False
    disable_ingress_class_annotation: bool = False
    disable_group_name_annotation: bool = False
    default_ca_arn: str = ""
    allowed_certificate_authorities: frozenset[str] = frozenset()
    """Discovery considers only certificates of these CAs; empty means all."""
    tolerate_non_existent_backend_service: bool = True
    tolerate_non_existent_backend_action: bool = True
    required_secrets_label: str = ""
    """``key=value`` or ``key``: Secrets without this label are not read."""
    max_targets: int = 0
    inject_readiness_gates: bool = True
    enable_shield: bool = True
    enable_wafv2: bool = True
    watch_namespace: str = ""
    requeue_seconds: float = 15.0
    sync_seconds: float = 36000.0
    load_balancer_class: str = "service.k8s.aws/nlb"
    gates: frozenset[str] = frozenset(name for name, gate in GATES.items() if gate.default)
    """The enabled feature gates of GATES."""
