"""The minimal calls that bring a listener's rules to the desired state: a decision on two lists of rules.

Source: aws-load-balancer-controller `pkg/deploy/elbv2/listener_rule_synthesizer.go`, `pkg/equality/elbv2/`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lockgate.loadbalancer.model import (
    Action,
    AuthenticateCognito,
    AuthenticateOidc,
    Forward,
    Rule,
    WeightedTargetGroup,
)

LAST_PRIORITY: Final = 50000


@dataclass(frozen=True, slots=True)
class RuleChanges:
    """In order of execution: priorities in one call, then modify, create, delete.

    `kept` pairs every desired rule that exists with its ARN, for tags. `modify` pairs the desired rule with the
    existing one. Priorities are by ARN.
    """

    priorities: tuple[tuple[str, int], ...] = ()
    modify: tuple[tuple[Rule, Rule], ...] = ()
    create: tuple[Rule, ...] = ()
    delete: tuple[Rule, ...] = ()
    kept: tuple[tuple[Rule, str], ...] = ()


def rule_changes(desired: Sequence[Rule], existing: Sequence[Rule]) -> RuleChanges:
    """`existing` are all rules of the listener except the default rule, whoever created them. Target groups are
    ARNs."""
    free: dict[Hashable, list[Rule]] = {}
    for rule in sorted(existing, key=lambda rule: rule.priority):
        free.setdefault(_content(rule), []).append(rule)
    moved: list[tuple[str, int]] = []
    kept: list[tuple[Rule, str]] = []
    taken: set[str] = set()
    unmatched: list[Rule] = []
    for rule in desired:
        if equal := free.get(_content(rule)):
            found = equal.pop(0)
            taken.add(found.arn)
            kept.append((rule, found.arn))
            if found.priority != rule.priority:
                moved.append((found.arn, rule.priority))
        else:
            unmatched.append(rule)
    left = {rule.priority: rule for rule in existing if rule.arn not in taken}
    modify: list[tuple[Rule, Rule]] = []
    create: list[Rule] = []
    for rule in unmatched:
        if (found_at := left.pop(rule.priority, None)) is not None:
            modify.append((rule, found_at))
            kept.append((rule, found_at.arn))
        else:
            create.append(rule)
    delete = sorted(left.values(), key=lambda rule: rule.priority)
    # Rules to be deleted may occupy priorities that kept rules need: they move to the end, in order.
    parked = [
        (rule.arn, LAST_PRIORITY - offset)
        for offset, rule in enumerate(reversed(delete))
        if moved and rule.priority != LAST_PRIORITY - offset
    ]
    return RuleChanges((*parked, *moved), tuple(modify), tuple(create), tuple(delete), tuple(kept))


def same_actions(first: Iterable[Action], second: Iterable[Action]) -> bool:
    return [_comparable(action) for action in first] == [_comparable(action) for action in second]


def _content(rule: Rule) -> Hashable:
    """The identity of a rule: the order of conditions is irrelevant, that of their values is not."""
    conditions = tuple(sorted(map(repr, rule.conditions)))
    transforms = tuple(
        (each.target, each.regex, each.replace) for each in sorted(rule.transforms, key=lambda each: each.target)
    )
    return (conditions, tuple(repr(_comparable(action)) for action in rule.actions), transforms)


def _comparable(action: Action) -> Action:
    match action:
        case Forward(target_groups, _) if len(target_groups) == 1:
            only = WeightedTargetGroup(target_groups[0].target_group)
            return replace(action, target_groups=(only,))
        case Forward(target_groups, _):
            return replace(action, target_groups=tuple(sorted(target_groups, key=lambda group: group.target_group)))
        case AuthenticateOidc():  # the API never returns the secret
            return replace(action, client_secret="", extra_parameters=dict(sorted(action.extra_parameters.items())))
        case AuthenticateCognito():
            return replace(action, extra_parameters=dict(sorted(action.extra_parameters.items())))
        case _:
            return action
