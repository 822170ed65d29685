"""Listeners of both load balancers, and rules of the application load balancer.

Source: aws-load-balancer-controller `pkg/deploy/elbv2/listener_synthesizer.go`, `listener_manager.go`,
`listener_rule_synthesizer.go`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from lockgate.ingress import shapes
from lockgate.ingress.changes.change import Change, Changes, Comparison, Creation, Json, Resolve, at, named
from lockgate.ingress.changes.load_balancers import matching
from lockgate.ingress.changes.tags import ModifyListenerAttributes, attribute_changes, tag_changes
from lockgate.ingress.changes.words import rule_words
from lockgate.ingress.rule_changes import rule_changes, same_actions
from lockgate.ingress.stack import LOAD_BALANCER
from lockgate.loadbalancer.model import Action, Forward, Listener, LoadBalancer, MutualAuthentication, Rule
from lockgate.loadbalancer.network import NetworkListener, NetworkLoadBalancer


@dataclass(frozen=True, slots=True)
class CreateListener(Creation):
    """Additional certificates, attributes and rules are separate changes."""

    operation: ClassVar[str] = "create_listener"

    load_balancer: str
    listener: Listener | NetworkListener

    def parameters(self, resolved: Resolve) -> Json:
        return {
            "LoadBalancerArn": resolved(self.load_balancer),
            "Port": self.listener.port,
            **_settings(self.listener, resolved),
            **_tags(self.listener),
        }

    def made(self, answer: Mapping[str, Any]) -> str:
        return str(answer["Listeners"][0]["ListenerArn"])

    def __str__(self) -> str:
        return f"create listener {self.listener.protocol}:{self.listener.port} of {named(self.load_balancer)}"


@dataclass(frozen=True, slots=True)
class ModifyListener(Change):
    operation: ClassVar[str] = "modify_listener"

    arn: str
    listener: Listener

    def parameters(self, resolved: Resolve) -> Json:
        return {"ListenerArn": self.arn, "Port": self.listener.port, **_settings(self.listener, resolved)}

    def __str__(self) -> str:
        return f"modify listener {self.listener.protocol}:{self.listener.port} ({named(self.arn)})"


@dataclass(frozen=True, slots=True)
class ModifyNetworkListener(Change):
    """Sets its protocol, certificate and default action, the target group of its connections."""

    operation: ClassVar[str] = "modify_listener"

    arn: str
    listener: NetworkListener

    def parameters(self, resolved: Resolve) -> Json:
        return {"ListenerArn": self.arn, **_network_settings(self.listener, resolved)}

    def __str__(self) -> str:
        return f"modify listener {self.listener.protocol}:{self.listener.port} ({named(self.arn)})"


@dataclass(frozen=True, slots=True)
class DeleteListener(Change):
    operation: ClassVar[str] = "delete_listener"

    arn: str
    port: int

    def parameters(self, resolved: Resolve) -> Json:
        return {"ListenerArn": self.arn}

    def __str__(self) -> str:
        return f"delete listener :{self.port} ({named(self.arn)})"


@dataclass(frozen=True, slots=True)
class AddListenerCertificates(Change):
    """The API accepts one certificate per call."""

    operation: ClassVar[str] = "add_listener_certificates"

    listener: str
    certificate: str

    def parameters(self, resolved: Resolve) -> Json:
        return {
            "ListenerArn": resolved(self.listener),
            "Certificates": [{"CertificateArn": resolved(self.certificate)}],
        }

    def __str__(self) -> str:
        return f"add {named(self.certificate)} to {named(self.listener)}"


@dataclass(frozen=True, slots=True)
class RemoveListenerCertificates(Change):
    operation: ClassVar[str] = "remove_listener_certificates"

    listener: str
    certificate: str

    def parameters(self, resolved: Resolve) -> Json:
        return {"ListenerArn": self.listener, "Certificates": [{"CertificateArn": self.certificate}]}

    def __str__(self) -> str:
        return f"remove {named(self.certificate)} from {named(self.listener)}"


@dataclass(frozen=True, slots=True)
class SetRulePriorities(Change):
    """Priorities by rule ARN; one call moves them all at once."""

    operation: ClassVar[str] = "set_rule_priorities"

    priorities: tuple[tuple[str, int], ...]

    def parameters(self, resolved: Resolve) -> Json:
        return {"RulePriorities": [{"RuleArn": rule, "Priority": priority} for rule, priority in self.priorities]}

    def __str__(self) -> str:
        moved = ", ".join(f"{named(rule)} to {priority}" for rule, priority in self.priorities)
        return f"move {len(self.priorities)} rules: {moved}"


@dataclass(frozen=True, slots=True)
class CreateRule(Creation):
    operation: ClassVar[str] = "create_rule"

    listener: str
    rule: Rule

    def parameters(self, resolved: Resolve) -> Json:
        return {
            "ListenerArn": resolved(self.listener),
            "Priority": self.rule.priority,
            **_content(self.rule, resolved),
            **_tags(self.rule),
        }

    def made(self, answer: Mapping[str, Any]) -> str:
        return str(answer["Rules"][0]["RuleArn"])

    def __str__(self) -> str:
        return f"create rule {self.rule.priority} of {named(self.listener)}: {rule_words(self.rule)}"


@dataclass(frozen=True, slots=True)
class ModifyRule(Change):
    """`reset_transforms` removes transforms that the stack's rule does not have."""

    operation: ClassVar[str] = "modify_rule"

    arn: str
    rule: Rule
    reset_transforms: bool = False

    def parameters(self, resolved: Resolve) -> Json:
        reset = {"ResetTransforms": True} if self.reset_transforms else {}
        return {"RuleArn": self.arn, **_content(self.rule, resolved), **reset}

    def __str__(self) -> str:
        return f"modify rule {self.rule.priority} ({named(self.arn)}): {rule_words(self.rule)}"


