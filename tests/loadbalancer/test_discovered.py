"""The discovered ELBv2 state after a partial read: unchanged values keep their identity."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lockgate.loadbalancer.discovered import Discovered
from lockgate.loadbalancer.elbv2 import Answers, UnknownShape


def answers(groups: dict[str, int], balancers: dict[str, str], conditions: Any = ()) -> Answers:
    """Target groups with their ports, load balancers with the target group that their one rule names."""
    return Answers(
        load_balancers=[
            {"LoadBalancerArn": arn, "LoadBalancerName": arn, "DNSName": f"{arn}.example"} for arn in balancers
        ],
        listeners={
            arn: [{"ListenerArn": f"{arn}/l", "Port": 80, "Protocol": "HTTP", "DefaultActions": []}]
            for arn in balancers
        },
        rules={
            f"{arn}/l": [
                {
                    "RuleArn": f"{arn}/r",
                    "Priority": "1",
                    "Conditions": conditions,
                    "Actions": [{"Type": "forward", "TargetGroupArn": group}],
                }
            ]
            for arn, group in balancers.items()
        },
        target_groups=[{"TargetGroupArn": arn, "TargetGroupName": arn, "Port": port} for arn, port in groups.items()],
    )


def no_fault(arn: str, fault: UnknownShape) -> None:
    raise AssertionError(arn) from fault


ALL = Discovered().after(answers({"a": 1, "b": 2}, {"one": "a", "two": "b"}), None, no_fault)


def test_what_is_read_again_as_it_was_is_the_same_object() -> None:
    again = ALL.after(answers({"a": 1, "b": 2}, {"one": "a", "two": "b"}), None, no_fault)
    for arn in ("one", "two"):
        assert again.load_balancers[arn] is ALL.load_balancers[arn]
    for arn in ("a", "b"):
        assert again.target_groups[arn] is ALL.target_groups[arn]


def test_network_load_balancers_are_known_apart_and_use_their_target_groups() -> None:
    made = Answers(
        load_balancers=[{"LoadBalancerArn": "net", "LoadBalancerName": "net", "Type": "network"}],
        listeners={"net": [{"ListenerArn": "l", "Port": 80, "Protocol": "TCP", "DefaultActions": [
            {"Type": "forward", "TargetGroupArn": "b"}]}]},
        target_groups=[{"TargetGroupArn": "b", "TargetGroupName": "b", "Protocol": "TCP", "Port": 2}],
    )  # fmt: skip
    both = ALL.after(made, {"net", "b"}, no_fault)
    assert list(both.load_balancers) == ["one", "two"]
    assert list(both.network_load_balancers["net"].target_groups) == ["b"]
    assert [each.arn for each in both.all] == ["one", "two", "net"]
    again = both.after(made, {"net"}, no_fault)
    assert again.network_load_balancers["net"] is both.network_load_balancers["net"]
    faulty = replace(made, listeners={"net": [{**made.listeners["net"][0], "Protocol": "QUIC"}]})
    reported: list[str] = []
    assert both.after(faulty, {"net"}, lambda arn, _: reported.append(arn)).network_load_balancers == (
        both.network_load_balancers
    )
    assert reported == ["net"]
    assert list(both.after(Answers(), {"net"}, no_fault).network_load_balancers) == []


def test_a_changed_target_group_changes_its_load_balancer_and_no_other() -> None:
    later = ALL.after(answers({"a": 7}, {}), {"a"}, no_fault)
    assert later.load_balancers["one"].target_groups["a"].port == 7
    assert later.load_balancers["two"] is ALL.load_balancers["two"]
    assert later.target_groups["b"] is ALL.target_groups["b"]


def test_a_changed_load_balancer_leads_to_target_groups_that_were_not_read() -> None:
    later = ALL.after(answers({}, {"one": "b"}), {"one"}, no_fault)
    assert list(later.load_balancers["one"].target_groups) == ["b"]
    assert later.load_balancers["one"].target_groups["b"] is ALL.target_groups["b"]


def test_what_was_asked_for_and_not_answered_is_gone() -> None:
    assert list(ALL.after(answers({}, {}), {"one"}, no_fault).load_balancers) == ["two"]
    without = ALL.after(answers({}, {}), {"a"}, no_fault)
    assert list(without.target_groups) == ["b"]
    assert without.load_balancers["one"].target_groups == {}
    assert ALL.after(answers({}, {}), None, no_fault) == Discovered()


def test_a_referenced_target_group_is_missing_until_it_is_read() -> None:
    early = ALL.after(answers({}, {"one": "new"}), {"one"}, no_fault)
    assert early.missing == {"new"}
    later = early.after(answers({"new": 9}, {}), {"new"}, no_fault)
    assert later.missing == frozenset()
    assert later.load_balancers["one"].target_groups["new"].port == 9


def test_a_load_balancer_that_cannot_be_read_stays_as_it_was_and_follows_its_target_groups() -> None:
    reported = []
    broken = answers({"a": 5}, {"one": "a", "new": "a"}, conditions=[{"Field": "phase-of-moon"}])
    later = ALL.after(broken, {"a", "one", "new"}, lambda arn, _fault: reported.append(arn))
    assert reported == ["one", "new"]
    assert list(later.load_balancers) == ["one", "two"]
    assert later.load_balancers["one"].listeners is ALL.load_balancers["one"].listeners
    assert later.load_balancers["one"].target_groups["a"].port == 5
