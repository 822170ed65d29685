"""Maps ELBv2's operations to functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lockgate.embedded.aws import constraints
from lockgate.embedded.aws.elbv2 import (
    actions,
    capacity,
    listeners,
    load_balancers,
    policies,
    rules,
    tags,
    target_groups,
    targets,
    trust_stores,
)
from lockgate.embedded.aws.elbv2.state import Neighbours, Shape, State
from lockgate.embedded.aws.protocol import Call, Result
from lockgate.loadbalancer.quotas import DEFAULTS

OPERATIONS: Mapping[str, Callable[[State, Shape], Result]] = {
    "CreateLoadBalancer": load_balancers.create,
    "DescribeLoadBalancers": load_balancers.describe,
    "DeleteLoadBalancer": load_balancers.delete,
    "DescribeLoadBalancerAttributes": load_balancers.describe_attributes,
    "ModifyLoadBalancerAttributes": load_balancers.modify_attributes,
    "SetSubnets": load_balancers.set_subnets,
    "SetSecurityGroups": load_balancers.set_security_groups,
    "SetIpAddressType": load_balancers.set_ip_address_type,
    "ModifyIpPools": load_balancers.modify_ip_pools,
    "DescribeCapacityReservation": capacity.describe,
    "ModifyCapacityReservation": capacity.modify,
    "CreateListener": listeners.create,
    "DescribeListeners": listeners.describe,
    "ModifyListener": listeners.modify,
    "DeleteListener": listeners.delete,
    "DescribeListenerAttributes": listeners.describe_attributes,
    "ModifyListenerAttributes": listeners.modify_attributes,
    "DescribeListenerCertificates": listeners.describe_certificates,
    "AddListenerCertificates": listeners.add_certificates,
    "RemoveListenerCertificates": listeners.remove_certificates,
    "CreateRule": rules.create,
    "DescribeRules": rules.describe,
    "ModifyRule": rules.modify,
    "DeleteRule": rules.delete,
    "SetRulePriorities": rules.set_priorities,
    "CreateTargetGroup": target_groups.create,
    "DescribeTargetGroups": target_groups.describe,
    "ModifyTargetGroup": target_groups.modify,
    "DeleteTargetGroup": target_groups.delete,
    "DescribeTargetGroupAttributes": target_groups.describe_attributes,
    "ModifyTargetGroupAttributes": target_groups.modify_attributes,
    "RegisterTargets": targets.register,
    "DeregisterTargets": targets.deregister,
    "DescribeTargetHealth": targets.describe_health,
    "CreateTrustStore": trust_stores.create,
    "DescribeTrustStores": trust_stores.describe,
    "ModifyTrustStore": trust_stores.modify,
    "DeleteTrustStore": trust_stores.delete,
    "DescribeTrustStoreAssociations": trust_stores.associations,
    "AddTrustStoreRevocations": trust_stores.add_revocations,
    "RemoveTrustStoreRevocations": trust_stores.remove_revocations,
    "DescribeTrustStoreRevocations": trust_stores.describe_revocations,
    "GetTrustStoreCaCertificatesBundle": trust_stores.get_bundle,
    "GetTrustStoreRevocationContent": trust_stores.get_revocation,
    "GetResourcePolicy": trust_stores.get_policy,
    "DeleteSharedTrustStoreAssociation": trust_stores.delete_shared_association,
    "AddTags": tags.add,
    "RemoveTags": tags.remove,
    "DescribeTags": tags.describe,
    "DescribeSSLPolicies": policies.describe,
    "DescribeAccountLimits": policies.limits,
}


class ElasticLoadBalancing:
    """One region's."""

    def __init__(self, account: str, region: str, neighbours: Neighbours, quotas: Mapping[str, int] = DEFAULTS) -> None:
        self.state = State(account, region, neighbours, quotas)

    def answer(self, call: Call) -> Result:
        constraints.check(call)
        return OPERATIONS[call.operation](self.state, call.parameters)

    # --- what AWS knows internally

    def report_target_health(
        self, target_group: str, target: str, port: int, health: str, reason: str, description: str
    ) -> None:
        targets.report(self.state, target_group, target, port, health, reason, description)

    def users_of_certificate(self, arn: str) -> list[str]:
        return self.state.certificate_users(arn)

    def create_target_group(self, given: Shape, arn: str) -> None:
        """Like CreateTargetGroup, but with `arn` if given. An existing group of that ARN or name is unchanged."""
        if not any(arn == each.arn or given["Name"] == each.name for each in self.state.target_groups.values()):
            target_groups.create(self.state, given, arn)

    def create_trust_store(self, name: str, certificate: bytes, arn: str) -> None:
        """With one CA certificate, in PEM, and under `arn` if there is one. A store with that ARN or name stays."""
        if not any(arn == each.arn or name == each.name for each in self.state.trust_stores.values()):
            trust_stores.add(self.state, name, certificate, 1, {}, arn)

    def has_load_balancer(self, arn: str) -> bool:
        return arn in self.state.load_balancers

    def hosted_zone_of(self, dns_name: str) -> str | None:
        """The canonical hosted zone of the load balancer with that DNS name, with or without ``dualstack.``."""
        plain = dns_name.lower().rstrip(".").removeprefix("dualstack.")
        for balancer in self.state.load_balancers.values():
            if balancer.dns_name.lower() == plain:
                return balancer.hosted_zone
        return None

    def client_secret(self, arn: str) -> str | None:
        """The client secret in the OIDC action of a rule, or of a listener's default actions."""
        if arn in self.state.rules:
            return actions.client_secret(self.state.rules[arn].actions)
        for listener in self.state.listeners.values():
            if arn in (listener.arn, listener.default_rule):
                return actions.client_secret(listener.default_actions)
        return None

    def trust_store(self, arn: str) -> tuple[bytes, tuple[bytes, ...]] | None:
        """The CA bundle and the revocation lists, unchanged."""
        store = self.state.trust_stores.get(arn)
        return None if store is None else (store.bundle, tuple(content for content, _ in store.revocations.values()))