@dataclass(frozen=True, slots=True)
class DeleteRule(Change):
    operation: ClassVar[str] = "delete_rule"

    listener: str
    arn: str
    priority: int

    def parameters(self, resolved: Resolve) -> Json:
        return {"RuleArn": self.arn}

    def __str__(self) -> str:
        return f"delete rule {self.priority} ({named(self.arn)})"


def listener_changes(both: Comparison, desired: LoadBalancer) -> Changes:
    """For the application load balancer. Listeners that are not in the stack are deleted, whoever created them.

    All listeners come before all rules, so that ports answer as early as possible.
    """
    current = matching(desired, both.existing.balancers, LOAD_BALANCER)
    found = {listener.port: listener for listener in (current.listeners if current else ())}
    listeners = [_with_ids(listener, both) for listener in desired.listeners]
    for port in found.keys() - {listener.port for listener in listeners}:
        yield DeleteListener(found[port].arn, port)
    for listener in listeners:
        before = found.get(listener.port)
        made = _creation(both, listener) if before is None else _modifications(both, listener, before)
        yield from at(listener.origin, made)
    for listener in listeners:
        before = found.get(listener.port)
        reference = before.arn if before else _reference(listener)
        yield from at(listener.origin, _rules(both, listener, reference, before.rules if before else ()))


def network_listener_changes(both: Comparison, desired: NetworkLoadBalancer) -> Changes:
    """For the network load balancer."""
    current = matching(desired, both.existing.networks, both.stack.network_resource)
    found = {listener.port: listener for listener in (current.listeners if current else ())}
    for port in found.keys() - {listener.port for listener in desired.listeners}:
        yield DeleteListener(found[port].arn, port)
    for listener in desired.listeners:
        listener = replace(listener, forward=_forward_by_id(listener.forward, both))
        yield from at(listener.origin, _network_listener_changes(both, listener, found.get(listener.port)))


def _network_listener_changes(both: Comparison, desired: NetworkListener, current: NetworkListener | None) -> Changes:
    """As upstream, a policy for ALPN that is no longer requested is kept, except with EnhancedDefaultBehavior."""
    balancer = both.stack.network_resource
    if current is None:
        reference = f"{balancer}:{desired.port}"
        yield CreateListener(reference, both.id(balancer), desired)
    else:
        reference = current.arn
        yield from tag_changes(both, current.arn, desired.tags)
        resets = "EnhancedDefaultBehavior" in both.settings.gates and desired.protocol == "TLS"
        if resets and current.alpn_policy and not desired.alpn_policy:
            desired = replace(desired, alpn_policy="None")
        if _network_differs(desired, current):
            yield ModifyNetworkListener(current.arn, desired)
    if desired.protocol == "TLS":
        yield from _certificates(both, reference, desired.certificates)
    yield from attribute_changes(both, ModifyListenerAttributes, reference, desired.attributes)


def _network_differs(desired: NetworkListener, current: NetworkListener) -> bool:
    return (
        desired.protocol != current.protocol
        or not same_actions((desired.forward,), (current.forward,))
        or desired.certificates[:1] != current.certificates[:1]
        or desired.ssl_policy not in ("", current.ssl_policy)
        or desired.alpn_policy not in ("", current.alpn_policy)
    )


def _reference(listener: Listener) -> str:
    return f"{LOAD_BALANCER}:{listener.port}"


def _creation(both: Comparison, listener: Listener) -> Changes:
    reference = _reference(listener)
    yield CreateListener(reference, both.id(LOAD_BALANCER), listener)
    yield from _certificates(both, reference, listener.certificates)
    yield from attribute_changes(both, ModifyListenerAttributes, reference, listener.attributes)


