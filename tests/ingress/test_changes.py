"""The changes that bring an account to a Stack: account state and Stack in, changes out.

A row has manifests `before` and `after` in the words of `ingress_cases`. The account is what the changes of `before`
lead to, with what `account` says on top of it: what somebody else did there. `changes` are the lines that a plan
prints, with ids in the short form of this test; `calls` are operations in order, where the words matter less.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import botocore.session
import pytest
import yaml
from botocore import xform_name
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from ingress_cases import CASES, Row

from lockgate.ingress.changes import changes
from lockgate.ingress.changes.bindings import ApplyBinding
from lockgate.ingress.changes.change import Change, Creation, as_json
from lockgate.ingress.changes.compared import compared_attributes
from lockgate.ingress.existing import (
    Existing,
    ExistingCertificate,
    ExistingSecurityGroup,
    ForeignPermission,
    Protection,
)
from lockgate.ingress.flags import read_arguments
from lockgate.ingress.stack import (
    BACKEND_SECURITY_GROUP,
    FRONTEND,
    LOAD_BALANCER,
    MANAGED_SECURITY_GROUP,
    GroupId,
    Permission,
    Stack,
)
from lockgate.ingress.world import Settings
from lockgate.loadbalancer.model import Action, AuthenticateOidc, Forward, Listener, LoadBalancer, Rule, Target
from lockgate.resources import elbv2
from lockgate.resources.faults import Position

ROWS: list[dict[str, Any]] = yaml.safe_load((CASES / "changes.yaml").read_text())
VPC = "vpc-1"
_ARN = "arn:aws:elasticloadbalancing:eu-west-1:123456789012"
_WORDS = {"name", "before", "after", "flags", "account", "changes", "calls"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_changes(row: dict[str, Any]) -> None:
    assert row.keys() <= _WORDS
    settings = _settings(row)
    before, after = (_stack(row, side, settings) for side in ("before", "after"))
    account = _touched(deployed(before), row.get("account", {}))
    found = changes(after, account, settings, vpc_id=VPC)
    if "changes" in row:
        assert [str(change) for change in found] == row["changes"]
    if "calls" in row:
        assert [change.operation for change in found] == row["calls"]
    _check_order(found)
    _check_calls(found)
    json.dumps([as_json(change) for change in found])
    if after.load_balancer is not None:
        assert all(change.origin is not None for change in found)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_what_is_deployed_needs_no_change(row: dict[str, Any]) -> None:
    settings = _settings(row)
    stack = _stack(row, "after", settings)
    assert changes(stack, deployed(stack), settings, vpc_id=VPC) == ()


def test_a_plan_shows_references_and_hides_secrets() -> None:
    login = AuthenticateOidc("https://i.example", "a", "t", "u", "me", client_secret="hunter2")
    stack = _stack({"after": {}}, "after", _settings({}))
    assert stack.load_balancer is not None
    [listener] = stack.load_balancer.listeners
    rules = tuple(replace(rule, actions=(login, *rule.actions)) for rule in listener.rules)
    balancer = replace(stack.load_balancer, listeners=(replace(listener, rules=rules),))
    found = changes(replace(stack, load_balancer=balancer), Existing(), _settings({}), vpc_id=VPC)
    [rule] = [as_json(change) for change in found if change.operation == "create_rule"]
    assert rule["change"] == "CreateRule"
    assert rule["makes"] == "LoadBalancer:80/1"
    assert rule["parameters"]["ListenerArn"] == {"Ref": "LoadBalancer:80"}
    oidc, forward = rule["parameters"]["Actions"]
    assert oidc["AuthenticateOidcConfig"]["ClientSecret"] == "***"
    [group] = forward["ForwardConfig"]["TargetGroups"]
    assert group["TargetGroupArn"] == {"Ref": "default/web-web:80"}
    assert "hunter2" not in repr(found)


def test_a_change_comes_from_the_part_of_the_manifests_that_asks_for_it() -> None:
    stack = _stack({"after": {"ingress": {"listen-ports": '[{"HTTP": 8080}]'}}}, "after", _settings({}))
    found = changes(stack, Existing(), _settings({}), vpc_id=VPC)
    origins = {type(change).__name__: change.origin for change in found}
    assert stack.load_balancer is not None
    [listener] = stack.load_balancer.listeners
    assert origins["CreateLoadBalancer"] == stack.load_balancer.origin
    assert origins["CreateListener"] == listener.origin
    assert origins["CreateRule"] == listener.rules[0].origin
    assert origins["CreateTargetGroup"] == origins["ApplyBinding"]
    assert len({origin.path for origin in origins.values() if origin}) > 2
    at = Position("web.yaml", 7, 3)
    shown = as_json(found[0], lambda origin: at if origin == stack.load_balancer.origin else None)  # type: ignore[union-attr]
    assert shown["position"] == {"file": "web.yaml", "line": 7, "column": 3}
    assert (shown["object"], shown["path"]) == ("Ingress default/web", [])


@cache
def _model(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)


def _check_calls(found: tuple[Change, ...]) -> None:
    """A change prints a call that the AWS SDK accepts, with a text for each pending ID."""
    for change in found:
        if change.service != "kubernetes":
            name = _operations(change.service)[change.operation]
            shape = _model(change.service).operation_model(name).input_shape
            report = ParamValidator().validate(change.parameters(str), shape)
            assert not report.has_errors(), f"{change}: {report.generate_report()}"


@cache
def _operations(service: str) -> dict[str, str]:
    """The API's operations by boto3's names for them."""
    return {xform_name(name): name for name in _model(service).operation_names}


def _check_order(found: tuple[Change, ...]) -> None:
    """A change refers to ids that the account has, or that an earlier change makes."""
    made: set[str] = set()
    for change in found:
        pending: set[str] = set()
        change.parameters(lambda reference, pending=pending: pending.add(reference) or reference)  # type: ignore[misc]
        later = ("ValidationRecord/", "HostedZone/")  # in answers of ACM and Route 53
        unknown = {each for each in pending if not each.startswith(("arn:", "sg-", *later))} - made
        assert not unknown, f"{change} comes before what it refers to: {unknown}"
        if isinstance(change, Creation):
            made.add(change.makes)


# --- an account where everything of a stack is deployed -----------------------------------------------------------


def deployed(stack: Stack) -> Existing:
    groups = {reference: f"{_ARN}:targetgroup/{group.name}/1" for reference, group in stack.target_groups.items()}
    certificates = {each.reference: f"arn:aws:acm:::certificate/{each.names[0]}" for each in stack.certificates}
    security = {MANAGED_SECURITY_GROUP: "sg-managed", BACKEND_SECURITY_GROUP: "sg-backend"}
    ids = groups | certificates | security
    tags = {groups[reference]: group.tags for reference, group in stack.target_groups.items()}
    balancers: tuple[tuple[str, LoadBalancer], ...] = ()
    if (desired := stack.load_balancer) is not None:
        balancer = _deployed_balancer(desired, ids)
        balancers = ((LOAD_BALANCER, balancer),)
        tags[balancer.arn] = desired.tags
        for listener in balancer.listeners:
            tags[listener.arn] = listener.tags
            tags |= {rule.arn: rule.tags for rule in listener.rules}
    found = Existing(
        balancers=balancers,
        target_groups=tuple(
            (reference, replace(group, reference=groups[reference])) for reference, group in stack.target_groups.items()
        ),
        security_groups=(
            (
                (
                    MANAGED_SECURITY_GROUP,
                    ExistingSecurityGroup("sg-managed", stack.security_group.permissions, stack.security_group.tags),
                ),
            )
            if stack.security_group is not None
            else ()
        ),
        tags=tags,
        listener_certificates={
            listener.arn: listener.certificates for _, each in balancers for listener in each.listeners
        },
        ipam_pools={balancer.arn: stack.ipam_pool for _, balancer in balancers if stack.ipam_pool},
        backend_security_group="sg-backend" if stack.needs_backend_security_group else "",
        certificates=tuple(
            (each.reference, ExistingCertificate(certificates[each.reference], frozenset(each.names), issued=True))
            for each in stack.certificates
        ),
        web_acl=stack.web_acl.arn if stack.web_acl else "",
        shield_subscribed=True,
        protection=Protection("12345678-1234-1234-1234-123456789012", "managed by aws-load-balancer-controller")
        if stack.shield
        else None,
        capacity_units=stack.capacity_units or 0,
    )
    found = _with_frontend(found, stack, ids)
    attributes: dict[str, Mapping[str, str]] = {}
    for _, arn in compared_attributes(stack, found):
        attributes[arn] = _attributes(found, arn)
    found = replace(found, attributes=attributes)
    bindings = [
        elbv2.TargetGroupBinding.model_validate(each.parameters(lambda reference: ids.get(reference, reference)))
        for each in changes(stack, found, Settings(cluster_name="lockgate"), vpc_id=VPC)
        if isinstance(each, ApplyBinding)
    ]
    return replace(found, bindings=tuple(bindings))


def _deployed_balancer(desired: LoadBalancer, ids: Mapping[str, str]) -> LoadBalancer:
    arn = f"{_ARN}:loadbalancer/app/{desired.name}/1"
    return replace(
        desired,
        arn=arn,
        dns_name="web.example",
        security_groups=tuple(ids.get(each, each) for each in desired.security_groups),
        listeners=tuple(_deployed_listener(desired.name, each, ids) for each in desired.listeners),
    )


def _deployed_listener(balancer: str, listener: Listener, ids: Mapping[str, str]) -> Listener:
    arn = f"{_ARN}:listener/app/{balancer}/1/{listener.port}"
    rules = tuple(
        replace(
            rule,
            arn=f"{arn.replace(':listener/', ':listener-rule/')}/{number}",
            actions=_with_ids(rule.actions, ids),
        )
        for number, rule in enumerate(listener.rules, 1)
    )
    return replace(
        listener,
        arn=arn,
        certificates=tuple(ids.get(each, each) for each in listener.certificates),
        default_actions=_with_ids(listener.default_actions, ids),
        rules=rules,
    )


def _with_ids(actions: tuple[Action, ...], ids: Mapping[str, str]) -> tuple[Action, ...]:
    return tuple(_forward(action, ids) if isinstance(action, Forward) else action for action in actions)


def _forward(forward: Forward, ids: Mapping[str, str]) -> Forward:
    groups = (
        replace(each, target_group=ids.get(each.target_group, each.target_group)) for each in forward.target_groups
    )
    return replace(forward, target_groups=tuple(groups))


def _with_frontend(found: Existing, stack: Stack, ids: Mapping[str, str]) -> Existing:
    if stack.network is None:
        return found
    arn = f"{_ARN}:loadbalancer/net/{stack.network.name}/1"
    listeners = tuple(
        replace(
            each, arn=f"{_ARN}:listener/net/{stack.network.name}/1/{each.port}", forward=_forward(each.forward, ids)
        )
        for each in stack.network.listeners
    )
    groups = tuple(ids.get(each, each) for each in stack.network.security_groups)
    network = replace(stack.network, arn=arn, dns_name="front.example", listeners=listeners, security_groups=groups)
    balancer = found.balancers[0][1].arn
    return replace(
        found,
        networks=((FRONTEND, network),),
        tags={**found.tags, arn: stack.network.tags, **{each.arn: each.tags for each in listeners}},
        frontend_targets={
            ids[reference]: Target(balancer, group.targets[0].port)
            for reference, group in stack.network.target_groups.items()
        },
    )


def _attributes(found: Existing, arn: str) -> Mapping[str, str]:
    by_arn = {group.reference: group.attributes for _, group in found.target_groups}
    by_arn |= {network.arn: network.attributes for _, network in found.networks}
    for _, balancer in found.balancers:
        by_arn |= {balancer.arn: balancer.attributes, **{each.arn: each.attributes for each in balancer.listeners}}
    return by_arn[arn]


# --- rows ---------------------------------------------------------------------------------------------------------


def _settings(row: dict[str, Any]) -> Settings:
    return read_arguments(["--cluster-name=lockgate", *row.get("flags", ())], Settings()).settings


def _stack(row: dict[str, Any], side: str, settings: Settings) -> Stack:
    """A side that is missing is a group whose Ingress is gone."""
    if row.get(side) is None:
        return Stack(GroupId("default", "web"))
    outcome = Row.of("changes", {"name": side, "flags": row.get("flags", ()), **row[side]}).build()
    [stack] = outcome.stacks
    return stack


def _touched(account: Existing, touched: dict[str, Any]) -> Existing:
    """What somebody did in the account besides the controller."""
    for word, value in touched.items():
        match word, account.balancers:
            case "tags", [(_, balancer)]:
                account = replace(account, tags={**account.tags, balancer.arn: {**account.tags[balancer.arn], **value}})
            case "attributes", [(_, balancer)]:
                account = replace(account, attributes={**account.attributes, balancer.arn: value})
            case "rule", [(resource, balancer)]:
                listener = balancer.listeners[0]
                rule = Rule(int(value), (), listener.default_actions, arn=f"{listener.arn}/foreign")
                listener = replace(listener, rules=(*listener.rules, rule))
                account = replace(
                    account,
                    balancers=((resource, replace(balancer, listeners=(listener, *balancer.listeners[1:]))),),
                )
            case "ssh_from", _:
                [(resource, group)] = account.security_groups
                permissions = (
                    *group.permissions,
                    ForeignPermission("tcp", 22, 23, "cidr", value),
                    Permission(22, "cidr", value),
                )
                account = replace(account, security_groups=((resource, replace(group, permissions=permissions)),))
            case "web_acl", _:
                account = replace(account, web_acl=value)
            case "shield_subscribed", _:
                account = replace(account, shield_subscribed=value)
            case "protection", _:
                account = replace(account, protection=Protection("p-9", value))
            case "no_target", _:
                account = replace(account, frontend_targets={})
            case "pending_certificates", _:
                pending = ((reference, replace(each, issued=False)) for reference, each in account.certificates)
                account = replace(account, certificates=tuple(pending))
            case other, _:
                raise AssertionError(f"a word that this table does not know: {other}")
    return account
