"""The AWS Load Balancer Controller's own kinds, elbv2.k8s.aws/v1beta1 (its `apis/elbv2/v1beta1`)."""

from typing import ClassVar, Literal

from pydantic import Field

from lockgate.resources.meta import AGE, Condition, LabelSelector
from lockgate.resources.model import Column, Flag, Integer, IntOrString, Kind, Model, Resource, register


class IngressGroup(Model):
    name: str


class SubnetSelector(Model):
    ids: tuple[str, ...] = ()
    tags: dict[str, tuple[str, ...]] = Field(default_factory=dict)


class Tag(Model):
    key: str
    value: str


class Attribute(Model):
    key: str
    value: str


class Listener(Model):
    protocol: Literal["HTTP", "HTTPS"] | None = None
    port: Integer | None = None
    listener_attributes: tuple[Attribute, ...] = ()


class MinimumLoadBalancerCapacity(Model):
    capacity_units: Integer


class IPAMConfiguration(Model):
    ipv4_ipam_pool_id: str | None = Field(default=None, alias="ipv4IPAMPoolId")


class IngressClassParamsSpec(Model):
    """`certificate_arn` is a list: its first is the default certificate."""

    load_balancer_name: str = ""
    certificate_arn: tuple[str, ...] = Field(default=(), alias="certificateArn")
    namespace_selector: LabelSelector | None = None
    group: IngressGroup | None = None
    scheme: Literal["internal", "internet-facing"] | None = None
    inbound_cidrs: tuple[str, ...] = ()
    ssl_policy: str = ""
    ssl_redirect_port: str = ""
    subnets: SubnetSelector | None = None
    ip_address_type: Literal["ipv4", "dualstack", "dualstack-without-public-ipv4"] | None = None
    tags: tuple[Tag, ...] = ()
    target_type: Literal["instance", "ip"] | None = None
    load_balancer_attributes: tuple[Attribute, ...] = ()
    listeners: tuple[Listener, ...] = ()
    minimum_load_balancer_capacity: MinimumLoadBalancerCapacity | None = None
    ipam_configuration: IPAMConfiguration | None = None
    prefix_lists_ids: tuple[str, ...] = ()
    legacy_prefix_lists_ids: tuple[str, ...] = Field(default=(), alias="PrefixListsIDs")
    wafv2_acl_arn: str = Field(default="", alias="wafv2AclArn")
    wafv2_acl_name: str = ""


@register
class IngressClassParams(Resource):
    KIND: ClassVar[Kind] = Kind(
        "elbv2.k8s.aws",
        ("v1beta1",),
        "IngressClassParams",
        "ingressclassparams",
        namespaced=False,
        has_status=False,
        columns=(
            Column("Group-Name", ".spec.group.name"),
            Column("Scheme", ".spec.scheme"),
            Column("IP-Address-Type", ".spec.ipAddressType"),
            AGE,
        ),
    )

    spec: IngressClassParamsSpec = Field(default_factory=IngressClassParamsSpec)


class ServiceReference(Model):
    name: str
    port: IntOrString


class IPBlock(Model):
    cidr: str


class SecurityGroup(Model):
    group_id: str


class NetworkingPeer(Model):
    AT_MOST_ONE: ClassVar[tuple[tuple[str, ...], ...]] = (("ipBlock", "securityGroup"),)

    ip_block: IPBlock | None = None
    security_group: SecurityGroup | None = None


class NetworkingPort(Model):
    protocol: Literal["TCP", "UDP"] | None = None
    port: IntOrString | None = None


class NetworkingIngressRule(Model):
    from_: tuple[NetworkingPeer, ...]
    ports: tuple[NetworkingPort, ...]


class TargetGroupBindingNetworking(Model):
    ingress: tuple[NetworkingIngressRule, ...] = ()


class TargetGroupBindingSpec(Model):
    target_group_arn: str = ""
    target_group_name: str = ""
    multi_cluster_target_group: Flag = False
    target_type: Literal["instance", "ip"] | None = None
    target_group_protocol: Literal["HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP", "QUIC", "TCP_QUIC"] | None = None
    service_ref: ServiceReference
    networking: TargetGroupBindingNetworking | None = None
    node_selector: LabelSelector | None = None
    ip_address_type: Literal["ipv4", "ipv6"] | None = None
    vpc_id: str = ""
    iam_role_arn_to_assume: str = Field(default="", alias="iamRoleArnToAssume")
    assume_role_external_id: str = Field(default="", alias="assumeRoleExternalId")


class TargetGroupBindingStatus(Model):
    observed_generation: Integer | None = None
    conditions: tuple[Condition, ...] = ()


@register
class TargetGroupBinding(Resource):
    KIND: ClassVar[Kind] = Kind(
        "elbv2.k8s.aws",
        ("v1beta1",),
        "TargetGroupBinding",
        "targetgroupbindings",
        columns=(
            Column("Service-Name", ".spec.serviceRef.name"),
            Column("Service-Port", ".spec.serviceRef.port"),
            Column("Target-Type", ".spec.targetType"),
            Column("ARN", ".spec.targetGroupARN", wide=True),
            AGE,
        ),
    )

    spec: TargetGroupBindingSpec
    status: TargetGroupBindingStatus = Field(default_factory=TargetGroupBindingStatus)
