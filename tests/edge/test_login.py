"""Rules that authenticate, in a running edge: made by annotations, met with curl and a certified provider over TLS."""

from __future__ import annotations

import json
import re
import shlex
import time
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tests.edge.conftest import Start, Up
from tests.edge.provider import Browser, Provider, client, identity_provider

pytestmark = pytest.mark.edge

ARN = "arn:aws:acm:eu-central-1:210987654321:certificate/0c0ffee0-1234-1234-1234-123456789012"
DOMAIN = "login.example"
KEYS = "https://public-keys.auth.elb.eu-central-1.amazonaws.com"

# Applications behind one load balancer, by the first label of their hosts: how each has its users log in.
PEOPLE: dict[str, dict[str, Any]] = {
    "people": {"scope": "openid email profile", "extra": {"lang": "nl be"}},
    "brief": {"client": "brief"},  # whose access tokens last a second
    "bare": {"client": "brief-bare"},  # the same, without refresh tokens
    "hasty": {"session-timeout": "1"},
    "closed": {"on-unauthenticated-request": "deny"},
    "open": {"on-unauthenticated-request": "allow", "session-cookie": "Visitor"},
    "silent": {"extra": {"prompt": "none"}},  # the provider may ask the user nothing: an error, if it would have to
    "anonymous": {"scope": "email"},
    "stranger": {"issuer": "https://other.login.example"},
    "imposter": {"secret": "wrong"},
    "lonely": {"token": "https://127.0.0.1:1/token"},
}


def host(name: str) -> str:
    return f"{name}.{DOMAIN}"


def manifests(provider: Provider) -> list[dict[str, Any]]:
    """Applications for people who log in, and for programs that bring tokens."""
    keys = {
        "type": "fixed-response",
        "fixedResponseConfig": {
            "statusCode": "200",
            "contentType": "application/json",
            "messageBody": json.dumps(
                {"keys": [{k: key[k] for k in ("kty", "kid", "n", "e")} for key in _rsa(provider)]}
            ),
        },
    }
    far = {"jwksEndpoint": f"{provider.url}/jwks", "issuer": provider.url}
    near = {"jwksEndpoint": "https://keys.login.example/", "issuer": provider.url}
    found = [
        ingress_class(),
        service("web"),
        *(_secret(name, name, text) for name, text in provider.secrets.items()),
        _secret("wrong", "lockgate", "another"),
        ingress("programs", host("programs"), {"jwt-validation": json.dumps(far)}),
        ingress("near", host("near"), {"jwt-validation": json.dumps(near)}),
        ingress("keys", host("keys"), {"actions.web": json.dumps(keys)}),
    ]
    for name, settings in PEOPLE.items():
        idp = {
            "issuer": settings.get("issuer", provider.url),
            "authorizationEndpoint": f"{provider.url}/auth",
            "tokenEndpoint": settings.get("token", f"{provider.url}/token"),
            "userInfoEndpoint": f"{provider.url}/me",
            "secretName": settings.get("secret", settings.get("client", "lockgate")),
            "authenticationRequestExtraParams": settings.get("extra", {}),
        }
        more = {f"auth-{key}": value for key, value in settings.items() if isinstance(value, str)}
        kept = {"auth-scope", "auth-session-timeout", "auth-session-cookie", "auth-on-unauthenticated-request"}
        found.append(
            ingress(
                name,
                host(name),
                {
                    "auth-type": "oidc",
                    "auth-idp-oidc": json.dumps(idp),
                    **{key: value for key, value in more.items() if key in kept},
                },
            )
        )
    return found


def _rsa(provider: Provider) -> list[dict[str, Any]]:
    return list(provider.keys()["keys"])


def _secret(name: str, client_id: str, secret: str) -> dict[str, Any]:
    data = {"clientID": client_id, "clientSecret": secret}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "default"},
        "data": {key: b64encode(value.encode()).decode() for key, value in data.items()},
    }


def ingress_class() -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": "alb"},
        "spec": {"controller": "ingress.k8s.aws/alb"},
    }


def service(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80}]},
    }


def ingress(name: str, rule_host: str, annotations: dict[str, str], to: str = "web") -> dict[str, Any]:
    shared = {
        "group.name": "login",
        "scheme": "internet-facing",
        "target-type": "ip",
        "listen-ports": '[{"HTTPS": 443}]',
        "certificate-arn": ARN,
    }
    if name == "people":
        shared["load-balancer-attributes"] = "access_logs.s3.enabled=true,access_logs.s3.bucket=logs"
    port: dict[str, Any] = {"name": "use-annotation"} if f"actions.{to}" in annotations else {"number": 80}
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": to, "port": port}}}
    given = {f"alb.ingress.kubernetes.io/{key}": value for key, value in (shared | annotations).items()}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": "default", "annotations": given},
        "spec": {"ingressClassName": "alb", "rules": [{"host": rule_host, "http": {"paths": [path]}}]},
    }


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    clients = (
        client("lockgate", *map(host, PEOPLE)),
        client("brief", host("brief")),
        client("brief-bare", host("bare"), grant_types=["authorization_code"]),
        client("program", grant_types=["client_credentials"], response_types=[], redirect_uris=[],
               token_endpoint_auth_method="client_secret_basic"),
    )  # fmt: skip
    with identity_provider(tmp_path_factory.mktemp("provider"), clients) as running:
        yield running


