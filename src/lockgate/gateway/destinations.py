"""DestinationRules: selects the rule for a host, and resolves its traffic policy for a port and subset.

Source: istio/istio `pilot/pkg/model/push_context.go`, `destination_rule.go`, and
`pilot/pkg/networking/core/cluster_traffic_policy.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from lockgate.gateway.hosts import best_match, fully_qualified, visible
from lockgate.gateway.mesh import Mesh
from lockgate.gateway.workload import Workload
from lockgate.resources import istio
from lockgate.resources.faults import Origin
from lockgate.resources.memo import Memo


@dataclass(frozen=True, slots=True)
class Blocks:
    """The four blocks of a traffic policy, and the fields that it has only above the level of a port."""

    load_balancer: istio.LoadBalancerSettings | None = None
    connection_pool: istio.ConnectionPoolSettings | None = None
    outlier_detection: istio.OutlierDetection | None = None
    tls: istio.ClientTLSSettings | None = None
    proxy_protocol: istio.ProxyProtocol | None = None
    retry_budget: istio.RetryBudget | None = None

    def over(self, policy: istio.TrafficPolicy | None, port: int) -> Blocks:
        """These blocks where `policy` sets none. Its settings for the port replace all four, also those it omits."""
        if policy is None:
            return self
        found = Blocks(
            policy.load_balancer or self.load_balancer,
            policy.connection_pool or self.connection_pool,
            policy.outlier_detection or self.outlier_detection,
            policy.tls or self.tls,
            policy.proxy_protocol or self.proxy_protocol,
            policy.retry_budget or self.retry_budget,
        )
        for setting in policy.port_level_settings:
            if setting.port and setting.port.number == port:
                return replace(
                    found,
                    load_balancer=setting.load_balancer,
                    connection_pool=setting.connection_pool,
                    outlier_detection=setting.outlier_detection,
                    tls=setting.tls,
                )
        return found


NO_BLOCKS = Blocks()


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One DestinationRule, or several of a namespace merged: the oldest first, its subsets before the others'."""

    policy: istio.TrafficPolicy | None
    subsets: Mapping[str, istio.Subset]
    origin: Origin

    def blocks(self, port: int, subset: str = "") -> Blocks:
        """The policy for a port: the subset's own goes over the rule's settings for that port."""
        own = self.subsets[subset].traffic_policy if subset in self.subsets else None
        return NO_BLOCKS.over(self.policy, port).over(own, port)

    def hashing(self, port: int | None, subset: str) -> istio.ConsistentHash | None:
        """The hash that routes to a destination name, `port` being the one that the destination names.

        istiod does not look it up as it does the policy of a cluster: what sets no hash overrides nothing.
        """
        own = self.subsets[subset].traffic_policy if subset in self.subsets else None
        found = (_port_hash(own, port), _hash(own), _port_hash(self.policy, port), _hash(self.policy))
        return next((one for one in found if one), None)


def _hash(policy: istio.TrafficPolicy | istio.PortTrafficPolicy | None) -> istio.ConsistentHash | None:
    return policy.load_balancer.consistent_hash if policy and policy.load_balancer else None


def _port_hash(policy: istio.TrafficPolicy | None, port: int | None) -> istio.ConsistentHash | None:
    settings = policy.port_level_settings if policy and port else ()
    return next((_hash(one) for one in settings if one.port and one.port.number == port), None)


@dataclass(slots=True, eq=False)
class Destinations:
    """The rules that a gateway's namespace can see, by namespace and host pattern."""

    viewer: str
    root: str
    local: dict[str, Rule] = field(default_factory=dict)
    exported: dict[str, dict[str, Rule]] = field(default_factory=dict)

    def rule(self, hostname: str, namespace: str) -> Rule | None:
        """The rule for a host of a service in `namespace`, from the gateway's, the service's, or the root namespace."""
        for rules in (self.local, self.exported.get(namespace, {}), self.exported.get(self.root, {})):
            if not rules:
                continue
            pattern = hostname if hostname in rules else best_match(hostname, rules)
            if pattern is not None:
                return rules[pattern]
        return None


def destinations(rules: Iterable[istio.DestinationRule], workload: Workload, mesh: Mesh, memo: Memo) -> Destinations:
    found = Destinations(workload.namespace, mesh.root_namespace)
    local: dict[str, list[istio.DestinationRule]] = {}
    exported: dict[tuple[str, str], list[istio.DestinationRule]] = {}
    for rule in sorted(rules, key=lambda one: (one.metadata.creation_timestamp, one.name, one.namespace)):
        selector = rule.spec.workload_selector
        if selector and (rule.namespace != workload.namespace or not workload.selected_by(selector.match_labels)):
            continue
        export_to = rule.spec.export_to or mesh.export_destination_rules
        host = fully_qualified(rule.spec.host, rule.namespace, mesh.domain)
        in_root = workload.namespace == mesh.root_namespace
        if rule.namespace == workload.namespace and (not in_root or "." in export_to or selector):
            local.setdefault(host, []).append(rule)
        if not selector and visible(export_to, rule.namespace, workload.namespace):
            exported.setdefault((rule.namespace, host), []).append(rule)
    found.local = {host: _merged(group, memo) for host, group in local.items()}
    for (namespace, host), group in exported.items():
        found.exported.setdefault(namespace, {})[host] = _merged(group, memo)
    return found


def _merged(group: list[istio.DestinationRule], memo: Memo) -> Rule:
    """Rules with a workloadSelector stay separate and come first; the others are merged."""
    for rule in group:
        if rule.spec.workload_selector:
            return memo.made(_alone, rule)
    parts = tuple(memo.made(_alone, rule) for rule in group)
    return parts[0] if len(parts) == 1 else memo.made(_joined, parts[0], parts[1:])


def _alone(rule: istio.DestinationRule) -> Rule:
    return Rule(rule.spec.traffic_policy, {subset.name: subset for subset in rule.spec.subsets}, Origin(rule.key))


def _joined(first: Rule, rest: tuple[Rule, ...]) -> Rule:
    subsets = dict(first.subsets)
    policy = first.policy
    for rule in rest:
        for name, subset in rule.subsets.items():
            subsets.setdefault(name, subset)
        policy = policy or rule.policy
    return Rule(policy, subsets, first.origin)
