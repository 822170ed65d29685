"""ELBv2's answers to values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lockgate.loadbalancer import elbv2
from lockgate.loadbalancer.discovered import Discovered
from lockgate.loadbalancer.model import HealthCheck, LoadBalancer, Target
from lockgate.loadbalancer.network import NetworkLoadBalancer, SubnetMapping

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "loadbalancer" / "elbv2" / "rules.yaml").read_text())
FORWARD = {"Type": "forward", "TargetGroupArn": "arn:web"}


def read(**answers: Any) -> tuple[LoadBalancer, ...]:
    balancer = {"LoadBalancerArn": "lb", "LoadBalancerName": "lab", "Type": "application", "DNSName": "lab.example"}
    discovered = Discovered().after(elbv2.Answers(**{"load_balancers": [balancer], **answers}), None, refuse)
    return tuple(discovered.load_balancers.values())


def refuse(arn: str, fault: elbv2.UnknownShape) -> None:
    raise fault


def read_network(listener: dict[str, Any]) -> NetworkLoadBalancer:
    zones = [
        {"SubnetId": "a", "LoadBalancerAddresses": [{"IpAddress": "192.0.2.1", "AllocationId": "eipalloc-1"}]},
        {"SubnetId": "b", "LoadBalancerAddresses": []},
    ]
    balancer = {"LoadBalancerArn": "nlb", "LoadBalancerName": "n", "Type": "network", "AvailabilityZones": zones}
    group = {"TargetGroupArn": "arn:web", "TargetGroupName": "web", "Protocol": "TCP", "TargetType": "alb"}
    check = {"HealthCheckProtocol": "TCP", "HealthCheckTimeoutSeconds": 10}
    answers = elbv2.Answers(
        load_balancers=[balancer],
        listeners={
            "nlb": [{"ListenerArn": "l", "Port": 80, "Protocol": "TCP", "DefaultActions": [FORWARD]} | listener]
        },
        listener_attributes={"l": [{"Key": "tcp.idle_timeout.seconds", "Value": "60"}]},
        target_groups=[group | check],
    )
    (made,) = Discovered().after(answers, None, refuse).network_load_balancers.values()
    return made


def test_a_network_load_balancer() -> None:
    balancer = read_network({})
    assert balancer.subnets == (SubnetMapping("a", allocation_id="eipalloc-1"), SubnetMapping("b"))
    (listener,) = balancer.listeners
    assert [each.target_group for each in listener.forward.target_groups] == ["arn:web"]
    assert listener.attributes == {"tcp.idle_timeout.seconds": "60"}
    group = balancer.target_groups["arn:web"]
    assert (group.protocol, group.target_type) == ("TCP", "alb")
    assert group.health_check == HealthCheck(protocol="TCP", path="", matcher="", timeout_seconds=10)


@pytest.mark.parametrize(
    ("listener", "fault"),
    [
        ({"Protocol": "QUIC"}, "listener with the protocol 'QUIC'"),
        ({"DefaultActions": []}, r"actions of a network load balancer's listener: \(\)"),
    ],
)
def test_a_network_listener_of_another_kind_is_not_guessed_at(listener: dict[str, Any], fault: str) -> None:
    with pytest.raises(elbv2.UnknownShape, match=fault):
        read_network(listener)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_rules(case: dict[str, Any]) -> None:
    listener = {"ListenerArn": "l", "Port": 80, "Protocol": "HTTP", "DefaultActions": [FORWARD]}
    answers = {"listeners": {"lb": [listener]}, "rules": {"l": [{"RuleArn": "r", **case["rule"]}]}}
    if "fails" in case:
        with pytest.raises(elbv2.UnknownShape, match=case["fails"]):
            read(**answers)
        return
    (balancer,) = read(**answers)
    (rule,) = balancer.listeners[0].rules
    assert rule.priority == int(case["rule"]["Priority"])
    assert [str(each) for each in (*rule.conditions, *rule.actions, *rule.transforms)] == case["reads"]


def test_listeners_ascend_by_port_and_rules_by_priority_without_the_default_one() -> None:
    listeners = [
        {"ListenerArn": f"l{port}", "Port": port, "Protocol": "HTTP", "DefaultActions": [FORWARD]} for port in (443, 80)
    ]
    rules = [
        {"RuleArn": at, "Priority": at, "Conditions": [], "Actions": [FORWARD], "IsDefault": at == "default"}
        for at in ("default", "20", "3")
    ]
    (balancer,) = read(listeners={"lb": listeners}, rules={"l80": rules})
    assert [each.port for each in balancer.listeners] == [80, 443]
    assert [rule.priority for rule in balancer.listeners[0].rules] == [3, 20]


def test_the_default_certificate_comes_first_and_once() -> None:
    listener = {
        "ListenerArn": "l",
        "Port": 443,
        "Protocol": "HTTPS",
        "SslPolicy": "p",
        "Certificates": [{"CertificateArn": "b"}],
        "DefaultActions": [FORWARD],
    }
    certificates = {"l": [{"CertificateArn": arn, "IsDefault": arn == "b"} for arn in ("a", "b", "c")]}
    (balancer,) = read(listeners={"lb": [listener]}, listener_certificates=certificates)
    assert balancer.listeners[0].certificates == ("b", "a", "c")


def test_only_target_groups_that_are_referred_to_belong_to_a_load_balancer() -> None:
    listener = {"ListenerArn": "l", "Port": 80, "Protocol": "HTTP", "DefaultActions": [FORWARD]}
    groups = [{"TargetGroupArn": f"arn:{name}", "TargetGroupName": name, "Port": 8080} for name in ("web", "api")]
    (balancer,) = read(listeners={"lb": [listener]}, target_groups=groups)
    assert list(balancer.target_groups) == ["arn:web"]


def test_targets_take_their_groups_port_and_those_that_drain_are_no_longer_registered() -> None:
    health: list[dict[str, Any]] = [
        {"Target": {"Id": "i-1", "Port": 30000}, "TargetHealth": {"State": "healthy"}},
        {"Target": {"Id": "i-2"}, "TargetHealth": {"State": "initial"}},
        {
            "Target": {"Id": "i-3", "Port": 1},
            "TargetHealth": {"State": "draining", "Reason": "Target.DeregistrationInProgress"},
        },
    ]
    group = {"TargetGroupArn": "g", "TargetGroupName": "g", "Port": 8080, "HealthCheckPort": "9", "Matcher": {}}
    made = elbv2.target_group(group, elbv2.Answers(target_health={"g": health}))
    assert made.targets == (Target("i-1", 30000), Target("i-2", 8080))
    assert (made.health_check.port, made.health_check.matcher) == ("9", "200")


def test_network_load_balancers_are_left_out() -> None:
    assert read(load_balancers=[{"LoadBalancerArn": "n", "LoadBalancerName": "n", "Type": "network"}]) == ()
