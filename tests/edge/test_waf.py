"""A web ACL in front of an edge, made with the `aws` CLI and boto3 as teams do, met with curl."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.edge.conftest import GUIDE, Start, Up
from tests.edge.test_serving import aws

pytestmark = pytest.mark.edge

AWS = str(Path(sys.executable).parent / "aws")
VISIBLE = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "m"}
NONE = [{"Priority": 0, "Type": "NONE"}]
LOWER = [{"Priority": 0, "Type": "URL_DECODE"}, {"Priority": 1, "Type": "LOWERCASE"}]


@pytest.fixture(scope="module")
def edge(up: Start) -> Up:
    return up(GUIDE).ready()


def rule(name: str, priority: int, statement: dict[str, Any], **more: Any) -> dict[str, Any]:
    made = {"Name": name, "Priority": priority, "Statement": statement, "VisibilityConfig": VISIBLE}
    return made | (more or {"Action": {"Block": {}}})


def match(text: str, position: str, field: dict[str, Any], steps: list[dict[str, Any]] = NONE) -> dict[str, Any]:
    how = {"SearchString": text, "PositionalConstraint": position, "FieldToMatch": field, "TextTransformations": steps}
    return {"ByteMatchStatement": how}


def statuses(edge: Up, *requests: tuple[str, ...]) -> list[str]:
    return [edge.curl("-o", "/dev/null", "-w", "%{http_code}", *request) for request in requests]


def test_a_web_acl_blocks_counts_and_answers_until_it_is_taken_away(edge: Up, tmp_path: Path) -> None:
    (balancer,) = aws(edge, "elbv2", "describe-load-balancers")["LoadBalancers"]
    arn = balancer["LoadBalancerArn"]
    office = aws(
        edge,
        "wafv2",
        *("create-ip-set", "--name", "office", "--scope", "REGIONAL", "--ip-address-version", "IPV4"),
        *("--addresses", "192.0.2.0/24"),
    )["Summary"]
    by_header = {"HeaderName": "X-Forwarded-For", "FallbackBehavior": "NO_MATCH", "Position": "FIRST"}
    managed = {"ManagedRuleGroupStatement": {"VendorName": "AWS", "Name": "AWSManagedRulesCommonRuleSet"}}
    sorry = {"CustomResponse": {"ResponseCode": 429, "CustomResponseBodyKey": "sorry"}}
    inserted = {"CustomRequestHandling": {"InsertHeaders": [{"Name": "seen", "Value": "yes"}]}}
    rules = [
        rule("managed", 0, managed, OverrideAction={"None": {}}),
        rule("seen", 1, match("/any", "STARTS_WITH", {"UriPath": {}}), Action={"Count": inserted}),
        rule("admin", 2, match("/admin", "STARTS_WITH", {"UriPath": {}}, LOWER)),
        rule("script", 3, match("<script", "CONTAINS", {"Body": {"OversizeHandling": "CONTINUE"}}, LOWER)),
        rule("office", 4, {"IPSetReferenceStatement": {"ARN": office["ARN"], "IPSetForwardedIPConfig": by_header}}),
        rule("rate", 5, {"RateBasedStatement": {
            "Limit": 10, "AggregateKeyType": "CUSTOM_KEYS",
            "CustomKeys": [{"Header": {"Name": "X-Api-Key", "TextTransformations": NONE}}],
        }}, Action={"Block": sorry}),
    ]  # fmt: skip
    file = tmp_path / "acl.json"
    file.write_text(
        json.dumps(
            {
                "Name": "edge",
                "Scope": "REGIONAL",
                "DefaultAction": {"Allow": {}},
                "VisibilityConfig": VISIBLE,
                "CustomResponseBodies": {"sorry": {"ContentType": "TEXT_PLAIN", "Content": "slower"}},
                "Rules": rules,
            }
        )
    )
    url = "https://quay.example"
    acl = aws(edge, "wafv2", "create-web-acl", "--cli-input-json", f"file://{file}")["Summary"]
    assert statuses(edge, (f"{url}/admin",)) == ["200"]
    edge.exec(AWS, "wafv2", "associate-web-acl", "--web-acl-arn", acl["ARN"], "--resource-arn", arn)
    edge.wait(until=lambda: statuses(edge, (f"{url}/admin",)) == ["403"], what="the web ACL")
    reported = edge.until("is not evaluated")
    assert "rule managed of web ACL edge" in reported

    answer = edge.curl("-i", f"{url}/%41dmin/x")
    assert "server: awselb/2.0" in answer
    assert "<center><h1>403 Forbidden</h1></center>" in answer
    passed = dict(json.loads(edge.curl(f"{url}/any"))["headers"])
    assert passed["x-amzn-waf-seen"] == "yes"
    assert "x-amzn-waf-seen" not in dict(json.loads(edge.curl(f"{url}/other"))["headers"])
    assert statuses(
        edge,
        (f"{url}/", "--data", "a=%3CScript%3E"),
        (f"{url}/", "--http1.1", "--data", "a=<SCRIPT"),
        (f"{url}/", "--data", "a=1"),
        (f"{url}/", "-H", "X-Forwarded-For: 192.0.2.7, 10.0.0.1"),
        (f"{url}/", "-H", "X-Forwarded-For: 10.0.0.1, 192.0.2.7"),
    ) == ["403", "403", "200", "403", "200"]

    metrics = edge.curl("--noproxy", "*", edge.status()["addresses"]["metrics"])
    assert 'BlockedRequests{WebACL="edge",Rule="script"} 2\n' in metrics
    assert 'CountedRequests{WebACL="edge",Rule="seen"} 1\n' in metrics

    key = ("-H", "X-Api-Key: a")
    twelve = edge.curl("-w", "%{http_code} ", "-o", "/dev/null", *key, *[f"{url}/x?[1-12]"]).split()
    assert (twelve[:10], twelve[-1]) == (["200"] * 10, "429")
    assert edge.curl(*key, f"{url}/x") == "slower"
    assert statuses(edge, (f"{url}/x", "-H", "X-Api-Key: b")) == ["200"]

    edge.exec(
        *(AWS, "wafv2", "update-ip-set", "--name", "office", "--scope", "REGIONAL", "--id", office["Id"]),
        *("--addresses", "198.51.100.0/24", "--lock-token", office["LockToken"]),
    )
    elsewhere = (f"{url}/", "-H", "X-Forwarded-For: 198.51.100.1")
    edge.wait(until=lambda: statuses(edge, elsewhere) == ["403"], what="the changed IP set")

    edge.exec(AWS, "wafv2", "disassociate-web-acl", "--resource-arn", arn)
    edge.wait(until=lambda: statuses(edge, (f"{url}/admin",)) == ["200"], what="no web ACL")


def test_a_web_acl_that_an_ingress_references_exists_and_accepts_rules(up: Start, manifests: Path) -> None:
    file, arn = (
        manifests / "ingress.yaml",
        "arn:aws:wafv2:eu-central-1:210987654321:regional/webacl/team/11111111-2222-3333-4444-555555555555",
    )
    text = file.read_text()
    file.write_text(
        text.replace("  annotations:\n", f"  annotations:\n    alb.ingress.kubernetes.io/wafv2-acl-arn: {arn}\n", 1)
    )
    edge = up(manifests).ready()
    assert "web ACL team: created without rules" in "".join(edge.lines)
    url = "https://quay.example/admin"
    assert statuses(edge, (url,)) == ["200"]
    found = aws(edge, "wafv2", "get-web-acl", "--arn", arn)
    edge.exec(
        *(AWS, "wafv2", "update-web-acl", "--name", "team", "--scope", "REGIONAL", "--id", found["WebACL"]["Id"]),
        *(
            "--default-action",
            "Allow={}",
            "--visibility-config",
            json.dumps(VISIBLE),
            "--lock-token",
            found["LockToken"],
        ),
        *("--rules", json.dumps([rule("admin", 0, match("/admin", "STARTS_WITH", {"UriPath": {}}))])),
    )
    edge.wait(until=lambda: statuses(edge, (url,)) == ["403"], what="the rule")
