"""The AWS Load Balancer Controller's own kinds."""

from __future__ import annotations

from lockgate.resources.effects.row import accepted, declare, served

_SELECTOR = "{matchLabels,matchExpressions.key,matchExpressions.operator,matchExpressions.values}"

ROWS = (
    *declare(
        "elbv2.k8s.aws",
        "IngressClassParams",
        served(
            "",
            "spec.{loadBalancerName,scheme,ipAddressType,targetType,group.name}",
            f"spec.namespaceSelector.{_SELECTOR}",
            "spec.{certificateArn,sslPolicy,sslRedirectPort}",
            "spec.{inboundCIDRs,prefixListsIDs,PrefixListsIDs}",
            "spec.subnets.{ids,tags.*}",
            "spec.{tags,loadBalancerAttributes,listeners.listenerAttributes}.{key,value}",
            "spec.listeners.{protocol,port}",
            "spec.minimumLoadBalancerCapacity.capacityUnits",
            "spec.ipamConfiguration.ipv4IPAMPoolId",
            "spec.{wafv2AclArn,wafv2AclName}",
        ),
    ),
    *declare(
        "eks.amazonaws.com",
        "IngressClassParams",
        served(
            "",
            "spec.{loadBalancerName,scheme,ipAddressType,targetType,group.name}",
            f"spec.namespaceSelector.{_SELECTOR}",
            "spec.{certificateARNs,sslPolicy,inboundCIDRs,prefixListsIDs}",
            "spec.subnets.{ids,matchTags.key,matchTags.values}",
            "spec.{tags,loadBalancerAttributes,listeners.attributes}.{key,value}",
            "spec.listeners.{protocol,port}",
            "spec.minimumLoadBalancerCapacity.capacityUnits",
            "spec.ipamConfiguration.ipv4IPAMPoolId",
        ),
    ),
    *declare(
        "elbv2.k8s.aws",
        "TargetGroupBinding",
        served(
            "",
            "spec.{targetGroupARN,targetGroupName,targetType,targetGroupProtocol,ipAddressType,vpcID}",
            "spec.multiClusterTargetGroup",
            "spec.serviceRef.{name,port}",
            "spec.networking.ingress.from.{ipBlock.cidr,securityGroup.groupID}",
            "spec.networking.ingress.ports.{protocol,port}",
            f"spec.nodeSelector.{_SELECTOR}",
        ),
        accepted(
            "spec.{iamRoleArnToAssume,assumeRoleExternalId}",
            because="there is one account here: targets are registered with the controller's own credentials",
            noticed=True,
        ),
    ),
)
