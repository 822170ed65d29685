"""EKS Auto Mode's own kind, eks.amazonaws.com/v1.

Source: Amazon EKS User Guide, "Create an IngressClass to configure an Application Load Balancer".
"""

from typing import ClassVar, Literal

from pydantic import Field

from lockgate.resources.elbv2 import Attribute, IngressGroup, IPAMConfiguration, MinimumLoadBalancerCapacity, Tag
from lockgate.resources.meta import AGE, LabelSelector
from lockgate.resources.model import Column, Integer, Kind, Model, Resource, register


class MatchTag(Model):
    """A subnet matches with any of the values."""

    key: str
    values: tuple[str, ...] = ()


class AutoSubnetSelector(Model):
    ids: tuple[str, ...] = ()
    match_tags: tuple[MatchTag, ...] = ()


class AutoListener(Model):
    protocol: Literal["HTTP", "HTTPS"] | None = None
    port: Integer | None = None
    attributes: tuple[Attribute, ...] = ()


class AutoIngressClassParamsSpec(Model):
    load_balancer_name: str = ""
    certificate_arns: tuple[str, ...] = ()
    namespace_selector: LabelSelector | None = None
    group: IngressGroup | None = None
    scheme: Literal["internal", "internet-facing"] | None = None
    inbound_cidrs: tuple[str, ...] = ()
    ssl_policy: str = ""
    subnets: AutoSubnetSelector | None = None
    ip_address_type: Literal["ipv4", "dualstack", "dualstack-without-public-ipv4"] | None = None
    tags: tuple[Tag, ...] = ()
    target_type: Literal["instance", "ip"] | None = None
    load_balancer_attributes: tuple[Attribute, ...] = ()
    listeners: tuple[AutoListener, ...] = ()
    minimum_load_balancer_capacity: MinimumLoadBalancerCapacity | None = None
    ipam_configuration: IPAMConfiguration | None = None
    prefix_lists_ids: tuple[str, ...] = ()


@register
class AutoIngressClassParams(Resource):
    KIND: ClassVar[Kind] = Kind(
        "eks.amazonaws.com",
        ("v1",),
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

    spec: AutoIngressClassParamsSpec = Field(default_factory=AutoIngressClassParamsSpec)
