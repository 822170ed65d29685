"""ELBv2's state in one region: load balancers, listeners, rules, target groups and trust stores, by ARN.

Actions, conditions and transforms are kept in the API's shape (dicts), complete and checked, because they are only
stored and returned.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Protocol

from lockgate.embedded.aws.elbv2.types import Type
from lockgate.embedded.aws.protocol import Refusal

Shape = dict[str, Any]


class Neighbours(Protocol):
    """How ELBv2 reads the account's other services, in its own region."""

    def subnets(self) -> Mapping[str, tuple[str, str]]:
        """(VPC, Availability Zone) by subnet."""
        ...

    def security_groups(self) -> Mapping[str, tuple[str, str]]:
        """(VPC, name) by security group."""
        ...

    def instances(self) -> Mapping[str, str]:
        """State by instance."""
        ...

    def vpcs(self) -> Mapping[str, tuple[str, ...]]:
        """Address blocks by VPC."""
        ...

    def subnet_blocks(self) -> Mapping[str, tuple[str, ...]]:
        """Address blocks by subnet: that of IPv4 first, then those of IPv6."""
        ...

    def is_endpoint(self, address: str, port: int) -> bool:
        """Whether a Pod of the edge listens on a loopback address and port."""
        ...

    def elastic_addresses(self) -> Mapping[str, str]:
        """Elastic IP by allocation ID."""
        ...

    def certificate(self, arn: str) -> str | None:
        """``issued``, ``unusable`` if it is not issued, None if it does not exist."""
        ...

    def user_pool_client_secret(self, arn: str, client: str) -> str:
        """The client secret, or "" if the client has none. Raises `LookupError` if pool or client does not exist."""
        ...

    def object(self, bucket: str, key: str) -> bytes | None:
        """The content of an object in S3."""
        ...

    def lend(self, key: str, content: bytes) -> str:
        """A presigned URL for the content, valid for ten minutes."""
        ...


@dataclass(slots=True)
class LoadBalancer:
    arn: str
    type: Type
    name: str
    dns_name: str
    hosted_zone: str
    scheme: str
    vpc_id: str
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    ip_address_type: str
    created: datetime
    attributes: dict[str, str]
    tags: dict[str, str]
    capacity_units: int | None = None
    capacity_changed: datetime | None = None
    capacity_decreases: tuple[date, ...] = ()
    ipam_pool: str = ""
    coip_pool: str = ""
    addresses: Mapping[str, Shape] = field(default_factory=dict)  # by subnet, in the form of LoadBalancerAddress


@dataclass(slots=True)
class Listener:
    arn: str
    load_balancer: str
    port: int
    protocol: str
    default_actions: list[Shape]
    ssl_policy: str
    alpn_policy: str
    certificates: tuple[str, ...]  # the default one first
    mutual_authentication: Shape | None
    attributes: dict[str, str]
    tags: dict[str, str]
    default_rule: str


@dataclass(slots=True)
class Rule:
    arn: str
    listener: str
    priority: int
    conditions: list[Shape]
    actions: list[Shape]
    transforms: list[Shape]
    tags: dict[str, str]


@dataclass(slots=True)
class Target:
    id: str
    port: int | None
    availability_zone: str | None
    state: str = "initial"
    reason: str = "Elb.RegistrationInProgress"
    description: str = "Target registration is in progress"
    drains_until: datetime | None = None


@dataclass(slots=True)
class TargetGroup:
    arn: str
    settings: Shape  # in the form of DescribeTargetGroups, without derived fields
    attributes: dict[str, str]
    tags: dict[str, str]
    targets: dict[tuple[str, int | None], Target] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.settings["TargetGroupName"])


@dataclass(slots=True)
class TrustStore:
    arn: str
    name: str
    bundle: bytes
    certificates: int
    tags: dict[str, str]
    revocations: dict[int, tuple[bytes, int]] = field(default_factory=dict)  # (list, number of entries) by ID
    revocations_made: int = 0


