"""STS: who gets temporary keys, what these may do, and that nobody gets any without credentials."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from aws_lab import ACCOUNT, KEY, REGION, Lab, lab, refusal
from botocore import UNSIGNED
from botocore.config import Config

from lockgate.embedded.service_accounts import STS, ServiceAccountIdentity, ServiceAccountTokens, issuer_of
from lockgate.resources.unicode import visible

ROLE = f"arn:aws:iam::{ACCOUNT}:role/dns"
CERT_MANAGER = ServiceAccountIdentity("cert-manager", "cert-manager", "11111111-1111-4111-8111-111111111111")
TOKENS = ServiceAccountTokens(issuer_of(REGION))
ISSUER = TOKENS.issuer


@pytest.fixture(scope="module")
def running() -> Iterator[Lab]:
    with lab(tokens=TOKENS) as made:
        yield made


def _token(audience: str = STS, lifetime: float = 600, signer: ServiceAccountTokens = TOKENS) -> str:
    return signer.issue(CERT_MANAGER, [audience], timedelta(seconds=lifetime), datetime.now(UTC))


def _unsigned(running: Lab) -> Any:
    return boto3.session.Session().client(
        "sts",
        endpoint_url=running.api.url,
        region_name=REGION,
        config=Config(signature_version=UNSIGNED, parameter_validation=False),
    )


def _with(running: Lab, token: str, role: str = ROLE, **more: Any) -> tuple[str, str]:
    call = _unsigned(running).assume_role_with_web_identity
    return refusal(call, RoleArn=role, RoleSessionName="session", WebIdentityToken=token, **more)


def _client(running: Lab, service: str, credentials: dict[str, str]) -> Any:
    return boto3.session.Session().client(
        service,
        endpoint_url=running.api.url,
        region_name=REGION,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials.get("SessionToken"),
        config=Config(retries={"max_attempts": 1}),
    )


def test_a_token_of_this_edge_is_exchanged_for_keys(running: Lab) -> None:
    answer = _unsigned(running).assume_role_with_web_identity(
        RoleArn=ROLE, RoleSessionName="cert-manager", WebIdentityToken=_token()
    )
    assert answer["SubjectFromWebIdentityToken"] == "system:serviceaccount:cert-manager:cert-manager"
    assert answer["Audience"] == "sts.amazonaws.com"
    assert answer["Provider"] == f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER.removeprefix('https://')}"
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/dns/cert-manager"
    credentials = answer["Credentials"]
    left = credentials["Expiration"] - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(hours=1)
    identity = _client(running, "sts", credentials).get_caller_identity()
    assert identity["Arn"] == answer["AssumedRoleUser"]["Arn"]
    assert "HostedZones" in _client(running, "route53", credentials).list_hosted_zones()


def test_a_token_of_another_issuer_is_refused(running: Lab) -> None:
    other = ServiceAccountTokens(issuer_of(REGION))
    assert _with(running, _token(signer=other)) == (
        "InvalidIdentityToken",
        f"No OpenIDConnect provider found in your account for {other.issuer}",
    )
    forger = ServiceAccountTokens(ISSUER)  # this edge's name, another key
    assert _with(running, _token(signer=forger)) == (
        "InvalidIdentityToken",
        "The token's signature could not be verified",
    )
    code, message = _with(running, "eyJhbGciOiJub25lIn0.e30.")
    assert (code, message) == ("InvalidIdentityToken", "No OpenIDConnect provider found in your account for ")
    code, message = _with(running, "any token")
    assert (code, message[:41]) == ("InvalidIdentityToken", "The ID Token provided is not a valid JWT.")


def test_a_token_without_algorithm_is_not_signed(running: Lab) -> None:
    import base64

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claims = {"iss": ISSUER, "aud": [STS], "exp": 2**31, "nbf": 0, "sub": "system:serviceaccount:a:b"}
    about = {"kubernetes.io": {"namespace": "a", "serviceaccount": {"name": "b", "uid": "c"}}}
    for algorithm in ("none", "HS256"):
        token = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims | about)}."
        assert _with(running, token)[0] == "InvalidIdentityToken"


def test_a_token_for_another_client_or_time(running: Lab) -> None:
    assert _with(running, _token("https://kubernetes.default.svc")) == (
        "InvalidIdentityToken",
        "Incorrect token audience",
    )
    code, message = _with(running, _token(lifetime=-1))
    assert (code, message[:33]) == ("ExpiredTokenException", "Token expired: current date/time ")


@pytest.mark.parametrize(
    "role",
    [
        f"arn:aws:iam::{ACCOUNT}:user/dns-and-more",
        "arn:aws:iam::12:role/dns-and-more",
        f"arn:aws:s3:::{ACCOUNT}-bucket",
        f"{ROLE}\r\nSet-Cookie: a=b",
    ],
)
def test_invalid_roles(running: Lab, role: str) -> None:
    code, message = _with(running, _token(), role)
    assert (code, message) == ("ValidationError", f"{visible(role)} is invalid")


def test_limits_of_the_operation(running: Lab) -> None:
    code, message = _with(running, _token(), DurationSeconds=60)
    assert (code, "greater than or equal to 900" in message) == ("ValidationError", True)
    code, message = _with(running, _token(), role="short")
    assert (code, "length greater than or equal to 20" in message) == ("ValidationError", True)


def test_a_role_assumed_with_keys(running: Lab) -> None:
    lent = running.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="session", DurationSeconds=900)[
        "Credentials"
    ]
    assert "HostedZones" in _client(running, "route53", lent).list_hosted_zones()
    without = {name: value for name, value in lent.items() if name != "SessionToken"}
    assert refusal(_client(running, "route53", without).list_hosted_zones)[0] == "InvalidClientTokenId"
    # Roles may be chained, as cert-manager does from one account into another.
    other = _client(running, "sts", lent).assume_role(
        RoleArn="arn:aws:iam::999999999999:role/x", RoleSessionName="session"
    )
    assert other["AssumedRoleUser"]["Arn"] == "arn:aws:sts::999999999999:assumed-role/x/session"


def test_session_and_federation_tokens_are_new_keys(running: Lab) -> None:
    sts = running.client("sts")
    first, second = sts.get_session_token()["Credentials"], sts.get_federation_token(Name="fed")["Credentials"]
    assert first["AccessKeyId"] != second["AccessKeyId"]
    assert _client(running, "sts", first).get_caller_identity()["Account"] == ACCOUNT
    assert _client(running, "sts", second).get_caller_identity()["Arn"].endswith(":federated-user/fed")
    assert refusal(_client(running, "sts", first).get_session_token)[0] == "AccessDenied"
    # moto answers both with the keys of AWS's documentation, which anybody knows.
    known = {
        "AccessKeyId": "AKIAIOSFODNN7EXAMPLE",
        "SecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY",
    }
    assert refusal(_client(running, "sts", known).get_caller_identity)[0] == "InvalidClientTokenId"


def test_keys_and_their_owners(running: Lab) -> None:
    sts = running.client("sts")
    assert sts.get_access_key_info(AccessKeyId=KEY)["Account"] == ACCOUNT
    assert refusal(sts.get_access_key_info, AccessKeyId="AKIAIOSFODNN7EXAMPLE")[0] == "ValidationError"
    assert refusal(sts.decode_authorization_message, EncodedMessage="x")[0] == "NotImplemented"


UNSIGNED_REQUESTS: list[tuple[str, dict[str, str], str]] = [
    ("Action=AssumeRole&RoleArn=$role&RoleSessionName=session&Version=2011-06-15", {}, "MissingAuthenticationToken"),
    ("Action=GetCallerIdentity&Version=2011-06-15", {}, "MissingAuthenticationToken"),
    ("Action=GetSessionToken&Version=2011-06-15", {}, "MissingAuthenticationToken"),
    ("Action=AssumeRoleWithWebIdentity&Version=2011-06-15", {}, "ValidationError"),
    (
        "Action=AssumeRoleWithSAML&Version=2011-06-15&RoleArn=$role&PrincipalArn=$role&SAMLAssertion=YWJjZA==",
        {},
        "AccessDenied",
    ),
    # Two operations in one request: neither opens the door for the other.
    (
        "Action=AssumeRoleWithWebIdentity&Action=GetSessionToken&Version=2011-06-15",
        {},
        "ValidationError",
    ),
    (
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15",
        {"X-Amz-Target": "AWSSecurityTokenServiceV20110615.GetSessionToken"},
        "ValidationError",
    ),
    ("{}", {"X-Amz-Target": "AWSCognitoIdentityProviderService.SignUp"}, "MissingAuthenticationToken"),
    (
        "{}",
        {
            "X-Amz-Target": "AWSCognitoIdentityProviderService.InitiateAuth",
            "Content-Type": "application/x-amz-json-1.1",
        },
        "MissingAuthenticationTokenException",
    ),
    ("{}", {"X-Amz-Target": "CertificateManager.ListCertificates"}, "MissingAuthenticationToken"),
]


@pytest.mark.parametrize(("body", "headers", "code"), UNSIGNED_REQUESTS)
def test_nothing_else_is_answered_unsigned(running: Lab, body: str, headers: dict[str, str], code: str) -> None:
    body = body.replace("$role", urllib.parse.quote(ROLE))
    request = urllib.request.Request(running.api.url, body.encode(), headers)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    text = refused.value.read().decode()
    assert f"{code}<" in text or f'"{code}"' in text
    assert "SecretAccessKey" not in text


@pytest.mark.parametrize("path", ["/moto-api/", "/moto-api/data.json", "/moto-api/reset", "/bucket/key", "/_cognito/"])
def test_no_page_is_open(running: Lab, path: str) -> None:
    for method in ("GET", "POST", "PUT"):
        request = urllib.request.Request(running.api.url + path, b"" if method != "GET" else None, method=method)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        assert refused.value.code == 403
        assert "MissingAuthenticationToken" in refused.value.read().decode()


def test_the_official_client_with_a_token_file(running: Lab, tmp_path: Path) -> None:
    """As a Pod with IRSA has it: a role, a file, and nothing else."""
    (tmp_path / "token").write_text(_token() + "\n")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_ENDPOINT_URL": running.api.url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ROLE_ARN": ROLE,
        "AWS_ROLE_SESSION_NAME": "irsa",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    command = [str(Path(sys.executable).with_name("aws")), "sts", "get-caller-identity"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/dns/irsa"
    (tmp_path / "token").write_text("any token")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "(InvalidIdentityToken)" in done.stderr
