"""Listeners of a load balancer and their rules.

Source: aws-load-balancer-controller `pkg/deploy/elbv2/listener_synthesizer.go`, `listener_manager.go`,
`listener_rule_synthesizer.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lockgate.controllers.aws import AwsError
from lockgate.controllers.aws_load_balancer.existing import Existing
from lockgate.controllers.aws_load_balancer.site import Site, ensure_attributes, failing, retrying, set_tags
from lockgate.ingress import shapes
from lockgate.ingress.rule_changes import rule_changes, same_actions
from lockgate.loadbalancer.model import (
    Action,
    Forward,
    Listener,
    LoadBalancer,
    MutualAuthentication,
    Rule,
)


async def ensure(
    site: Site,
    desired: LoadBalancer,
    balancer_arn: str,
    current: LoadBalancer | None,
    arns: Mapping[str, str],
    existing: Existing,
) -> None:
    """Every other port's listener is deleted, whoever made it."""
    found = {listener.port: listener for listener in (current.listeners if current else ())}
    wanted = {listener.port for listener in desired.listeners}
    for port, listener in found.items():
        if port not in wanted:
            await site.aws.call("elbv2", "delete_listener", ListenerArn=listener.arn)
    made: list[tuple[Listener, str, tuple[Rule, ...]]] = []
    for listener in desired.listeners:
        listener = _with_arns(listener, arns)
        before = found.get(listener.port)
        if before is None:
            made.append((listener, await _create(site, balancer_arn, listener), ()))
        else:
            await _mend(site, listener, before, existing)
            made.append((listener, before.arn, before.rules))
    for listener, arn, rules in made:
        await _ensure_rules(site, listener, arn, rules, existing)


async def _create(site: Site, balancer_arn: str, listener: Listener) -> str:
    answer = await site.aws.call(
        "elbv2",
        "create_listener",
        LoadBalancerArn=balancer_arn,
        Port=listener.port,
        **_settings(listener),
        **_tags(listener),
    )
    arn: str = answer["Listeners"][0]["ListenerArn"]
    with failing("failed to update extra certificates on listener"):
        for certificate in sorted(set(listener.certificates)):
            await _add_certificate(site, arn, certificate)
    await ensure_attributes(site, "listener", arn, listener.attributes)
    return arn


async def _mend(site: Site, desired: Listener, current: Listener, existing: Existing) -> None:
    arn = current.arn
    if "ListenerRulesTagging" in site.settings.gates:
        await set_tags(site, arn, desired.tags, existing.tags[arn])
    if "EnhancedDefaultBehavior" in site.settings.gates and desired.protocol == "HTTPS":
        desired = replace(desired, mutual_authentication=desired.mutual_authentication or MutualAuthentication("off"))
    if _drifted(desired, current):
        await site.aws.call("elbv2", "modify_listener", ListenerArn=arn, Port=desired.port, **_settings(desired))
    if desired.protocol == "HTTPS":
        extra = set(existing.listener_certificates.get(arn, ()))
        wanted = set(desired.certificates)  # the default one too: when another takes its place, it is still served
        for certificate in sorted(extra - wanted):
            certificates = [{"CertificateArn": certificate}]
            await site.aws.call("elbv2", "remove_listener_certificates", ListenerArn=arn, Certificates=certificates)
        for certificate in sorted(wanted - extra):
            await _add_certificate(site, arn, certificate)
    await ensure_attributes(site, "listener", arn, desired.attributes)


def _drifted(desired: Listener, current: Listener) -> bool:
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


def _settings(listener: Listener) -> dict[str, Any]:
    found: dict[str, Any] = {
        "Protocol": listener.protocol,
        "DefaultActions": shapes.actions(listener.default_actions, _same),
    }
    if listener.protocol == "HTTPS":
        found["SslPolicy"] = listener.ssl_policy
        found["Certificates"] = [{"CertificateArn": arn} for arn in listener.certificates[:1]]
        if listener.mutual_authentication is not None:
            found["MutualAuthentication"] = shapes.mutual_authentication(listener.mutual_authentication)
    return found


