"""Rules that authenticate, through a real Envoy, with an identity provider that fails on purpose.

Whole logins are in tests/edge/test_login.py, with a certified provider.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from alb_lab import Answer, Lab, laboratory, read_request
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from lockgate.controllers.elastic_load_balancing import Authentication, identity_provider
from lockgate.embedded.http import serve
from lockgate.loadbalancer.model import (
    Action,
    AuthenticateOidc,
    Forward,
    JwtClaim,
    JwtValidation,
    Listener,
    LoadBalancer,
    PathPattern,
    Rule,
    TargetGroup,
    WeightedTargetGroup,
)
from lockgate.xds.loadbalancer import Socket, authentication_of, rule_key

ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:"
WEB = TargetGroup(f"{ARN}targetgroup/web/0123456789abcdef", "web", 80)
FORWARD = Forward((WeightedTargetGroup(WEB.reference),))


class Provider:
    """Tokens for the code ``good``, their claims, the keys that it signs with; `instead` has other answers by path."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(65537, 2048)
        self.url = ""
        self.forms: list[dict[str, list[str]]] = []
        self.lifetime = 3600
        self.instead: dict[str, tuple[int, Any]] = {}
        self.drips = ""  # the path where an answer never ends

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            line, headers, body = await read_request(reader)
            status, answer = self.answer(line, {name.lower(): value for name, value in headers}, body.decode())
            if self.drips and self.drips in line:
                writer.write(b"HTTP/1.1 200 So\r\nContent-Length: 1000\r\n\r\n")
            while self.drips and self.drips in line:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)
            text = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            writer.write(f"HTTP/1.1 {status} So\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)
            await writer.drain()
        writer.close()

    def answer(self, line: str, headers: dict[str, str], body: str) -> tuple[int, Any]:
        path = line.split(" ")[1]
        if path in self.instead:
            return self.instead[path]
        if line.startswith("POST /token"):
            form = parse_qs(body)
            self.forms.append(form)
            if form.get("code") == ["good"] or form.get("refresh_token") == ["again"]:
                return 200, self.tokens()
            return 400, {"error": "invalid_grant"}
        if line.startswith("GET /userinfo"):
            known = headers.get("authorization") == "Bearer access"
            return (200, {"sub": "user-1", "email": "ada@example.com"}) if known else (401, {})
        if line.startswith("GET /keys"):
            numbers = self.key.public_key().public_numbers()
            return 200, {"keys": [{"kty": "RSA", "kid": "1", "n": _number(numbers.n), "e": _number(numbers.e)}]}
        return 404, {}

    def tokens(self, **more: Any) -> dict[str, Any]:
        given = {"access_token": "access", "refresh_token": "again", "expires_in": self.lifetime}
        return {**given, "id_token": self.token(aud="client"), **more}

    def token(self, alg: str = "RS256", **claims: Any) -> str:
        header = {"alg": alg, "kid": "1"}
        body = {"iss": self.url, "exp": time.time() + 60, **claims}
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in (header, body))
        signature = self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_encoded(signature)}"


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _number(value: int) -> str:
    return _encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class Story:
    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.provider = Provider()
        port = lab.run(lab.listen(self.provider.handle, secure=True))
        self.provider.url = f"https://127.0.0.1:{port}"
        trust = ssl.create_default_context()
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
        self.authentication = Authentication(trust)
        server = lab.run(serve(self.authentication, hosts=None))
        lab.authentication = Socket(server.host, server.port)
        self.balancer: LoadBalancer

    def rules(self, *before: Action) -> None:
        rules = tuple(
            Rule(at, (PathPattern((f"/{at}*",)),), (action, FORWARD)) for at, action in enumerate(before, start=1)
        )
        certificates = (f"{ARN}certificate/a.example.com",)
        listener = Listener(443, "HTTPS", (FORWARD,), rules=rules, certificates=certificates)
        self.balancer = LoadBalancer(
            "lab",
            (listener,),
            {WEB.reference: WEB},
            arn=f"{ARN}loadbalancer/app/lab/0123456789abcdef",
            dns_name="lab.example",
        )
        self.authentication.actions = {
            rule_key(self.balancer, listener, rule): (action, self.balancer.arn)
            for rule in rules
            if isinstance(action := authentication_of(listener, rule), AuthenticateOidc | JwtValidation)
        }
        self.lab.serve(self.balancer)

    def get(self, path: str, *headers: str) -> Answer:
        lines = [f"GET {path} HTTP/1.1", "Host: a.example.com", *headers, "", ""]
        return self.lab.ask(self.balancer, "\r\n".join(lines), port=443)

    def oidc(self, **more: Any) -> AuthenticateOidc:
        url = self.provider.url
        return AuthenticateOidc(url, f"{url}/authorize", f"{url}/token", f"{url}/userinfo", "client", "secret", **more)


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    with laboratory() as lab:
        yield Story(lab)


