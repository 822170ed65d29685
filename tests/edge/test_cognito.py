"""Rules that authenticate at an Amazon Cognito user pool: a certified provider stands at the pool's addresses, which
the edge serves because an Ingress has the domain's host."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.edge.conftest import Start, Up
from tests.edge.provider import Browser, Provider, client, identity_provider
from tests.edge.test_login import host, ingress, ingress_class, service

pytestmark = pytest.mark.edge

POOL = "eu-central-1_Qu4yP001"
POOL_ARN = f"arn:aws:cognito-idp:eu-central-1:210987654321:userpool/{POOL}"
DOMAIN = "quay-people.auth.eu-central-1.amazoncognito.com"
CLIENT = "7k2qd7amucdgr7ajsmgb14dmmq"
ROUTES = {"authorization": "/oauth2/authorize", "token": "/oauth2/token", "userinfo": "/oauth2/userInfo"}


def manifests() -> list[dict[str, Any]]:
    def login(domain: str, client_id: str) -> dict[str, str]:
        idp = {"userPoolARN": POOL_ARN, "userPoolClientID": client_id, "userPoolDomain": domain}
        return {"auth-type": "cognito", "auth-scope": "openid email", "auth-idp-cognito": json.dumps(idp)}

    return [
        ingress_class(),
        service("web"),
        service("cognito"),
        ingress("people", host("people"), login("quay-people", CLIENT)),
        ingress("lonely", host("lonely"), login("nobody", "without-a-name-in-lockgate-yaml")),
        ingress("cognito", DOMAIN, {"healthcheck-path": "/.well-known/openid-configuration"}, to="cognito"),
    ]


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    issuer = f"https://cognito-idp.eu-central-1.amazonaws.com/{POOL}"
    folder = tmp_path_factory.mktemp("cognito")
    with identity_provider(folder, [client(CLIENT, host("people"))], issuer=issuer, routes=ROUTES) as running:
        yield running


@pytest.fixture(scope="module")
def pool(up: Start, provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Up:
    folder = tmp_path_factory.mktemp("pool")
    (folder / "pool.yaml").write_text(yaml.safe_dump_all(manifests()))
    (folder / "lockgate.yaml").write_text(yaml.safe_dump({"userPoolClients": provider.secrets}))
    return up(folder, "--backend", f"default/cognito:80={provider.url}").ready()


def test_a_user_logs_in_at_the_user_pool(pool: Up, tmp_path: Path) -> None:
    page = Browser(pool, tmp_path / "jar").log_in("https://people.login.example/a", "ada")
    assert page.url == "https://people.login.example/a"
    assert page.received["x-amzn-oidc-identity"] == "ada"
    began = Browser(pool, tmp_path / "other").get("https://people.login.example/a", follow=False)
    assert (began.header("location") or "").startswith(f"https://{DOMAIN}/oauth2/authorize?client_id={CLIENT}&")


def test_a_missing_user_pool_is_reported(pool: Up, tmp_path: Path) -> None:
    browser = Browser(pool, tmp_path / "jar")
    began = browser.get("https://lonely.login.example/", follow=False)
    location = began.header("location") or ""
    assert location.startswith("https://nobody.auth.eu-central-1.amazoncognito.com/oauth2/authorize?")
    state = location.partition("state=")[2]
    back = browser.get(f"https://lonely.login.example/oauth2/idpresponse?code=x&state={state}", follow=False)
    assert (back.status, back.header("server")) == (500, "awselb/2.0")
    (reported,) = [line for line in pool.log().splitlines() if "AuthTokenEpRequestTimeout" in line]
    assert "POST https://nobody.auth.eu-central-1.amazoncognito.com/oauth2/token: " in reported
    assert "add an Ingress or a VirtualService for nobody.auth.eu-central-1.amazoncognito.com if this" in reported


def test_a_client_secret_comes_from_lockgate_yaml_or_from_cognito(pool: Up, provider: Provider) -> None:
    def secret(client_id: str) -> str:
        arguments = ("--user-pool-id", POOL, "--client-id", client_id, "--output", "json")
        reported = json.loads(pool.exec("aws", "cognito-idp", "describe-user-pool-client", *arguments))
        return str(reported["UserPoolClient"]["ClientSecret"])

    assert secret(CLIENT) == provider.secrets[CLIENT]
    assert len(secret("without-a-name-in-lockgate-yaml")) == 52
    assert provider.secrets[CLIENT] not in pool.log() + "".join(pool.lines)
