"""IAM roles: who may assume one, and what its sessions may do, for IRSA and EKS Pod Identity."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from aws_lab import ACCOUNT, REGION, Lab, lab, refusal

from lockgate.embedded.aws.eks import Cluster
from lockgate.embedded.service_accounts import PODS, STS, ServiceAccountIdentity, ServiceAccountTokens, issuer_of

CERT_MANAGER = ServiceAccountIdentity("cert-manager", "cert-manager", "11111111-1111-4111-8111-111111111111")
OTHER = ServiceAccountIdentity("shop", "web", "11111111-1111-4111-8111-111111111112")
TOKENS = ServiceAccountTokens(issuer_of(REGION))
HOST = TOKENS.issuer.removeprefix("https://")
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{HOST}"
CLUSTER = f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/test"
DNS = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "route53:ListResourceRecordSets", "Resource": "arn:aws:route53:::hostedzone/Z1"},
        {
            "Effect": "Allow",
            "Action": ["route53:ChangeResourceRecordSets"],
            "Resource": ["arn:aws:route53:::hostedzone/Z1"],
            "Condition": {
                "ForAllValues:StringEquals": {"route53:ChangeResourceRecordSetsRecordTypes": ["TXT"]},
                "ForAllValues:StringLike": {
                    "route53:ChangeResourceRecordSetsNormalizedRecordNames": ["_acme-challenge.*"]
                },
            },
        },
    ],
}


@pytest.fixture(scope="module")
def running() -> Iterator[Lab]:
    with lab(tokens=TOKENS) as made:
        made.api.cluster = Cluster("test", "https://127.0.0.1:1", "", TOKENS.issuer)
        for zone, name in (("Z1", "a.example"), ("Z2", "b.example")):
            made.run(made.api.create_hosted_zone(name, zone))
        yield made


def role(running: Lab, name: str, principal: dict[str, str], actions: list[str], equals: dict[str, str]) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": actions, "Condition": {"StringEquals": equals}}
    trust = {"Version": "2012-10-17", "Statement": [statement]}
    iam = running.client("iam")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="dns", PolicyDocument=json.dumps(DNS))
    return str(arn)


def token(audience: str, who: ServiceAccountIdentity = CERT_MANAGER) -> str:
    return TOKENS.issue(who, [audience], timedelta(seconds=600), datetime.now(UTC))


def session(running: Lab, lent: dict[str, Any]) -> Any:
    lent = {f"{key[0].upper()}{key[1:]}": value for key, value in lent.items()}
    return boto3.session.Session().client(
        "route53",
        endpoint_url=running.api.url,
        region_name=REGION,
        aws_access_key_id=lent["AccessKeyId"],
        aws_secret_access_key=lent["SecretAccessKey"],
        aws_session_token=lent["SessionToken"],
    )


def change(dns: Any, zone: str, kind: str, name: str, value: str) -> str:
    """The code of the answer, "" for success."""
    record = {"Name": name, "Type": kind, "TTL": 60, "ResourceRecords": [{"Value": value}]}
    batch = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]}
    try:
        dns.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)
    except dns.exceptions.ClientError as error:
        assert "is not authorized to perform: route53:ChangeResourceRecordSets" in str(error)
        return str(error.response["Error"]["Code"])
    return ""


def held_to_its_policy(dns: Any) -> None:
    assert change(dns, "Z1", "TXT", "_acme-challenge.a.example", '"x"') == ""
    assert change(dns, "Z1", "TXT", "_acme-challenge.www.a.example.", '"x"') == ""
    assert change(dns, "Z1", "TXT", "a.example", '"x"') == "AccessDenied"
    assert change(dns, "Z1", "A", "_acme-challenge.a.example", "192.0.2.1") == "AccessDenied"
    assert change(dns, "Z2", "TXT", "_acme-challenge.b.example", '"x"') == "AccessDenied"
    assert dns.list_resource_record_sets(HostedZoneId="Z1")["ResourceRecordSets"]
    assert refusal(dns.list_hosted_zones)[0] == "AccessDenied"


def test_a_web_identity_is_trusted_by_its_subject_and_its_provider(running: Lab) -> None:
    equals = {f"{HOST}:sub": CERT_MANAGER.username, f"{HOST}:aud": STS}
    arn = role(running, "irsa", {"Federated": PROVIDER}, ["sts:AssumeRoleWithWebIdentity"], equals)
    sts = running.client("sts")

    def assume(who: ServiceAccountIdentity = CERT_MANAGER) -> Any:
        return sts.assume_role_with_web_identity(RoleArn=arn, RoleSessionName="test", WebIdentityToken=token(STS, who))

    assert refusal(assume) == (
        "InvalidIdentityToken",
        f"No OpenIDConnect provider found in your account for {TOKENS.issuer}",
    )
    running.client("iam").create_open_id_connect_provider(Url=TOKENS.issuer, ClientIDList=[STS])
    assert refusal(assume, who=OTHER) == ("AccessDenied", "Not authorized to perform: sts:AssumeRoleWithWebIdentity")
    held_to_its_policy(session(running, assume()["Credentials"]))
    assert refusal(sts.assume_role, RoleArn=arn, RoleSessionName="test")[0] == "AccessDenied"


def test_a_pod_gets_the_role_of_its_association(running: Lab) -> None:
    equals = {
        "aws:RequestTag/kubernetes-namespace": "cert-manager",
        "aws:RequestTag/kubernetes-service-account": "cert-manager",
        "aws:RequestTag/eks-cluster-arn": CLUSTER,
    }
    arn = role(running, "pods", {"Service": PODS}, ["sts:AssumeRole", "sts:TagSession"], equals)
    auth, eks = running.client("eks-auth"), running.client("eks")

    def assume(who: ServiceAccountIdentity = CERT_MANAGER) -> Any:
        return auth.assume_role_for_pod_identity(clusterName="test", token=token(PODS, who))

    assert refusal(assume)[0] == "ResourceNotFoundException"
    for who in (CERT_MANAGER, OTHER):
        eks.create_pod_identity_association(
            clusterName="test", namespace=who.namespace, serviceAccount=who.name, roleArn=arn
        )
    held_to_its_policy(session(running, assume()["credentials"]))
    assert refusal(assume, who=OTHER)[0] == "AccessDenied"  # associated, and not trusted
    wrong = token(STS)
    assert refusal(auth.assume_role_for_pod_identity, clusterName="test", token=wrong)[0] == "InvalidTokenException"


def test_a_role_that_nobody_has_created_is_as_before(running: Lab) -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:role/elsewhere"
    lent = running.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    assert change(session(running, lent), "Z2", "A", "x.b.example", "192.0.2.1") == ""
