"""The fewest calls between two lists of rules: by table, and that they lead where they ought to, by property."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.ingress.rule_changes import rule_changes, same_actions
from lockgate.loadbalancer.model import (
    AuthenticateCognito,
    AuthenticateOidc,
    Forward,
    HostHeader,
    PathPattern,
    Redirect,
    Rewrite,
    Rule,
    WeightedTargetGroup,
)

ROWS = yaml.safe_load((Path(__file__).parents[1] / "cases/ingress/rule_changes.yaml").read_text())


def _rule(text: str, *, exists: bool = False) -> Rule:
    priority, path, _, group = text.split(" ")
    return Rule(
        int(priority),
        (PathPattern((path,)),),
        (Forward((WeightedTargetGroup(group),)),),
        arn=f"rule-{priority}" if exists else "",
    )


def _words(rule: Rule) -> str:
    [path], [action] = rule.conditions, rule.actions
    assert isinstance(path, PathPattern)
    assert isinstance(action, Forward)
    return f"{path.values[0]} -> {action.target_groups[0].target_group}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_changes(row: dict[str, Any]) -> None:
    changes = rule_changes([_rule(text) for text in row["desired"]], [_rule(text, exists=True) for text in row["has"]])
    calls = []
    if changes.priorities:
        calls.append("priorities " + " ".join(f"{arn.removeprefix('rule-')}>{new}" for arn, new in changes.priorities))
    calls += [f"modify {found.priority}: {_words(rule)}" for rule, found in changes.modify]
    calls += [f"create {rule.priority} {_words(rule)}" for rule in changes.create]
    calls += [f"delete {rule.priority} {_words(rule)}" for rule in changes.delete]
    assert calls == row["calls"]


CONTENTS = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("xy")), max_size=8)


@settings(deadline=None, derandomize=True)
@given(CONTENTS, CONTENTS, st.randoms(use_true_random=False))
def test_the_changes_reach_the_desired_state(has: Any, wanted: Any, random: Any) -> None:
    priorities = random.sample(range(1, 20), len(has))
    existing = [_rule(f"{p} /{path} -> {group}", exists=True) for p, (path, group) in zip(priorities, has, strict=True)]
    desired = [_rule(f"{p} /{path} -> {group}") for p, (path, group) in enumerate(wanted, 1)]
    changes = rule_changes(desired, existing)

    listener = {rule.arn: (rule.priority, _words(rule)) for rule in existing}
    for arn, priority in changes.priorities:
        listener[arn] = (priority, listener[arn][1])
    assert len({priority for priority, _ in listener.values()}) == len(listener), "one call, no priority twice"
    for rule, found in changes.modify:
        listener[found.arn] = (listener[found.arn][0], _words(rule))
    for number, rule in enumerate(changes.create):
        assert rule.priority not in {priority for priority, _ in listener.values()}, "free when it is created"
        listener[f"new-{number}"] = (rule.priority, _words(rule))
    for rule in changes.delete:
        del listener[rule.arn]
    assert sorted(listener.values()) == [(rule.priority, _words(rule)) for rule in desired]
    assert len(changes.kept) + len(changes.create) == len(desired)


def test_what_does_not_make_rules_differ() -> None:
    host, path = HostHeader(("a",)), PathPattern(("/",))
    two = (WeightedTargetGroup("a", 1), WeightedTargetGroup("b", 2))
    rewrites = (Rewrite("host-header", "a", "b"), Rewrite("url", "a", "b"))
    desired = Rule(1, (host, path), (Forward(two),), rewrites)
    existing = Rule(1, (path, host), (Forward(two[::-1]),), rewrites[::-1], arn="r")
    assert rule_changes([desired], [existing]).modify == ()


def test_what_makes_rules_differ() -> None:
    base = Rule(1, (PathPattern(("/a", "/b")),), (Redirect("HTTP_301"),), arn="r")
    for other in (
        Rule(1, (PathPattern(("/b", "/a")),), (Redirect("HTTP_301"),)),
        Rule(1, (PathPattern(("/a", "/b")),), (Redirect("HTTP_302"),)),
        Rule(1, (PathPattern(("/a", "/b")),), (Redirect("HTTP_301"),), (Rewrite("url", "a", "b"),)),
    ):
        assert len(rule_changes([other], [base]).modify) == 1


def test_a_secret_that_the_api_does_not_return_is_no_difference() -> None:
    def login(secret: str, client: str = "id") -> AuthenticateOidc:
        return AuthenticateOidc("i", "a", "t", "u", client, client_secret=secret)

    assert same_actions([login("secret")], [login("")])
    assert not same_actions([login("secret")], [login("secret", "other")])
    asked = {"lang": "nl", "prompt": "login"}
    pool = [AuthenticateCognito("arn", "id", "domain", extra_parameters=asked)]
    assert same_actions(pool, [replace(pool[0], extra_parameters=dict(reversed(asked.items())))])
    assert not same_actions(pool, [replace(pool[0], extra_parameters={"lang": "nl"})])
    one = [Forward((WeightedTargetGroup("a", 5),))]
    assert same_actions(one, [Forward((WeightedTargetGroup("a", 1),))]), "the weight of a single group says nothing"
    assert not same_actions(one, [Forward((WeightedTargetGroup("a", 5),), 60)])