def cookies(answer: Answer) -> str:
    return "Cookie: " + "; ".join(each.partition(";")[0] for each in answer.all("set-cookie"))


def test_the_target_gets_the_claims_of_a_user_who_logs_in(story: Story) -> None:
    story.rules(story.oidc(extra_parameters={"prompt": "login"}))
    began = story.get("/1/a?b=c")
    assert began.status == 302
    location = began.header("location") or ""
    asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
    assert location.startswith(f"{story.provider.url}/authorize?")
    assert asked["redirect_uri"] == "https://a.example.com/oauth2/idpresponse"
    assert (asked["client_id"], asked["response_type"], asked["scope"], asked["prompt"]) == (
        "client", "code", "openid", "login",
    )  # fmt: skip
    assert cookies(began).startswith("Cookie: AWSALBAuthNonce=")

    back = story.get(f"/oauth2/idpresponse?code=good&state={asked['state']}", cookies(began))
    assert (back.status, back.header("location")) == (302, "https://a.example.com/1/a?b=c")
    assert all("Secure" in each and "Expires=" in each for each in back.all("set-cookie"))
    assert cookies(back).startswith("Cookie: AWSELBAuthSessionCookie-0=")
    (form,) = story.provider.forms[-1:]
    assert (form["client_id"], form["client_secret"], form["grant_type"]) == (
        ["client"],
        ["secret"],
        ["authorization_code"],
    )

    seen = story.get("/1/a?b=c", cookies(back), "x-amzn-oidc-identity: forged")
    assert seen.status == 200
    assert seen.seen["path"] == "/1/a?b=c"
    assert seen.seen_header("x-amzn-oidc-identity") == ["user-1"]
    assert seen.seen_header("x-amzn-oidc-accesstoken") == ["access"]
    header, claims = (
        json.loads(urlsafe_b64decode(part)) for part in seen.seen_header("x-amzn-oidc-data")[0].split(".")[:2]
    )
    assert (header["alg"], header["signer"], header["client"]) == ("ES256", story.balancer.arn, "client")
    assert (claims["sub"], claims["email"]) == ("user-1", "ada@example.com")
    assert header["kid"] == story.authentication.public_key()[0]


DEEP = '{"a":' + "[" * 100_000
Broken = tuple[str, int, Callable[[Provider], Any]]  # path, status, and what is answered there

