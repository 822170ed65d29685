"""EKS Auto Mode's load balancing: the same controller, run by AWS, with parameters in another API group.

Source: Amazon EKS User Guide, "Create an IngressClass to configure an Application Load Balancer".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lockgate.ingress.annotations import registry as a
from lockgate.resources import eks, elbv2, networking
from lockgate.resources.codes import load_balancer as codes
from lockgate.resources.faults import Fault, Origin

CONTROLLER: Final = "eks.amazonaws.com/alb"
GROUP: Final = "eks.amazonaws.com"

# Annotations that the controller reads but Auto Mode does not, and their replacements.
_NOT_READ: Final = {
    "kubernetes.io/ingress.class": "set spec.ingressClassName",
    a.GROUP_NAME.key: "set spec.group.name of the IngressClassParams",
    a.WAF_ACL_ID.key: "use wafv2-acl-arn",
    a.WEB_ACL_ID.key: "use wafv2-acl-arn",
    a.CREATE_ACM_CERT.key: "request the certificate, and name its ARN",
    a.ACM_PCA_ARN.key: "request the certificate, and name its ARN",
    a.DRY_RUN_PLAN.key: "remove it",
}


def as_params(params: eks.AutoIngressClassParams) -> elbv2.IngressClassParams:
    """Auto Mode's parameters as the controller's kind, which has an equivalent of every field."""
    spec = params.spec
    subnets = spec.subnets and elbv2.SubnetSelector(
        ids=spec.subnets.ids, tags={each.key: each.values for each in spec.subnets.match_tags}
    )
    return elbv2.IngressClassParams(
        api_version=elbv2.IngressClassParams.KIND.api_version,
        kind=elbv2.IngressClassParams.KIND.kind,
        metadata=params.metadata,
        spec=elbv2.IngressClassParamsSpec(
            load_balancer_name=spec.load_balancer_name,
            certificate_arn=spec.certificate_arns,
            namespace_selector=spec.namespace_selector,
            group=spec.group,
            scheme=spec.scheme,
            inbound_cidrs=spec.inbound_cidrs,
            ssl_policy=spec.ssl_policy,
            subnets=subnets,
            ip_address_type=spec.ip_address_type,
            tags=spec.tags,
            target_type=spec.target_type,
            load_balancer_attributes=spec.load_balancer_attributes,
            listeners=tuple(
                elbv2.Listener(protocol=each.protocol, port=each.port, listener_attributes=each.attributes)
                for each in spec.listeners
            ),
            minimum_load_balancer_capacity=spec.minimum_load_balancer_capacity,
            ipam_configuration=spec.ipam_configuration,
            prefix_lists_ids=spec.prefix_lists_ids,
        ),
    )


def annotations_not_read(ingress: networking.Ingress) -> Iterator[Fault]:
    for key in ingress.metadata.annotations:
        if (instead := _NOT_READ.get(key)) is not None:
            origin = Origin(ingress.key, ("metadata", "annotations", key))
            yield codes.NOT_IN_AUTO_MODE.at(origin, annotation=key, instead=instead)
