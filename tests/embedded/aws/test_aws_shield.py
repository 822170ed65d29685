"""Shield Advanced: nothing is protected without a subscription."""

from __future__ import annotations

from aws_lab import lab, refusal


def test_protection_needs_a_subscription_and_a_load_balancer() -> None:
    with lab() as running:
        shield, elbv2 = running.client("shield"), running.client("elbv2")
        _, subnets, _ = running.run(running.api.default_vpc())
        arn = elbv2.create_load_balancer(Name="edge", Subnets=list(subnets[:2]))["LoadBalancers"][0]["LoadBalancerArn"]
        assert shield.get_subscription_state()["SubscriptionState"] == "INACTIVE"
        assert refusal(shield.create_protection, Name="edge", ResourceArn=arn) == (
            "ResourceNotFoundException",
            "The subscription does not exist.",
        )
        shield.create_subscription()
        assert shield.get_subscription_state()["SubscriptionState"] == "ACTIVE"
        assert refusal(shield.create_subscription)[0] == "ResourceAlreadyExistsException"
        assert refusal(shield.create_protection, Name="edge", ResourceArn=f"{arn}0")[0] == "ResourceNotFoundException"
        made = shield.create_protection(Name="edge", ResourceArn=arn)["ProtectionId"]
        assert shield.describe_protection(ResourceArn=arn)["Protection"]["Id"] == made
        shield.delete_protection(ProtectionId=made)
        assert refusal(shield.describe_protection, ResourceArn=arn)[0] == "ResourceNotFoundException"
