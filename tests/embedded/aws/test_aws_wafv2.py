"""WAFv2 through boto3, where a web ACL meets a load balancer."""

from __future__ import annotations

from typing import Any

from aws_lab import lab, refusal


def _acl(waf: Any, name: str) -> dict[str, Any]:
    visibility = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": name}
    summary = waf.create_web_acl(
        Name=name, Scope="REGIONAL", DefaultAction={"Allow": {}}, Rules=[], VisibilityConfig=visibility
    )["Summary"]
    return dict(summary)


def test_a_load_balancer_has_one_web_acl() -> None:
    with lab() as running:
        waf, elbv2 = running.client("wafv2"), running.client("elbv2")
        _, subnets, _ = running.run(running.api.default_vpc())
        balancer = elbv2.create_load_balancer(Name="edge", Subnets=list(subnets[:2]))["LoadBalancers"][0]
        arn = balancer["LoadBalancerArn"]
        one, two = _acl(waf, "one"), _acl(waf, "two")
        assert refusal(waf.associate_web_acl, WebACLArn=one["ARN"], ResourceArn=f"{arn}0")[0] == (
            "WAFNonexistentItemException"
        )
        waf.associate_web_acl(WebACLArn=one["ARN"], ResourceArn=arn)
        waf.associate_web_acl(WebACLArn=two["ARN"], ResourceArn=arn)
        assert waf.get_web_acl_for_resource(ResourceArn=arn)["WebACL"]["Name"] == "two"
        assert waf.list_resources_for_web_acl(WebACLArn=one["ARN"])["ResourceArns"] == []
        assert waf.list_resources_for_web_acl(WebACLArn=two["ARN"])["ResourceArns"] == [arn]
        deletion = {"Name": "two", "Scope": "REGIONAL", "Id": two["Id"], "LockToken": two["LockToken"]}
        assert refusal(waf.delete_web_acl, **deletion)[0] == "WAFAssociatedItemException"
        elbv2.delete_load_balancer(LoadBalancerArn=arn)
        waf.delete_web_acl(**deletion)
        names = [acl["Name"] for acl in waf.list_web_acls(Scope="REGIONAL")["WebACLs"]]
        assert names == ["one"]
