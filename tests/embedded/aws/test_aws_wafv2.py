"""WAFv2 through boto3: what it refuses, what it holds, and where a web ACL meets a load balancer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

import pytest
import yaml
from aws_lab import Lab, lab, refusal

TABLE = yaml.safe_load((Path(__file__).parents[2] / "cases/aws/wafv2_refusals.yaml").read_text())
VISIBLE = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "m"}
NONE = [{"Priority": 0, "Type": "NONE"}]
PATH: dict[str, Any] = {"UriPath": {}}
BY_PATH = {
    "ByteMatchStatement": {
        "SearchString": b"/",
        "PositionalConstraint": "STARTS_WITH",
        "FieldToMatch": PATH,
        "TextTransformations": NONE,
    }
}


@pytest.fixture(scope="module")
def running() -> Iterator[Lab]:
    with lab() as made:
        yield made


@pytest.fixture(scope="module")
def waf(running: Lab) -> Any:
    return running.client("wafv2")


def rule(statement: dict[str, Any], number: int = 0, **more: Any) -> dict[str, Any]:
    made = {"Name": f"r{number}", "Priority": number, "Statement": statement, "VisibilityConfig": VISIBLE}
    return made | ({} if "OverrideAction" in more else {"Action": {"Block": {}}}) | more


def web_acl(waf: Any, name: str, *rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    summary = waf.create_web_acl(
        Name=name, Scope="REGIONAL", DefaultAction={"Allow": {}}, Rules=list(rules), VisibilityConfig=VISIBLE, **more
    )["Summary"]
    return dict(summary)


def balancer(running: Lab, name: str, **more: Any) -> str:
    _, subnets, _ = running.run(running.api.default_vpc())
    made = running.client("elbv2").create_load_balancer(Name=name, Subnets=list(subnets[:2]), **more)
    return str(made["LoadBalancers"][0]["LoadBalancerArn"])


@pytest.fixture(scope="module")
def standing(running: Lab, waf: Any) -> dict[str, Any]:
    scope: dict[str, Any] = {"Scope": "REGIONAL"}
    regexes = [{"RegexString": "a"}]
    ip_set = waf.create_ip_set(Name="set", IPAddressVersion="IPV4", Addresses=["192.0.2.0/24"], **scope)["Summary"]
    patterns = waf.create_regex_pattern_set(Name="patterns", RegularExpressionList=regexes, **scope)["Summary"]
    by_set = {"IPSetReferenceStatement": {"ARN": ip_set["ARN"]}}
    group = waf.create_rule_group(
        Name="group", Capacity=10, VisibilityConfig=VISIBLE, Rules=[rule(by_set, Name="inside")], **scope
    )["Summary"]
    by_group = rule({"RuleGroupReferenceStatement": {"ARN": group["ARN"]}}, OverrideAction={"None": {}})
    by_patterns = {"ARN": patterns["ARN"], "FieldToMatch": PATH, "TextTransformations": NONE}
    acl = web_acl(waf, "acl", by_group, rule({"RegexPatternSetReferenceStatement": by_patterns}, 1))
    arn = balancer(running, "edge")
    waf.associate_web_acl(WebACLArn=acl["ARN"], ResourceArn=arn)
    named = {"acl": acl, "set": ip_set, "group": group, "patterns": patterns}
    return {
        "lb": arn,
        "nlb": balancer(running, "network", Type="network"),
        **{name: each["ARN"] for name, each in named.items()},
        **{f"{name}_id": each["Id"] for name, each in named.items()},
        **{f"{name}_token": each["LockToken"] for name, each in named.items()},
        "other_token": "00000000-0000-0000-0000-000000000000",
        "visible": VISIBLE,
        "none": NONE,
        "by_path": BY_PATH,
        "by_group": by_group,
        "costly": rule({"RegexPatternSetReferenceStatement": by_patterns}),
        "long": "x" * 201,
    }


def filled(value: Any, names: dict[str, Any]) -> Any:
    match value:
        case dict():
            return {key: filled(item, names) for key, item in value.items()}
        case list():
            return [filled(item, names) for item in value]
        case str() if value.startswith("$") and isinstance(names.get(value[1:]), dict | list):
            return names[value[1:]]
        case str():
            return Template(value).safe_substitute({key: text for key, text in names.items() if isinstance(text, str)})
        case _:
            return value


@pytest.mark.parametrize("row", TABLE["calls"], ids=lambda row: f"{row['call']}-{row.get('message') or row['code']}")
def test_what_is_refused(waf: Any, standing: dict[str, Any], row: dict[str, Any]) -> None:
    code, message = refusal(getattr(waf, row["call"]), **filled(row["with"], standing))
    assert code == row["code"]
    assert row.get("message", "") in message


@pytest.mark.parametrize("row", TABLE["rules"], ids=lambda row: row["message"])
def test_rules_that_are_refused(waf: Any, standing: dict[str, Any], row: dict[str, Any]) -> None:
    given = filled(row["rules"], standing)
    rules = [{"Name": f"r{at}", "Priority": at, "VisibilityConfig": VISIBLE, **each} for at, each in enumerate(given)]
    code, message = refusal(
        waf.create_web_acl,
        Name="refused",
        Scope="REGIONAL",
        DefaultAction={"Allow": {}},
        Rules=rules,
        VisibilityConfig=VISIBLE,
    )
    assert (code, row["message"] in message) == (row.get("code", "WAFInvalidParameterException"), True), message


@pytest.mark.parametrize("row", TABLE["capacities"], ids=lambda row: f"{next(iter(row['of']))}-{row['wcu']}")
def test_the_capacity_of_rules(waf: Any, standing: dict[str, Any], row: dict[str, Any]) -> None:
    statement = filled(row["of"], standing)
    grouped = next(iter(statement)) in ("RuleGroupReferenceStatement", "ManagedRuleGroupStatement")
    one = rule(statement, OverrideAction={"None": {}}) if grouped else rule(statement)
    assert waf.check_capacity(Scope="REGIONAL", Rules=[one])["Capacity"] == row["wcu"]


def test_a_web_acl_has_the_capacity_of_its_rules_and_5000_at_most(waf: Any, standing: dict[str, Any]) -> None:
    acl = waf.get_web_acl(Name="acl", Scope="REGIONAL", Id=standing["acl_id"])["WebACL"]
    assert acl["Capacity"] == 35
    many = [rule(standing["costly"]["Statement"], number) for number in range(201)]
    code, _ = refusal(
        waf.create_web_acl,
        Name="large",
        Scope="REGIONAL",
        DefaultAction={"Allow": {}},
        Rules=many,
        VisibilityConfig=VISIBLE,
    )
    assert code == "WAFLimitsExceededException"


def test_an_update_replaces_all_settings(waf: Any) -> None:
    bodies = {"sorry": {"ContentType": "TEXT_PLAIN", "Content": "sorry"}}
    made = web_acl(waf, "changing", rule(BY_PATH), Description="before", CustomResponseBodies=bodies)
    common = {"Name": "changing", "Scope": "REGIONAL", "Id": made["Id"]}
    nobody = {**common, "Name": "nobody", "LockToken": made["LockToken"]}
    code, _ = refusal(waf.update_web_acl, **nobody, DefaultAction={"Block": {}}, VisibilityConfig=VISIBLE)
    assert (code, len(waf.get_web_acl(**common)["WebACL"]["Rules"])) == ("WAFNonexistentItemException", 1)
    token = waf.update_web_acl(
        **common, DefaultAction={"Block": {}}, Rules=[], VisibilityConfig=VISIBLE, LockToken=made["LockToken"]
    )["NextLockToken"]
    acl = waf.get_web_acl(**common)
    assert acl["LockToken"] == token != made["LockToken"]
    assert (acl["WebACL"]["Rules"], acl["WebACL"]["DefaultAction"]) == ([], {"Block": {}})
    assert "CustomResponseBodies" not in acl["WebACL"]
    assert acl["WebACL"].get("Description", "") == ""
    assert refusal(waf.delete_web_acl, **common, LockToken=made["LockToken"])[0] == "WAFOptimisticLockException"
    waf.delete_web_acl(**common, LockToken=token)


def test_an_ip_set_from_first_to_last(waf: Any) -> None:
    made = waf.create_ip_set(Name="changing", Scope="REGIONAL", IPAddressVersion="IPV6", Addresses=["2001:db8::/32"])[
        "Summary"
    ]
    common = {"Name": "changing", "Scope": "REGIONAL", "Id": made["Id"]}
    token = waf.update_ip_set(**common, Addresses=["2001:db9::/32"], LockToken=made["LockToken"])["NextLockToken"]
    found = waf.get_ip_set(**common)
    assert (found["LockToken"], found["IPSet"]["Addresses"]) == (token, ["2001:db9::/32"])
    assert "changing" in [each["Name"] for each in waf.list_ip_sets(Scope="REGIONAL")["IPSets"]]
    waf.delete_ip_set(**common, LockToken=token)
    assert refusal(waf.get_ip_set, **common)[0] == "WAFNonexistentItemException"


def test_cloudfront_resources_are_separate(running: Lab, waf: Any) -> None:
    there = running.client("wafv2", region="us-east-1")
    for _ in range(2):
        made = there.create_ip_set(Name="apart", Scope="CLOUDFRONT", IPAddressVersion="IPV4", Addresses=[])["Summary"]
        there.delete_ip_set(Name="apart", Scope="CLOUDFRONT", Id=made["Id"], LockToken=made["LockToken"])


def test_a_load_balancer_has_one_web_acl(running: Lab, waf: Any) -> None:
    arn = balancer(running, "one")
    one, two = web_acl(waf, "one"), web_acl(waf, "two")
    waf.associate_web_acl(WebACLArn=one["ARN"], ResourceArn=arn)
    waf.associate_web_acl(WebACLArn=two["ARN"], ResourceArn=arn)
    assert waf.get_web_acl_for_resource(ResourceArn=arn)["WebACL"]["Name"] == "two"
    assert waf.list_resources_for_web_acl(WebACLArn=one["ARN"])["ResourceArns"] == []
    assert waf.list_resources_for_web_acl(WebACLArn=two["ARN"])["ResourceArns"] == [arn]
    assert running.run(running.api.web_acls())[arn] == two["ARN"]
    deletion = {"Name": "two", "Scope": "REGIONAL", "Id": two["Id"], "LockToken": two["LockToken"]}
    assert refusal(waf.delete_web_acl, **deletion)[0] == "WAFAssociatedItemException"
    running.client("elbv2").delete_load_balancer(LoadBalancerArn=arn)
    assert arn not in running.run(running.api.web_acls())
    waf.delete_web_acl(**deletion)
    assert "two" not in [acl["Name"] for acl in waf.list_web_acls(Scope="REGIONAL")["WebACLs"]]


def test_a_web_acl_is_disassociated(running: Lab, waf: Any) -> None:
    arn, acl = balancer(running, "away"), web_acl(waf, "away")
    waf.associate_web_acl(WebACLArn=acl["ARN"], ResourceArn=arn)
    waf.disassociate_web_acl(ResourceArn=arn)
    waf.disassociate_web_acl(ResourceArn=arn)
    assert "WebACL" not in waf.get_web_acl_for_resource(ResourceArn=arn)
    waf.delete_web_acl(Name="away", Scope="REGIONAL", Id=acl["Id"], LockToken=acl["LockToken"])


def test_a_web_acl_in_manifests_is_created_with_its_arn_and_accepts_rules(running: Lab, waf: Any) -> None:
    arn = "arn:aws:wafv2:ap-northeast-2:123456789012:regional/webacl/team/11111111-2222-3333-4444-555555555555"
    for _ in range(2):
        running.run(running.api.create_web_acl("team", arn))
        running.run(running.api.create_web_acl("by-name", ""))
    found = waf.get_web_acl(ARN=arn)
    common = {"Name": "team", "Scope": "REGIONAL", "Id": "11111111-2222-3333-4444-555555555555"}
    assert (found["WebACL"]["Rules"], found["WebACL"]["DefaultAction"]) == ([], {"Allow": {}})
    token = waf.update_web_acl(
        **common,
        DefaultAction={"Allow": {}},
        Rules=[rule(BY_PATH)],
        VisibilityConfig=VISIBLE,
        LockToken=found["LockToken"],
    )["NextLockToken"]
    running.run(running.api.create_web_acl("team", arn))
    assert [each["Name"] for each in waf.get_web_acl(**common)["WebACL"]["Rules"]] == ["r0"]
    waf.delete_web_acl(**common, LockToken=token)
    assert [each["Name"] for each in waf.list_web_acls(Scope="REGIONAL")["WebACLs"]].count("by-name") == 1
