"""User pools through boto3, and load balancers that log users in at them."""

from __future__ import annotations

from typing import Any

from aws_lab import Lab, certificate, lab, refusal

CERTIFICATE = "arn:aws:acm:ap-northeast-2:123456789012:certificate/login"
POOL = "arn:aws:cognito-idp:ap-northeast-2:123456789012:userpool/ap-northeast-2_Ab1Cd2Ef3"


def https_listener(running: Lab) -> str:
    elbv2 = running.client("elbv2")
    _, subnets, _ = running.run(running.api.default_vpc())
    running.run(running.api.create_certificate(CERTIFICATE, ("login.example",)))
    running.run(running.api.issue_certificate(CERTIFICATE, *certificate("login.example")))
    arn = elbv2.create_load_balancer(Name="login", Subnets=list(subnets[:2]))["LoadBalancers"][0]["LoadBalancerArn"]
    made = elbv2.create_listener(
        LoadBalancerArn=arn,
        Protocol="HTTPS",
        Port=443,
        Certificates=[{"CertificateArn": CERTIFICATE}],
        DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}],
    )
    return str(made["Listeners"][0]["ListenerArn"])


def rule(listener: str, pool: str, client: str) -> dict[str, Any]:
    login = {"UserPoolArn": pool, "UserPoolClientId": client, "UserPoolDomain": "quay"}
    return {
        "ListenerArn": listener,
        "Priority": 1,
        "Conditions": [{"Field": "path-pattern", "Values": ["/a"]}],
        "Actions": [
            {"Type": "authenticate-cognito", "Order": 1, "AuthenticateCognitoConfig": login},
            {"Type": "fixed-response", "Order": 2, "FixedResponseConfig": {"StatusCode": "200"}},
        ],
    }


def test_a_rule_needs_a_client_with_a_secret_of_a_pool_in_its_own_region() -> None:
    with lab() as running:
        listener, elbv2, cognito = https_listener(running), running.client("elbv2"), running.client("cognito-idp")
        pool = cognito.create_user_pool(PoolName="people")["UserPool"]
        public = cognito.create_user_pool_client(UserPoolId=pool["Id"], ClientName="public")["UserPoolClient"]
        secret = cognito.create_user_pool_client(UserPoolId=pool["Id"], ClientName="web", GenerateSecret=True)
        elsewhere = pool["Arn"].replace("ap-northeast-2", "eu-west-1")
        for arn, client, reported in (
            ("arn:pool", "web", "'arn:pool' is not a valid user pool ARN"),
            (elsewhere, "web", f"'{elsewhere}' is not a valid user pool ARN"),
            (POOL, "web", "User pool ap-northeast-2_Ab1Cd2Ef3 does not exist."),
            (pool["Arn"], "web", "User pool client web does not exist."),
            (pool["Arn"], public["ClientId"], "The user pool client must have a client secret"),
        ):
            refused = refusal(elbv2.create_rule, **rule(listener, arn, client))
            assert refused == ("InvalidLoadBalancerAction", reported)

        client = secret["UserPoolClient"]
        made = elbv2.create_rule(**rule(listener, pool["Arn"], client["ClientId"]))["Rules"][0]
        assert made["Actions"][0]["AuthenticateCognitoConfig"] == {
            "UserPoolArn": pool["Arn"],
            "UserPoolClientId": client["ClientId"],
            "UserPoolDomain": "quay",
            "SessionCookieName": "AWSELBAuthSessionCookie",
            "Scope": "openid",
            "SessionTimeout": 604800,
            "OnUnauthenticatedRequest": "authenticate",
        }
        assert running.run(running.api.client_secret(made["RuleArn"])) == client["ClientSecret"]


def test_a_client_in_manifests_is_created_with_its_id() -> None:
    with lab() as running:
        running.run(running.api.create_user_pool_client(POOL, "7k2qd7amucdgr7ajsmgb14dmmq", "its secret"))
        running.run(running.api.create_user_pool_client(POOL, "another", "another secret"))
        running.run(running.api.create_user_pool_client(POOL, "another", "a newer secret"))
        cognito = running.client("cognito-idp")
        assert [pool["Id"] for pool in cognito.list_user_pools(MaxResults=10)["UserPools"]] == [
            "ap-northeast-2_Ab1Cd2Ef3"
        ]
        for client, secret in (("7k2qd7amucdgr7ajsmgb14dmmq", "its secret"), ("another", "a newer secret")):
            reported = cognito.describe_user_pool_client(UserPoolId="ap-northeast-2_Ab1Cd2Ef3", ClientId=client)
            assert reported["UserPoolClient"]["ClientSecret"] == secret
        made = running.client("elbv2").create_rule(**rule(https_listener(running), POOL, "another"))["Rules"][0]
        assert running.run(running.api.client_secret(made["RuleArn"])) == "a newer secret"
        code, message = refusal(cognito.describe_user_pool_client, UserPoolId="ap-northeast-2_x", ClientId="y")
        assert (code, message) == ("ResourceNotFoundException", "User pool ap-northeast-2_x does not exist.")