# What goes wrong at the provider, what the client is answered, and what the access log says (`error_reasons`).
BROKEN: dict[str, tuple[Broken, int, str]] = {
    "the code was spent": (("/token", 400, lambda _: {"error": "invalid_grant"}), 401, "AuthInvalidGrantError"),
    "the client is unknown": (("/token", 401, lambda _: {"error": "invalid_client"}), 561, "AuthTokenEpRequestFailed"),
    "the token endpoint is ill": (("/token", 503, lambda _: "<html>"), 561, "AuthTokenEpRequestFailed"),
    "tokens are no JSON": (("/token", 200, lambda _: "access_token=a"), 401, "AuthInvalidTokenResponse"),
    "no access token": (("/token", 200, lambda p: p.tokens(access_token=None)), 401, "AuthInvalidTokenResponse"),
    "no lifetime": (("/token", 200, lambda p: p.tokens(expires_in="soon")), 401, "AuthInvalidTokenResponse"),
    "no ID token": (("/token", 200, lambda p: p.tokens(id_token=None)), 401, "AuthInvalidIdToken"),
    "an ID token for others": (
        ("/token", 200, lambda p: p.tokens(id_token=p.token(aud=["other"]))), 401, "AuthInvalidIdToken",
    ),
    "an expired ID token": (
        ("/token", 200, lambda p: p.tokens(id_token=p.token(aud="client", exp=1))), 401, "AuthInvalidIdToken",
    ),
    "an ID token that is none": (("/token", 200, lambda p: p.tokens(id_token="a.b.c")), 401, "AuthInvalidIdToken"),
    "claims are refused": (("/userinfo", 403, lambda _: {}), 561, "AuthUserinfoEpRequestFailed"),
    "claims are a token": (("/userinfo", 200, lambda _: "a.b.c"), 401, "AuthInvalidUserinfoResponse"),
    "claims are a list": (("/userinfo", 200, lambda _: []), 401, "AuthInvalidUserinfoResponse"),
    "too many claims": (("/userinfo", 200, lambda _: {"x": "a" * 11264}), 500, "AuthUserinfoResponseSizeExceeded"),
    "an endless lifetime": (("/token", 200, lambda p: p.tokens(expires_in=10**400)), 401, "AuthInvalidTokenResponse"),
    "an access token of two lines": (
        ("/token", 200, lambda p: p.tokens(access_token="access\r\nX-Is: in")), 401, "AuthInvalidTokenResponse",
    ),
    "an ID token too deep to read": (
        ("/token", 200, lambda p: p.tokens(id_token=f"a.{_encoded(DEEP.encode())}.c")), 401, "AuthInvalidIdToken",
    ),
    "tokens too deep to read": (("/token", 200, lambda _: DEEP), 401, "AuthInvalidTokenResponse"),
    "claims too deep to read": (("/userinfo", 200, lambda _: DEEP), 401, "AuthInvalidUserinfoResponse"),
    "a subject of two lines": (("/userinfo", 200, lambda _: {"sub": "a\nb"}), 401, "AuthInvalidUserinfoResponse"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_failures_of_the_identity_provider(story: Story, name: str, caplog: pytest.LogCaptureFixture) -> None:
    (path, answered, body), status, reason = BROKEN[name]
    story.rules(story.oidc())
    began = story.get("/1")
    state = parse_qs(urlsplit(began.header("location") or "").query)["state"][0]
    story.provider.instead = {path: (answered, body(story.provider))}
    try:
        back = story.get(f"/oauth2/idpresponse?code=good&state={state}", cookies(began))
    finally:
        story.provider.instead = {}
    assert (back.status, back.header("server"), back.all("set-cookie")) == (status, "awselb/2.0", [])
    assert f"<h1>{status} ".encode() in back.body
    (message,) = [each.message for each in caplog.records if "idpresponse" in each.message]
    assert message.startswith("https://a.example.com/oauth2/idpresponse: ")
    assert message.endswith(f"({reason})")


def test_a_provider_that_answers_with_an_error(story: Story) -> None:
    story.rules(story.oidc())
    began = story.get("/1")
    state = parse_qs(urlsplit(began.header("location") or "").query)["state"][0]
    for error, status in (("access_denied", 401), ("server_error", 561)):
        back = story.get(f"/oauth2/idpresponse?error={error}&state={state}", cookies(began))
        assert (back.status, back.header("content-type")) == (status, "text/html")


def test_client_input_cannot_break_a_log_line(story: Story, caplog: pytest.LogCaptureFixture) -> None:
    assert story.get("/oauth2/idpresponse?error=a%0Ab&error_description=c%0D%0Ad").status == 401
    assert r"'a\nb' 'c\r\nd'" in caplog.text


def test_an_endless_response_of_the_identity_provider(
    story: Story, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity_provider, "SECONDS", 0.3)
    story.rules(story.oidc())
    began = story.get("/1")
    state = parse_qs(urlsplit(began.header("location") or "").query)["state"][0]
    story.provider.drips = "/token"
    try:
        assert story.get(f"/oauth2/idpresponse?code=good&state={state}", cookies(began)).status == 500
    finally:
        story.provider.drips = ""
    assert "(AuthTokenEpRequestTimeout)" in caplog.text


def test_an_invalid_key_set(story: Story, caplog: pytest.LogCaptureFixture) -> None:
    story.rules(JwtValidation(f"{story.provider.url}/odd-keys", story.provider.url))
    story.provider.instead = {"/odd-keys": (200, {"keys": None})}
    try:
        assert story.get("/1", f"Authorization: Bearer {story.provider.token()}").status == 500
    finally:
        story.provider.instead = {}
    assert "(AuthUnhandledException)" in caplog.text


def test_the_largest_session(story: Story) -> None:
    story.rules(story.oidc())
    began = story.get("/1")
    state = parse_qs(urlsplit(began.header("location") or "").query)["state"][0]
    claims = {"sub": "user-1", "known": token_urlsafe(8160)}  # as text 10,880 characters, and hardly compressible
    story.provider.instead = {"/userinfo": (200, claims)}
    try:
        back = story.get(f"/oauth2/idpresponse?code=good&state={state}", cookies(began))
    finally:
        story.provider.instead = {}
    assert [each.partition("=")[0] for each in back.all("set-cookie")] == [
        f"AWSELBAuthSessionCookie-{at}" for at in range(3)
    ]
    assert all(len(each.partition(";")[0]) < 4096 for each in back.all("set-cookie"))
    (token,) = story.get("/1", cookies(back)).seen_header("x-amzn-oidc-data")
    assert json.loads(urlsafe_b64decode(token.split(".")[1]))["known"] == claims["known"]


def test_a_smaller_session_ends_the_cookies_of_a_larger_one(story: Story) -> None:
    story.rules(story.oidc())
    began = story.get("/1")
    state = parse_qs(urlsplit(began.header("location") or "").query)["state"][0]
    stale = "; AWSELBAuthSessionCookie-1=stale; AWSELBAuthSessionCookie-3=stale; other=1"
    back = story.get(f"/oauth2/idpresponse?code=good&state={state}", cookies(began) + stale)
    made = {each.partition("=")[0]: each for each in back.all("set-cookie")}
    assert set(made) == {f"AWSELBAuthSessionCookie-{at}" for at in (0, 1, 3)}
    assert "=; Expires=Thu, 01 Jan 1970 00:00:00 GMT;" in made["AWSELBAuthSessionCookie-1"]


def test_unauthenticated_requests_are_denied_or_allowed_as_the_rule_says(story: Story) -> None:
    story.rules(story.oidc(on_unauthenticated_request="deny"), story.oidc(on_unauthenticated_request="allow"))
    assert story.get("/1").status == 401
    allowed = story.get("/2", "x-amzn-oidc-identity: forged")
    assert (allowed.status, allowed.seen_header("x-amzn-oidc-identity")) == (200, [])
    assert story.get("/other").status == 200


def test_an_expired_access_token_is_refreshed(story: Story) -> None:
    story.rules(story.oidc())
    story.provider.lifetime = -1
    began = story.get("/1")
    state = parse_qs(urlsplit(began.header("location") or "").query)["state"][0]
    back = story.get(f"/oauth2/idpresponse?code=good&state={state}", cookies(began))
    story.provider.lifetime = 3600
    seen = story.get("/1", cookies(back))
    assert seen.seen_header("x-amzn-oidc-identity") == ["user-1"]
    assert story.provider.forms[-1]["grant_type"] == ["refresh_token"]
    assert cookies(seen).startswith("Cookie: AWSELBAuthSessionCookie-0=")


TOKENS: dict[str, tuple[dict[str, Any], int]] = {
    "valid": ({"scope": "read write"}, 200),
    "another issuer": ({"scope": "read", "iss": "https://other.example"}, 401),
    "expired": ({"scope": "read", "exp": 1}, 401),
    "no expiry": ({"scope": "read", "exp": None}, 401),
    "not yet": ({"scope": "read", "nbf": 1 << 40}, 401),
    "a claim missing": ({"scope": "write"}, 401),
    "another algorithm": ({"scope": "read", "alg": "none"}, 401),
}


@pytest.mark.parametrize("name", TOKENS)
def test_jwts_of_clients(story: Story, name: str) -> None:
    claims, status = TOKENS[name]
    scope = JwtClaim("scope", "space-separated-values", ("read",))
    story.rules(JwtValidation(f"{story.provider.url}/keys", story.provider.url, (scope,)))
    answer = story.get("/1", f"Authorization: Bearer {story.provider.token(**claims)}")
    assert answer.status == status
    if status == 200:
        assert answer.seen_header("authorization")[0].startswith("Bearer ")


def test_without_a_jwt_or_without_keys(story: Story) -> None:
    story.rules(JwtValidation(f"{story.provider.url}/keys", story.provider.url))
    assert story.get("/1").status == 401
    assert story.get("/1", "Authorization: Bearer a.b.c").status == 401
    deep = _encoded(b"[" * 2_000)
    assert story.get("/1", f"Authorization: Bearer {deep}.{deep}.c").status == 401
    token = story.provider.token()
    head, body, _ = token.split(".")
    assert story.get("/1", f"Authorization: Bearer {head}.{body}.{_encoded(b'forged')}").status == 401
    story.rules(JwtValidation(f"{story.provider.url}/none", story.provider.url))
    assert story.get("/1", f"Authorization: Bearer {token}").status == 500