def _modifications(both: Comparison, desired: Listener, current: Listener) -> Changes:
    arn = current.arn
    if "ListenerRulesTagging" in both.settings.gates:
        yield from tag_changes(both, arn, desired.tags)
    if "EnhancedDefaultBehavior" in both.settings.gates and desired.protocol == "HTTPS":
        desired = replace(desired, mutual_authentication=desired.mutual_authentication or MutualAuthentication("off"))
    if _differs(desired, current):
        yield ModifyListener(arn, desired)
    if desired.protocol == "HTTPS":
        yield from _certificates(both, arn, desired.certificates)
    yield from attribute_changes(both, ModifyListenerAttributes, arn, desired.attributes)


def _certificates(both: Comparison, listener: str, desired: Sequence[str]) -> Changes:
    """With the default one, which is still served if another becomes the default."""
    extra, needed = set(both.existing.listener_certificates.get(listener, ())), set(desired)
    for certificate in sorted(extra - needed):
        yield RemoveListenerCertificates(listener, certificate)
    for certificate in sorted(needed - extra):
        yield AddListenerCertificates(listener, certificate)


def _rules(both: Comparison, listener: Listener, reference: str, current: tuple[Rule, ...]) -> Changes:
    """New rules are created before old ones are deleted. Kept rules have the same ARN, so their tags may change."""
    changes = rule_changes(listener.rules, current)
    if changes.priorities:
        yield SetRulePriorities(changes.priorities)
    for rule, found in changes.modify:
        reset = bool(found.transforms and not rule.transforms)
        yield ModifyRule(found.arn, rule, reset_transforms=reset, origin=rule.origin)
    for rule in changes.create:
        yield CreateRule(f"{_reference(listener)}/{rule.priority}", reference, rule, origin=rule.origin)
    for rule in changes.delete:
        yield DeleteRule(reference, rule.arn, rule.priority)
    for rule, arn in changes.kept if "ListenerRulesTagging" in both.settings.gates else ():
        yield from at(rule.origin, tag_changes(both, arn, rule.tags))


def _differs(desired: Listener, current: Listener) -> bool:
    if desired.protocol != current.protocol or not same_actions(desired.default_actions, current.default_actions):
        return True
    if desired.protocol == "HTTP":
        return False
    mutual = desired.mutual_authentication
    return (
        desired.certificates[:1] != current.certificates[:1]
        or desired.ssl_policy != current.ssl_policy
        or (mutual is not None and _mode(mutual) != current.mutual_authentication)
    )


def _mode(mutual: MutualAuthentication) -> MutualAuthentication | None:
    return None if mutual.mode == "off" else mutual


# --- values with IDs, and in the API's form -----------------------------------------------------------------------


def _with_ids(listener: Listener, both: Comparison) -> Listener:
    """The listener with its target groups and certificates by ARN, if they exist."""
    return replace(
        listener,
        certificates=tuple(both.id(item) for item in listener.certificates),
        default_actions=_actions_by_id(listener.default_actions, both),
        rules=tuple(replace(rule, actions=_actions_by_id(rule.actions, both)) for rule in listener.rules),
    )


def _actions_by_id(actions: tuple[Action, ...], both: Comparison) -> tuple[Action, ...]:
    return tuple(_forward_by_id(action, both) if isinstance(action, Forward) else action for action in actions)


def _forward_by_id(forward: Forward, both: Comparison) -> Forward:
    groups = (replace(group, target_group=both.id(group.target_group)) for group in forward.target_groups)
    return replace(forward, target_groups=tuple(groups))


def _settings(listener: Listener | NetworkListener, resolved: Resolve) -> Json:
    if isinstance(listener, NetworkListener):
        return _network_settings(listener, resolved)
    found: Json = {
        "Protocol": listener.protocol,
        "DefaultActions": shapes.actions(listener.default_actions, resolved),
    }
    if listener.protocol == "HTTPS":
        found["SslPolicy"] = listener.ssl_policy
        found["Certificates"] = [{"CertificateArn": resolved(each)} for each in listener.certificates[:1]]
        if listener.mutual_authentication is not None:
            found["MutualAuthentication"] = shapes.mutual_authentication(listener.mutual_authentication)
    return found


def _network_settings(listener: NetworkListener, resolved: Resolve) -> Json:
    found: Json = {
        "Protocol": listener.protocol,
        "DefaultActions": shapes.actions((listener.forward,), resolved),
    }
    if listener.protocol == "TLS":
        found["SslPolicy"] = listener.ssl_policy
        found["Certificates"] = [{"CertificateArn": resolved(each)} for each in listener.certificates[:1]]
        if listener.alpn_policy:
            found["AlpnPolicy"] = [listener.alpn_policy]
    return found


def _content(rule: Rule, resolved: Resolve) -> Json:
    found: Json = {
        "Conditions": [shapes.condition(condition) for condition in rule.conditions],
        "Actions": shapes.actions(rule.actions, resolved),
    }
    if rule.transforms:
        found["Transforms"] = shapes.transforms(rule.transforms)
    return found


def _tags(item: Listener | NetworkListener | Rule) -> Json:
    """ELBv2 does not accept an empty list."""
    return {"Tags": shapes.tags(item.tags)} if item.tags else {}