@pytest.fixture(scope="module")
def login(up: Start, provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("login")
    (folder / "login.yaml").write_text(yaml.safe_dump_all(manifests(provider)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(provider.ca))  # what this machine trusts, as far as the edge knows
        yield up(folder).ready()


@pytest.fixture
def browser(login: Up, tmp_path: Path) -> Browser:
    return Browser(login, tmp_path / "jar")


def test_a_user_logs_in_through_the_edge_and_the_backend_gets_the_claims(
    login: Up, provider: Provider, browser: Browser
) -> None:
    url = "https://people.login.example/a?b=c"
    began = browser.get(url, follow=False)
    location = urlsplit(began.header("location") or "")
    assert (began.status, f"{location.scheme}://{location.netloc}{location.path}") == (302, f"{provider.url}/auth")
    assert began.header("server") == "awselb/2.0"
    parameters = parse_qsl(location.query)
    assert [name for name, _ in parameters] == ["client_id", "redirect_uri", "response_type", "scope", "state", "lang"]
    assert "scope=openid%20email%20profile" in location.query
    asked = dict(parameters)
    assert (asked["client_id"], asked["response_type"], asked["lang"]) == ("lockgate", "code", "nl be")
    assert asked["redirect_uri"] == "https://people.login.example/oauth2/idpresponse"
    (nonce,) = began.all("set-cookie")
    assert re.fullmatch(r"AWSALBAuthNonce=[A-Za-z0-9]{16}; Expires=[^;]+ GMT; Path=/; Secure; HttpOnly", nonce)

    page = browser.log_in(url, "ada")
    assert (page.url, json.loads(page.body)["path"], json.loads(page.body)["query"]) == (url, "/a", "b=c")
    assert page.received["x-amzn-oidc-identity"] == "ada"
    token = page.received["x-amzn-oidc-data"]
    header, claims = (json.loads(urlsafe_b64decode(part)) for part in token.split(".")[:2])
    assert all(len(part) % 4 == 0 for part in token.split("."))  # padded
    assert {name: header[name] for name in ("alg", "iss", "client")} == {
        "alg": "ES256", "iss": provider.url, "client": "lockgate",
    }  # fmt: skip
    assert header["signer"].startswith(
        "arn:aws:elasticloadbalancing:eu-central-1:210987654321:loadbalancer/app/k8s-login"
    )
    assert (claims["sub"], claims["email"], claims["name"]) == ("ada", "ada@login.example", "ada")
    assert header["exp"] == claims["exp"] > time.time()
    _verify(token, login.curl(f"{KEYS}/{header['kid']}"))
    assert _status(login, f"{KEYS}/another") == "404"

    again = browser.get(url)  # the session is in the cookies: the provider is not asked
    assert again.received["x-amzn-oidc-accesstoken"] == page.received["x-amzn-oidc-accesstoken"] != ""
    assert not again.all("set-cookie")
    assert "AWSELBAuthSessionCookie-0" in browser.cookies()


def test_a_user_who_logs_out_logs_in_again(browser: Browser) -> None:
    """The application ends the session by ending its cookies; the provider still knows the user."""
    page = browser.log_in("https://people.login.example/", "ada")
    browser.forget("AWSELBAuthSessionCookie-")
    after = browser.get("https://people.login.example/")
    assert after.received["x-amzn-oidc-identity"] == "ada"
    assert after.received["x-amzn-oidc-accesstoken"] != page.received["x-amzn-oidc-accesstoken"]


def test_users_with_many_claims(browser: Browser) -> None:
    page = browser.log_in("https://people.login.example/", "grace+6000")
    data = page.received["x-amzn-oidc-data"]
    assert len(json.loads(urlsafe_b64decode(data.split(".")[1]))["about"]) == 6000

    def shards() -> list[str]:
        return sorted(name for name in browser.cookies() if name.startswith("AWSELB"))

    assert shards() == ["AWSELBAuthSessionCookie-0", "AWSELBAuthSessionCookie-1"]
    assert all(len(value) < 4096 for value in browser.cookies().values())
    browser.forget("")
    assert browser.log_in("https://people.login.example/", "grace+11300").status == 500
    assert shards() == []


def test_a_user_who_does_not_agree_is_not_let_in(browser: Browser) -> None:
    page = browser.log_in("https://people.login.example/", "ada", agrees=False)
    assert (page.status, page.header("content-type"), page.header("server")) == (401, "text/html", "awselb/2.0")
    assert "<center><h1>401 Authorization Required</h1></center>" in page.body
    assert page.url.startswith("https://people.login.example/oauth2/idpresponse?error=access_denied&")


@pytest.mark.parametrize(
    ("name", "status", "reported"),
    [
        ("silent", 561, "the identity provider returned the error 'login_required'"),
        ("imposter", 561, "/token answered 401 invalid_client (AuthTokenEpRequestFailed)"),
        ("lonely", 500, "POST https://127.0.0.1:1/token: All connection attempts failed (AuthTokenEpRequestTimeout)"),
        ("anonymous", 401, "there is no ID token: does the scope include openid? (AuthInvalidIdToken)"),
        ("stranger", 401, "not https://other.login.example (AuthInvalidIdToken)"),
    ],
)
def test_faults_of_providers_and_rules(login: Up, browser: Browser, name: str, status: int, reported: str) -> None:
    page = browser.log_in(f"https://{host(name)}/", "ada")
    assert page.status == status
    assert (page.header("server"), page.header("content-type")) == ("awselb/2.0", "text/html")
    assert reported in login.log()


def test_an_access_token_that_expires_is_refreshed(browser: Browser) -> None:
    url = "https://brief.login.example/"
    first = browser.log_in(url, "ada")
    old = browser.cookies()
    time.sleep(1.1)
    second = browser.get(url, follow=False)
    assert second.received["x-amzn-oidc-accesstoken"] != first.received["x-amzn-oidc-accesstoken"]
    assert [each.partition("=")[0] for each in second.all("set-cookie")] == ["AWSELBAuthSessionCookie-0"]
    assert "SameSite" not in second.all("set-cookie")[0]
    time.sleep(1.1)
    foreign = browser.get(url, "-H", "Origin: https://elsewhere.example", follow=False)
    assert foreign.all("set-cookie")[0].endswith("; Secure; HttpOnly; SameSite=None")
    # A refresh token serves once: whoever has kept the session of before does not get another from it.
    kept = "; ".join(f"{name}={value}" for name, value in old.items())
    replayed = browser.get(url, "-H", f"Cookie: {kept}", follow=False, jar=False)
    assert (replayed.status, replayed.all("set-cookie")[0][:16]) == (302, "AWSALBAuthNonce=")


def test_without_refresh_tokens_a_session_outlasts_its_access_token(browser: Browser) -> None:
    first = browser.log_in("https://bare.login.example/", "ada")
    time.sleep(1.1)
    second = browser.get("https://bare.login.example/", follow=False)
    assert second.received["x-amzn-oidc-accesstoken"] == first.received["x-amzn-oidc-accesstoken"]


def test_a_session_ends_after_its_time(browser: Browser) -> None:
    browser.log_in("https://hasty.login.example/", "ada")
    time.sleep(1.1)
    assert browser.get("https://hasty.login.example/", follow=False).status == 302


def test_who_is_not_logged_in_is_denied_or_allowed(browser: Browser) -> None:
    assert browser.get("https://closed.login.example/", follow=False).status == 401
    visitor = browser.get("https://open.login.example/", "-H", "x-amzn-oidc-identity: forged", follow=False)
    assert not [name for name in visitor.received if name.startswith("x-amzn-oidc-")]
    # Sessions are of their names, which rules of one host may share; here each host has its own.
    page = browser.log_in("https://people.login.example/", "ada")
    kept = browser.cookies()["AWSELBAuthSessionCookie-0"]
    known = browser.get("https://open.login.example/", "-H", f"Cookie: Visitor-0={kept}", follow=False)
    assert known.received["x-amzn-oidc-identity"] == page.received["x-amzn-oidc-identity"]


def test_the_answer_must_match_the_request(login: Up, browser: Browser) -> None:
    def back(query: str, *arguments: str, jar: bool = True) -> int:
        url = f"https://people.login.example/oauth2/idpresponse?{query}"
        return browser.get(url, *arguments, follow=False, jar=jar).status

    began = browser.get("https://people.login.example/", follow=False)
    state = re.search(r"state=([^&]+)", began.header("location") or "")
    assert state is not None
    assert back("code=x") == 401
    assert back("code=x&state=forged") == 401
    assert back(f"code=x&state={state[1]}", jar=False) == 401
    assert back(f"code=x&state={state[1]}", "-H", "Cookie: AWSALBAuthNonce=0000000000000000", jar=False) == 401
    assert back(f"state={state[1]}") == 401
    assert back(f"code=x&state={state[1]}") == 401  # the provider has never given this code
    assert browser.get("https://closed.login.example/", "-H", "Cookie: AWSELBAuthSessionCookie-0=x").status == 401
    reasons = [
        "AuthMissingStateParam",
        "AuthInvalidStateParam",
        "AuthMissingAWSALBAuthNonce",
        "AuthInvalidAWSALBAuthNonce",
        "AuthMissingCodeParam",
        "AuthInvalidGrantError",
        "AuthInvalidCookie",
    ]
    lines = _access_log(login, until=reasons[-1])
    assert [line[24] for line in lines if line[24] in reasons][-len(reasons) :] == reasons
    (late,) = [line for line in lines if line[24] == "AuthInvalidGrantError"][-1:]
    # As AWS logs them: no rule was looked at, and nothing but authentication done.
    assert (late[8], late[9], late[20], late[22], late[23]) == ("401", "-", "-1", "authenticate", "-")
    (sent,) = [line for line in lines if line[12].startswith("GET https://people.login.example:443/ ")][-1:]
    assert (sent[8], sent[22], sent[23], sent[24]) == ("302", "authenticate", "-", "-")


def test_logins_are_counted_under_cloudwatchs_names(login: Up, browser: Browser) -> None:
    names = ("Success", "Failure", "Error", "RefreshTokenSuccess", "UserClaimsSizeExceeded")

    def counts() -> dict[str, int]:
        text = login.curl("--noproxy", "*", login.status()["addresses"]["metrics"])
        found = re.findall(r'^ELBAuth(\w+)\{LoadBalancer="app/k8s-login-[^"]+"\} (\d+)$', text, re.MULTILINE)
        return {name: int(value) for name, value in found}

    before = counts()
    assert sorted(before) == sorted(names)
    browser.log_in("https://brief.login.example/", "ada")
    time.sleep(1.1)
    browser.get("https://brief.login.example/", follow=False)
    browser.get("https://people.login.example/oauth2/idpresponse?code=x", follow=False)
    browser.log_in("https://imposter.login.example/", "ada")
    browser.forget("")
    browser.log_in("https://people.login.example/", "grace+11300")
    assert {name: value - before[name] for name, value in counts().items()} == dict.fromkeys(names, 1)


def test_the_clients_secret_is_shown_by_no_api(login: Up, provider: Provider) -> None:
    balancer = _aws(login, "describe-load-balancers")["LoadBalancers"][0]["LoadBalancerArn"]
    (listener,) = _aws(login, "describe-listeners", "--load-balancer-arn", balancer)["Listeners"]
    rules = _aws(login, "describe-rules", "--listener-arn", listener["ListenerArn"])
    assert "AuthenticateOidcConfig" in json.dumps(rules)
    reported = json.dumps(rules) + login.log() + login.lockgate("status").stdout
    assert not [secret for secret in provider.secrets.values() if secret in reported]


def test_a_program_needs_a_token_that_the_provider_signed(login: Up, provider: Provider) -> None:
    url = "https://programs.login.example/"
    token = provider.token("program", url)
    assert _status(login, url) == "401"
    assert _status(login, url, "-H", f"Authorization: Bearer {token[:-8]}AAAAAAAA") == "401"
    reported = json.loads(login.curl("-H", f"Authorization: Bearer {token}", url))
    assert dict(reported["headers"])["authorization"] == f"Bearer {token}"


def test_a_provider_may_be_behind_the_edge_itself(login: Up, provider: Provider) -> None:
    url = "https://near.login.example/"
    assert _status(login, url, "-H", f"Authorization: Bearer {provider.token('program', url)}") == "200"
    assert _status(login, url, "-H", "Authorization: Bearer a.b.c") == "401"


def _verify(token: str, pem: str) -> None:
    """As a backend would. Raises `InvalidSignature`."""
    signed, _, signature = token.rpartition(".")
    raw = urlsafe_b64decode(signature)
    key = load_pem_public_key(pem.encode())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    r, s = (int.from_bytes(part, "big") for part in (raw[:32], raw[32:]))
    key.verify(encode_dss_signature(r, s), signed.encode(), ec.ECDSA(hashes.SHA256()))


def _aws(edge: Up, *arguments: str) -> Any:
    return json.loads(edge.exec("aws", "elbv2", *arguments, "--output", "json"))


def _status(edge: Up, url: str, *arguments: str) -> str:
    return edge.curl("-o", "/dev/null", "-w", "%{http_code}", *arguments, url)


def _access_log(edge: Up, until: str) -> list[list[str]]:
    """The lines' fields, once one of them has `until`."""
    folder = Path(edge.status()["files"]["access_logs"])
    text = ""

    def there() -> bool:
        nonlocal text
        text = "".join(file.read_text() for file in folder.rglob("*.log"))
        return until in text

    edge.wait(until=there, what=f"{until} in the access log")
    return [shlex.split(line) for line in text.splitlines()]