async def _ensure_rules(
    site: Site, listener: Listener, arn: str, current: tuple[Rule, ...], existing: Existing
) -> None:
    changes = rule_changes(listener.rules, current)
    if changes.priorities:
        priorities = [{"RuleArn": rule, "Priority": priority} for rule, priority in changes.priorities]
        await site.aws.call("elbv2", "set_rule_priorities", RulePriorities=priorities)
    for rule, found in changes.modify:
        reset = {} if rule.transforms or not found.transforms else {"ResetTransforms": True}
        await site.aws.call("elbv2", "modify_rule", RuleArn=found.arn, **_content(rule), **reset)
    await _create_and_delete(site, arn, list(changes.create), list(changes.delete))
    for rule, rule_arn in changes.kept if "ListenerRulesTagging" in site.settings.gates else ():
        await set_tags(site, rule_arn, rule.tags, existing.tags.get(rule_arn, {}))


async def _create_and_delete(site: Site, arn: str, create: list[Rule], delete: list[Rule]) -> None:
    """New rules come before old ones go; where the load balancer is full, they take turns."""
    full = False
    while create:
        try:
            await _create_rule(site, arn, create[0])
            create.pop(0)
            if not full:
                continue
        except AwsError as error:
            if error.code != "TooManyRules" or full:
                raise
            full = True
        if create:
            if not delete:
                raise TooManyAttached("Unable to synthesize listener rules, there's too many attached.")
            await site.aws.call("elbv2", "delete_rule", RuleArn=delete.pop(0).arn)
    for rule in delete:
        await site.aws.call("elbv2", "delete_rule", RuleArn=rule.arn)


class TooManyAttached(Exception):
    """The load balancer has no room for the rules, and none of them is ours to delete."""


async def _create_rule(site: Site, arn: str, rule: Rule) -> None:
    async def create() -> None:
        await site.aws.call(
            "elbv2",
            "create_rule",
            ListenerArn=arn,
            Priority=rule.priority,
            **_content(rule),
            **_tags(rule),
        )

    with failing("failed to create listener rule"):
        await retrying(create, "ListenerNotFound", every=2, within=20)


def _content(rule: Rule) -> dict[str, Any]:
    found: dict[str, Any] = {
        "Conditions": [shapes.condition(condition) for condition in rule.conditions],
        "Actions": shapes.actions(rule.actions, _same),
    }
    if rule.transforms:
        found["Transforms"] = shapes.transforms(rule.transforms)
    return found


def _tags(item: Listener | Rule) -> dict[str, Any]:
    """ELBv2 takes no empty list."""
    return {"Tags": shapes.tags(item.tags)} if item.tags else {}


def _with_arns(listener: Listener, arns: Mapping[str, str]) -> Listener:
    """The listener with its stack's target groups and certificates by ARN."""
    return replace(
        listener,
        certificates=tuple(arns.get(item, item) for item in listener.certificates),
        default_actions=_resolved(listener.default_actions, arns),
        rules=tuple(replace(rule, actions=_resolved(rule.actions, arns)) for rule in listener.rules),
    )


def _resolved(actions: tuple[Action, ...], arns: Mapping[str, str]) -> tuple[Action, ...]:
    return tuple(
        replace(
            action,
            target_groups=tuple(
                replace(group, target_group=arns.get(group.target_group, group.target_group))
                for group in action.target_groups
            ),
        )
        if isinstance(action, Forward)
        else action
        for action in actions
    )


def _same(reference: str) -> str:
    return reference


async def _add_certificate(site: Site, arn: str, certificate: str) -> None:
    certificates = [{"CertificateArn": certificate}]
    await site.aws.call("elbv2", "add_listener_certificates", ListenerArn=arn, Certificates=certificates)