class State:
    def __init__(self, account: str, region: str, neighbours: Neighbours, quotas: Mapping[str, int]) -> None:
        self.account = account
        self.region = region
        self.neighbours = neighbours
        self.quotas = quotas
        self.load_balancers: dict[str, LoadBalancer] = {}
        self.listeners: dict[str, Listener] = {}
        self.rules: dict[str, Rule] = {}
        self.target_groups: dict[str, TargetGroup] = {}
        self.trust_stores: dict[str, TrustStore] = {}
        self._made: Counter[str] = Counter()
        self._listeners_of: dict[str, dict[str, Listener]] = {}
        self._rules_of: dict[str, dict[str, Rule]] = {}
        self._uses: dict[str, Counter[str]] = {}  # by target group: the load balancers whose actions reference it

    def now(self) -> datetime:
        return datetime.now(UTC)

    def arn(self, path: str) -> str:
        return f"arn:aws:elasticloadbalancing:{self.region}:{self.account}:{path}"

    def new_id(self, what: str) -> str:
        """16 hex digits, derived from `what` and a counter, so that they are the same after a restart of the edge."""
        self._made[what] += 1
        seed = f"{self.account}/{self.region}/{what}/{self._made[what]}"
        return hashlib.sha256(seed.encode()).hexdigest()[:16]

    # --- lookups, with AWS's errors

    def load_balancer(self, arn: str) -> LoadBalancer:
        if arn not in self.load_balancers:
            self._arn(arn, "loadbalancer", "load balancer")
            raise Refusal("LoadBalancerNotFound", f"Load balancer '{arn}' not found")
        return self.load_balancers[arn]

    def listener(self, arn: str) -> Listener:
        if arn not in self.listeners:
            self._arn(arn, "listener", "listener")
            raise Refusal("ListenerNotFound", "One or more listeners not found")
        return self.listeners[arn]

    def rule(self, arn: str) -> Rule:
        if arn not in self.rules:
            self._arn(arn, "listener-rule", "listener rule")
            raise Refusal("RuleNotFound", "One or more rules not found")
        return self.rules[arn]

    def target_group(self, arn: str) -> TargetGroup:
        if arn not in self.target_groups:
            self._arn(arn, "targetgroup", "target group")
            raise Refusal("TargetGroupNotFound", "One or more target groups not found")
        return self.target_groups[arn]

    def trust_store(self, arn: str) -> TrustStore:
        if arn not in self.trust_stores:
            self._arn(arn, "truststore", "trust store")
            raise Refusal("TrustStoreNotFound", f"Trust store '{arn}' not found")
        return self.trust_stores[arn]

    def _arn(self, arn: str, kind: str, called: str) -> None:
        parts = arn.split(":", 5)
        if len(parts) < 6 or parts[2] != "elasticloadbalancing" or not parts[5].startswith(f"{kind}/"):
            raise Refusal("ValidationError", f"'{arn}' is not a valid {called} ARN")

    # --- creation and deletion, with references

    def add_listener(self, listener: Listener) -> None:
        self.listeners[listener.arn] = listener
        self._listeners_of.setdefault(listener.load_balancer, {})[listener.arn] = listener
        self._count(listener.load_balancer, listener.default_actions, 1)

    def remove_listener(self, listener: Listener) -> None:
        for rule in self.rules_of(listener.arn):
            self.remove_rule(rule)
        self._count(listener.load_balancer, listener.default_actions, -1)
        del self.listeners[listener.arn]
        _drop(self._listeners_of, listener.load_balancer, listener.arn)

    def add_rule(self, rule: Rule) -> None:
        self.rules[rule.arn] = rule
        self._rules_of.setdefault(rule.listener, {})[rule.arn] = rule
        self._count(self.listeners[rule.listener].load_balancer, rule.actions, 1)

    def remove_rule(self, rule: Rule) -> None:
        self._count(self.listeners[rule.listener].load_balancer, rule.actions, -1)
        del self.rules[rule.arn]
        _drop(self._rules_of, rule.listener, rule.arn)

    def set_actions(self, owner: Listener | Rule, actions: list[Shape]) -> None:
        """The actions of a rule, or the default actions of a listener."""
        listener = owner if isinstance(owner, Listener) else self.listeners[owner.listener]
        former = owner.default_actions if isinstance(owner, Listener) else owner.actions
        self._count(listener.load_balancer, former, -1)
        self._count(listener.load_balancer, actions, 1)
        if isinstance(owner, Listener):
            owner.default_actions = actions
        else:
            owner.actions = actions

    def _count(self, load_balancer: str, actions: list[Shape], by: int) -> None:
        for action in actions:
            for arn in target_groups(action):
                users = self._uses.setdefault(arn, Counter())
                users[load_balancer] += by
                if not users[load_balancer]:
                    _drop(self._uses, arn, load_balancer)

    def listeners_of(self, load_balancer: str) -> list[Listener]:
        return sorted(self._listeners_of.get(load_balancer, {}).values(), key=lambda item: item.port)

    def rules_of(self, listener: str) -> list[Rule]:
        """A listener's rules by priority, without the default rule."""
        return sorted(self._rules_of.get(listener, {}).values(), key=lambda rule: rule.priority)

    def count_rules(self, load_balancer: str) -> int:
        return sum(len(self._rules_of.get(arn, ())) for arn in self._listeners_of.get(load_balancer, ()))

    def actions_of(self, load_balancer: str) -> Iterator[Shape]:
        for listener in self.listeners_of(load_balancer):
            yield from listener.default_actions
            for rule in self.rules_of(listener.arn):
                yield from rule.actions

    def load_balancers_of(self, target_group: str) -> list[str]:
        return list(self._uses.get(target_group, ()))

    def target_groups_of(self, load_balancer: str) -> set[str]:
        return {arn for arn, users in self._uses.items() if load_balancer in users}

    def registrations_of(self, load_balancer: str) -> list[Target]:
        """Where an application load balancer is a target of network load balancers, except while it drains."""
        return [
            target
            for group in self.target_groups.values()
            if group.settings["TargetType"] == "alb"
            for target in group.targets.values()
            if target.id == load_balancer and target.drains_until is None
        ]

    def certificate_users(self, certificate: str) -> list[str]:
        users = (item.load_balancer for item in self.listeners.values() if certificate in item.certificates)
        return list(dict.fromkeys(users))


def _drop(index: dict[str, Any], owner: str, owned: str) -> None:
    del index[owner][owned]
    if not index[owner]:
        del index[owner]


def target_groups(action: Shape) -> list[str]:
    """The target groups that an action (with defaults) forwards to."""
    return [item["TargetGroupArn"] for item in action.get("ForwardConfig", {}).get("TargetGroups", ())]
