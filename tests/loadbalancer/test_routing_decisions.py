"""Decisions by table: rules and requests in ELBv2's words, the rule met and what comes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from lockgate.loadbalancer import elbv2
from lockgate.loadbalancer.model import LoadBalancer
from lockgate.loadbalancer.routing import (
    Answered,
    Blocked,
    Forwarded,
    LoginReturns,
    NoListener,
    Redirected,
    Refused,
    Request,
    decide,
)
from lockgate.loadbalancer.waf.reader import References, web_acl

CASES = Path(__file__).parents[1] / "cases" / "loadbalancer" / "routing"
BALANCER = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/lab/1"
LISTENER = f"{BALANCER}/listener"


def rows(file: str) -> list[Any]:
    cases = yaml.safe_load((CASES / file).read_text())
    return [
        pytest.param(case, request, id=f"{case['case']}-{at}")
        for case in cases
        for at, request in enumerate(case["requests"])
    ]


def balancer(rules: list[dict[str, Any]], case: dict[str, Any]) -> LoadBalancer:
    forwarded = {"Type": "forward", "TargetGroupArn": "arn:web"}
    listener = {"ListenerArn": LISTENER, "Port": 80, "Protocol": "HTTP", **case.get("listener", {})}
    listener["DefaultActions"] = [case.get("action", forwarded)]
    answers = elbv2.Answers(
        load_balancers=[{"LoadBalancerArn": BALANCER, "LoadBalancerName": "lab", "Type": "application"}],
        load_balancer_attributes={
            BALANCER: [{"Key": key, "Value": value} for key, value in case.get("attributes", {}).items()]
        },
        listeners={BALANCER: [listener]},
        rules={LISTENER: rules},
        target_groups=[
            {"TargetGroupArn": f"arn:{name}", "TargetGroupName": name, "Port": 80, "ProtocolVersion": version}
            for name, version in (("web", "HTTP1"), ("api", "HTTP1"), ("grpc", "GRPC"))
        ],
    )
    groups = {group["TargetGroupArn"]: elbv2.target_group(group, answers) for group in answers.target_groups}
    return elbv2.load_balancer(answers.load_balancers[0], groups, answers)


def request_of(row: dict[str, Any], port: int) -> Request:
    return Request(
        method=row.get("method", "GET"),
        target=row.get("path", "/"),
        host=row.get("host", "a.example.com"),
        headers=tuple(row.get("headers", {}).items()),
        source=row.get("source", "127.0.0.1"),
        protocol=row.get("protocol", "HTTP/1.1"),
        port=port,
    )


@pytest.mark.parametrize(("case", "row"), rows("conditions.yaml"))
def test_the_rule_that_a_request_meets(case: dict[str, Any], row: dict[str, Any]) -> None:
    forwarded = {"Type": "forward", "TargetGroupArn": "arn:web"}
    rules = [
        {"RuleArn": name, "Priority": str(at), "Conditions": conditions, "Actions": [forwarded]}
        for at, (name, conditions) in enumerate(case["rules"].items(), start=1)
    ]
    decision = decide(balancer(rules, case), request_of(row, 80))
    assert (decision.rule.arn if decision.rule else "default") == row["rule"]
    mismatches = [str(mismatch) for _, mismatch in decision.earlier]
    for reason in row.get("because", []):
        assert reason in mismatches


@pytest.mark.parametrize(("case", "row"), rows("outcomes.yaml"))
def test_what_comes_of_a_request(case: dict[str, Any], row: dict[str, Any]) -> None:
    port = case.get("listener", {}).get("Port", 80)
    everything = [{"Field": "path-pattern", "Values": ["*"]}]
    actions = [*case.get("before", []), case.get("action")]
    rule = {"RuleArn": "r", "Priority": "1", "Conditions": everything, "Actions": actions}
    rule["Transforms"] = case.get("transforms", [])
    decision = decide(balancer([rule], case), request_of(row, port))
    if "first" in row:
        assert [type(each).__name__ for each in decision.authentication] == row["first"]
    outcome = decision.outcome
    match outcome:
        case Refused(status):
            assert status == row["status"]
        case Redirected(status, location):
            assert (status, location) == (row["status"], row["location"])
        case Answered(status, _, body):
            assert (status, body) == (row["status"], row["body"])
        case Forwarded(shares, sent):
            assert "status" not in row
            if "shares" in row:
                assert {share.target_group: share.weight for share in shares} == row["shares"]
            assert {name: ",".join(sent.all(name.lower())) for name in row.get("sees", {})} == row.get("sees", {})
            assert sent.host == row.get("sees_host", sent.host)
            assert sent.target == row.get("sees_path", sent.target)
        case LoginReturns():
            assert row["login_returns"]
        case NoListener() | Blocked():
            raise AssertionError(outcome)


def test_a_port_without_a_listener() -> None:
    assert decide(balancer([], {}), Request(port=8443)).outcome == NoListener(8443)


def test_the_certificate_is_chosen_by_server_name() -> None:
    names = {"arn:a": ("a.example.com",), "arn:b": ("*.example.com", "example.com")}
    listener = {"Port": 443, "Protocol": "HTTPS", "Certificates": [{"CertificateArn": "arn:a", "IsDefault": True}]}
    made = balancer([], {"listener": listener})
    from dataclasses import replace

    made = replace(made, listeners=(replace(made.listeners[0], certificates=("arn:a", "arn:b")),))
    chosen = {
        name: decide(made, Request(port=443, server_name=name), names=names).certificate
        for name in ("a.example.com", "B.example.com", "example.com", "x.b.example.com", "other.org", None)
    }
    assert chosen == {
        "a.example.com": "arn:a",
        "B.example.com": "arn:b",
        "example.com": "arn:b",
        "x.b.example.com": "arn:a",
        "other.org": "arn:a",
        None: "arn:a",
    }


def _with_web_acl(*rules: dict[str, Any]) -> LoadBalancer:
    answer = {"Name": "lab", "ARN": "arn:lab", "DefaultAction": {"Allow": {}}, "Rules": rules}
    return replace(balancer([], {"action": FIXED}), web_acl=web_acl(answer, References()))


FIXED = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}
ADMIN = {
    "ByteMatchStatement": {"SearchString": "/admin", "PositionalConstraint": "EXACTLY", "FieldToMatch": {"UriPath": {}}}
}
SQL: dict[str, Any] = {"SqliMatchStatement": {"FieldToMatch": {"QueryString": {}}}}


def test_a_web_acl_decides_before_the_rules_and_says_by_which_of_its_own() -> None:
    made = _with_web_acl({"Name": "closed", "Priority": 1, "Statement": ADMIN, "Action": {"Block": {}}})
    blocked = decide(made, Request(target="/admin", host="a.example.com"))
    assert isinstance(blocked.outcome, Blocked)
    assert (blocked.outcome.response.status, blocked.outcome.rule) == (403, "closed")
    assert "<h1>403 Forbidden</h1>" in blocked.outcome.body
    assert blocked.priority is None
    assert isinstance(decide(made, Request(host="a.example.com")).outcome, Answered)


def test_rules_that_cannot_be_evaluated_are_blind_spots() -> None:
    made = _with_web_acl({"Name": "sql", "Priority": 1, "Statement": SQL, "Action": {"Block": {}}})
    decision = decide(made, Request(host="a.example.com"))
    assert isinstance(decision.outcome, Answered)
    assert decision.waf is not None
    assert [spot.rule for spot in decision.waf.blind_spots] == ["sql"]


def test_the_method_trace_is_refused_before_waf_is_asked() -> None:
    made = _with_web_acl(
        {"Name": "all", "Priority": 1, "Statement": {"NotStatement": {"Statement": ADMIN}}, "Action": {"Block": {}}}
    )
    assert decide(made, Request("TRACE", host="a.example.com")).outcome == Refused(
        405, "the method TRACE is not allowed"
    )
    assert isinstance(decide(made, Request(target="/" + "x" * 20000, host="a")).outcome, Blocked)


def test_headers_that_waf_inserts_are_sent_instead_of_the_clients() -> None:
    inserted = {"Count": {"CustomRequestHandling": {"InsertHeaders": [{"Name": "team", "Value": "blue"}]}}}
    made = _with_web_acl({"Name": "count", "Priority": 1, "Statement": ADMIN, "Action": inserted})
    forward = {"Type": "forward", "TargetGroupArn": "arn:web"}
    made = replace(balancer([], {"action": forward}), web_acl=made.web_acl)
    sent = decide(made, Request(target="/admin", host="a.example.com", headers=(("X-Amzn-Waf-Team", "red"),))).outcome
    assert isinstance(sent, Forwarded)
    assert sent.request.all("x-amzn-waf-team") == ("blue",)
