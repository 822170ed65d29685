"""A stack as plain JSON with the names of ELBv2's API, and the manifest line of each part."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias, cast

from lockgate.ingress import shapes
from lockgate.ingress.stack import SecurityGroup, ServiceId, Stack, TargetGroupBinding
from lockgate.loadbalancer.model import Action, Listener, LoadBalancer, Rule, TargetGroup
from lockgate.loadbalancer.network import NetworkListener, NetworkLoadBalancer
from lockgate.resources.faults import Locate, Origin

Json: TypeAlias = dict[str, Any]


def stack_json(stack: Stack, locate: Locate) -> Json:
    """The output of `lockgate show load-balancer` for one group. Secrets are omitted; references replace ARNs."""
    return cast(Json, _placed(_stack(stack), locate))


def _stack(stack: Stack) -> Json:
    of_service = isinstance(stack.id, ServiceId)
    shown: Json = {"Service" if of_service else "IngressGroup": str(stack.id)}
    if stack.load_balancer is not None:
        shown["LoadBalancer"] = _balancer(stack, stack.load_balancer)
        shown["Listeners"] = [_listener(listener) for listener in stack.load_balancer.listeners]
    if stack.network is not None:
        shown["NetworkLoadBalancer" if of_service else "FrontendNlb"] = _network(stack, stack.network)
    if stack.security_group is not None:
        shown["SecurityGroup"] = _security_group(stack.security_group)
    shown["TargetGroups"] = [_target_group(group) for group in stack.target_groups.values()]
    shown["TargetGroupBindings"] = [_binding(binding) for binding in stack.bindings]
    if stack.certificates:
        shown["Certificates"] = [
            {"CertificateArn": item.reference, "SubjectAlternativeNames": list(item.names)}
            | ({"CertificateAuthorityArn": item.authority_arn} if item.authority_arn else {})
            for item in stack.certificates
        ]
    if stack.web_acl is not None:
        shown["WebACLArn"] = stack.web_acl.arn or None
    if stack.shield is not None:
        shown["ShieldProtection"] = stack.shield
    return shown


def _balancer(stack: Stack, balancer: LoadBalancer) -> Json:
    shown: Json = {
        "LoadBalancerName": balancer.name,
        "Type": "application",
        "Scheme": balancer.scheme,
        "IpAddressType": balancer.ip_address_type,
        "SecurityGroups": list(balancer.security_groups),
        "Subnets": list(balancer.subnets),
        "Attributes": shapes.attributes(balancer.attributes),
        "Tags": shapes.tags(balancer.tags),
    }
    if stack.coip_pool:
        shown["CustomerOwnedIpv4Pool"] = stack.coip_pool
    if stack.ipam_pool:
        shown["IpamPools"] = {"Ipv4IpamPoolId": stack.ipam_pool}
    if stack.capacity_units is not None:
        shown["MinimumLoadBalancerCapacity"] = {"CapacityUnits": stack.capacity_units}
    return shown | _from(balancer.origin)


def _network(stack: Stack, balancer: NetworkLoadBalancer) -> Json:
    shown: Json = {
        "LoadBalancerName": balancer.name,
        "Type": "network",
        "Scheme": balancer.scheme,
        "IpAddressType": balancer.ip_address_type,
        "SecurityGroups": list(balancer.security_groups),
        "SubnetMappings": shapes.subnet_mappings(balancer.subnets),
        "Attributes": shapes.attributes(balancer.attributes),
        "Tags": shapes.tags(balancer.tags),
        "Listeners": [_network_listener(listener) for listener in balancer.listeners],
    }
    if isinstance(stack.id, ServiceId) and stack.capacity_units is not None:
        shown["MinimumLoadBalancerCapacity"] = {"CapacityUnits": stack.capacity_units}
    return shown | _from(balancer.origin)


def _network_listener(listener: NetworkListener) -> Json:
    shown: Json = {
        "Port": listener.port,
        "Protocol": listener.protocol,
        "DefaultActions": _actions([listener.forward]),
    }
    if listener.protocol == "TLS":
        shown["SslPolicy"] = listener.ssl_policy
        shown["Certificates"] = [{"CertificateArn": arn} for arn in listener.certificates]
        if listener.alpn_policy:
            shown["AlpnPolicy"] = [listener.alpn_policy]
    if listener.attributes:
        shown["Attributes"] = shapes.attributes(listener.attributes)
    shown["Tags"] = shapes.tags(listener.tags)
    return shown | _from(listener.origin)


def _listener(listener: Listener) -> Json:
    shown: Json = {
        "Port": listener.port,
        "Protocol": listener.protocol,
        "DefaultActions": _actions(listener.default_actions),
    }
    if listener.protocol == "HTTPS":
        shown["SslPolicy"] = listener.ssl_policy
        shown["Certificates"] = [{"CertificateArn": arn} for arn in listener.certificates]
    if listener.mutual_authentication is not None:
        shown["MutualAuthentication"] = shapes.mutual_authentication(listener.mutual_authentication)
    if listener.attributes:
        shown["Attributes"] = shapes.attributes(listener.attributes)
    if listener.tags:
        shown["Tags"] = shapes.tags(listener.tags)
    shown["Rules"] = [_rule(rule) for rule in listener.rules]
    return shown | _from(listener.origin)


def _rule(rule: Rule) -> Json:
    shown: Json = {
        "Priority": str(rule.priority),
        "Conditions": [shapes.condition(condition) for condition in rule.conditions],
        "Actions": _actions(rule.actions),
    }
    if rule.transforms:
        shown["Transforms"] = shapes.transforms(rule.transforms)
    return shown | _from(rule.origin)


def _actions(actions: Iterable[Action]) -> list[Json]:
    shown = shapes.actions(actions, str)  # with unresolved references
    for action in shown:
        action.get("AuthenticateOidcConfig", {}).pop("ClientSecret", None)
    return shown


def _target_group(group: TargetGroup) -> Json:
    shown: Json = {"TargetGroupArn": group.reference, "TargetGroupName": group.name}
    shown |= {key: value for key, value in shapes.target_group(group).items() if key != "Name"}
    shown["Attributes"] = shapes.attributes(group.attributes)
    shown["Tags"] = shapes.tags(group.tags)
    if group.targets:
        shown["Targets"] = [{"Id": target.id, "Port": target.port} for target in group.targets]
    return shown | _from(group.origin)


def _binding(binding: TargetGroupBinding) -> Json:
    shown: Json = {
        "Namespace": binding.namespace,
        "Name": binding.name,
        "TargetGroupArn": binding.target_group,
        "TargetType": binding.target_type,
        "ServiceRef": {"Name": binding.service, "Port": binding.port},
    }
    if binding.openings is not None and any(each.sources for each in binding.openings):
        shown["Networking"] = [
            {"From": list(each.sources), "Ports": [f"{port.protocol} {port.port}" for port in each.ports]}
            for each in binding.openings
        ]
    if binding.node_selector:
        shown["NodeSelector"] = dict(binding.node_selector)
    if binding.multi_cluster:
        shown["MultiClusterTargetGroup"] = True
    return shown | _from(binding.origin)


def _security_group(group: SecurityGroup) -> Json:
    return {
        "GroupName": group.name,
        "Description": group.description,
        "IpPermissions": [
            {"IpProtocol": item.protocol, "FromPort": item.port, "ToPort": item.port, "Source": item.value}
            for item in group.permissions
        ],
        "Tags": shapes.tags(group.tags),
    }


def _from(origin: Origin | None) -> Json:
    return {"From": origin} if origin else {}


def _placed(value: Any, locate: Locate) -> Any:
    """The value with each origin resolved to its line. Origins that are in no file are omitted."""
    if isinstance(value, list):
        return [_placed(each, locate) for each in value]
    if not isinstance(value, dict):
        return value
    shown = {key: _placed(each, locate) for key, each in value.items() if not isinstance(each, Origin)}
    for key, each in value.items():
        if isinstance(each, Origin) and (position := locate(each)) is not None:
            shown[key] = str(position)
    return shown
