"""Rules of listeners, by priority. The default rule is part of the listener."""

from __future__ import annotations

from collections import Counter

from lockgate.embedded.aws.elbv2 import actions, conditions, tags
from lockgate.embedded.aws.elbv2.load_balancers import paged
from lockgate.embedded.aws.elbv2.state import Listener, Rule, Shape, State
from lockgate.embedded.aws.protocol import Refusal, Result
from lockgate.loadbalancer import quotas


def create(state: State, given: Shape) -> Result:
    listener = state.listener(given["ListenerArn"])
    if listener.protocol == "TCP":
        raise Refusal("OperationNotPermitted", "Rules are unsupported for Network Load Balancer listeners")
    priority = given["Priority"]
    tested = conditions.complete(given["Conditions"])
    rewrites = conditions.transforms(given.get("Transforms") or [])
    done = _actions(state, listener, given["Actions"])
    made_of_tags = tags.read(given.get("Tags", ()))
    if any(rule.priority == priority for rule in state.rules_of(listener.arn)):
        raise Refusal("PriorityInUse", f"Priority '{priority}' is currently in use")
    balancer = listener.load_balancer
    if state.count_rules(balancer) >= state.quotas[quotas.RULES]:
        raise Refusal("TooManyRules", f"The maximum number of rules has been reached on load balancer '{balancer}'")
    path = listener.arn.rpartition(":listener/")[2]
    arn = state.arn(f"listener-rule/{path}/{state.new_id(f'listener-rule/{path}/{priority}')}")
    made = Rule(arn, listener.arn, priority, tested, done, rewrites, made_of_tags)
    state.add_rule(made)
    return {"Rules": [shown(made)]}


def describe(state: State, given: Shape) -> Result:
    arns, listener = given.get("RuleArns"), given.get("ListenerArn")
    if bool(arns) == bool(listener):
        raise Refusal("ValidationError", "You must specify either listener rule ARNs or a listener ARN")
    if arns:
        defaults = {item.default_rule: item for item in state.listeners.values()}
        found = [shown_default(defaults[arn]) if arn in defaults else shown(state.rule(arn)) for arn in arns]
    else:
        owner = state.listener(given["ListenerArn"])
        found = [*(shown(rule) for rule in state.rules_of(owner.arn)), shown_default(owner)]
    items, marker = paged(found, given)
    return {"Rules": items, **marker}


def modify(state: State, given: Shape) -> Result:
    arn = given["RuleArn"]
    for listener in state.listeners.values():
        if listener.default_rule == arn:
            return _modify_default(state, listener, given)
    rule = state.rule(arn)
    if not any(given.get(part) for part in ("Conditions", "Actions", "Transforms", "ResetTransforms")):
        raise Refusal("ValidationError", "Either conditions or actions must be specified")
    if given.get("Transforms") and given.get("ResetTransforms"):
        raise Refusal("ValidationError", "Transforms cannot be specified and reset at the same time")
    tested = conditions.complete(given["Conditions"]) if given.get("Conditions") else rule.conditions
    rewrites = conditions.transforms(given["Transforms"]) if given.get("Transforms") else rule.transforms
    if given.get("ResetTransforms"):
        rewrites = []
    done = rule.actions
    if given.get("Actions"):
        done = _actions(state, state.listeners[rule.listener], given["Actions"], rule.actions)
    rule.conditions, rule.transforms = tested, rewrites
    state.set_actions(rule, done)
    return {"Rules": [shown(rule)]}


def delete(state: State, given: Shape) -> Result:
    arn = given["RuleArn"]
    if any(listener.default_rule == arn for listener in state.listeners.values()):
        raise Refusal("OperationNotPermitted", f"Default rule '{arn}' cannot be deleted")
    state.remove_rule(state.rule(arn))
    return {}


def set_priorities(state: State, given: Shape) -> Result:
    """Sets all priorities at once, so that rules can be swapped."""
    priorities: dict[str, int] = {}
    for pair in given["RulePriorities"]:
        arn = pair.get("RuleArn", "")
        if any(listener.default_rule == arn for listener in state.listeners.values()):
            raise Refusal("OperationNotPermitted", f"Default rule '{arn}' cannot have its priority modified")
        state.rule(arn)
        if arn in priorities:
            raise Refusal("ValidationError", f"Listener rule '{arn}' was provided multiple times")
        if "Priority" not in pair:
            raise Refusal("ValidationError", f"A priority must be specified for listener rule '{arn}'")
        priorities[arn] = pair["Priority"]
    listeners = {state.rules[arn].listener for arn in priorities}
    if len(listeners) > 1:
        raise Refusal("ValidationError", "All rules must belong to the same listener")
    for priority, count in Counter(priorities.values()).items():
        if count > 1:
            raise Refusal("ValidationError", f"Priority '{priority}' was provided multiple times")
    for listener in listeners:
        for rule in state.rules_of(listener):
            if rule.arn not in priorities and rule.priority in priorities.values():
                raise Refusal("PriorityInUse", f"Priority '{rule.priority}' is currently in use")
    for arn, priority in priorities.items():
        state.rules[arn].priority = priority
    return {"Rules": [shown(state.rules[arn]) for arn in priorities]}


def shown(rule: Rule) -> Shape:
    return {
        "RuleArn": rule.arn,
        "Priority": str(rule.priority),
        "Conditions": rule.conditions,
        "Actions": actions.shown(rule.actions),
        "IsDefault": False,
        "Transforms": rule.transforms,
    }


def shown_default(listener: Listener) -> Shape:
    return {
        "RuleArn": listener.default_rule,
        "Priority": "default",
        "Conditions": [],
        "Actions": actions.shown(listener.default_actions),
        "IsDefault": True,
        "Transforms": [],
    }


def _modify_default(state: State, listener: Listener, given: Shape) -> Result:
    if any(given.get(part) for part in ("Conditions", "Transforms", "ResetTransforms")):
        raise Refusal("OperationNotPermitted", "The default rule can have neither conditions nor transforms")
    done = _actions(state, listener, given.get("Actions") or [], listener.default_actions)
    state.set_actions(listener, done)
    return {"Rules": [shown_default(listener)]}


def _actions(state: State, listener: Listener, given: list[Shape], current: list[Shape] | None = None) -> list[Shape]:
    return actions.complete(
        state, given, load_balancer=listener.load_balancer, protocol=listener.protocol, current=current or ()
    )
