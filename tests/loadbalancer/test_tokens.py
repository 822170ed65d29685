"""JWTs of clients and of identity providers; sessions in cookies."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from lockgate.loadbalancer.jwt import id_token_refusal, refusal, signed_by_us
from lockgate.loadbalancer.model import AuthenticateOidc, JwtClaim, JwtValidation
from lockgate.loadbalancer.sessions import (
    SHARD_BYTES,
    Session,
    authorization_url,
    cookies_of,
    open_login,
    open_session,
    seal,
    session_cookies,
    sharded,
)

ISSUER, NOW = "https://id.example", 1000.0
VALIDATION = JwtValidation("https://id.example/keys", ISSUER)
CLAIMS = {"iss": ISSUER, "exp": 1100}


@cache
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def encoded(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def token(claims: object = CLAIMS, **header: Any) -> str:
    body = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "one", **header}, claims))
    return f"{body}.{encoded(key().sign(body.encode(), padding.PKCS1v15(), SHA256()))}"


def jwks(kid: str = "one") -> list[dict[str, Any]]:
    numbers = key().public_key().public_numbers()
    return [{"kid": kid, "e": encoded(numbers.e.to_bytes(3, "big")), "n": encoded(numbers.n.to_bytes(256, "big"))}]


def scope(*values: str, form: Any = "space-separated-values") -> JwtValidation:
    return JwtValidation("", ISSUER, (JwtClaim("scope", form, values),))


@pytest.mark.parametrize(
    ("text", "keys", "validation", "why"),
    [
        (token(), jwks(), VALIDATION, None),
        (token(CLAIMS | {"nbf": 1000, "iat": 999.5}), jwks(), VALIDATION, None),
        ("a.b", jwks(), VALIDATION, "it is not a JWT"),
        ("a.b.c", jwks(), VALIDATION, "it is not a JWT"),
        (token([1]), jwks(), VALIDATION, "it is not a JWT"),
        (token(alg="none"), jwks(), VALIDATION, "its algorithm is 'none', not RS256"),
        (token(), jwks("two"), VALIDATION, "no key of the JWKS has signed it"),
        (token()[:-8] + "AAAAAAAA", jwks(), VALIDATION, "no key of the JWKS has signed it"),
        (token(), [{"kid": "one"}], VALIDATION, "no key of the JWKS has signed it"),
        (token({"exp": 1100}), jwks(), VALIDATION, "its issuer is None, not https://id.example"),
        (token({"iss": ISSUER}), jwks(), VALIDATION, "its exp is None, and it is 1000 now"),
        (token({"iss": ISSUER, "exp": 1000}), jwks(), VALIDATION, "its exp is 1000, and it is 1000 now"),
        (token(CLAIMS | {"nbf": 1001}), jwks(), VALIDATION, "its nbf is 1001, and it is 1000 now"),
        (token(CLAIMS | {"iat": "soon"}), jwks(), VALIDATION, "its iat is soon, and it is 1000 now"),
        (token(CLAIMS | {"scope": "a b"}), jwks(), scope("b", "c"), None),
        (token(CLAIMS | {"scope": "a b"}), jwks(), scope("c"), "its claim scope is a b"),
        (token(CLAIMS | {"scope": "a"}), jwks(), scope("a", form="single-string"), None),
        (token(CLAIMS | {"scope": ["a"]}), jwks(), scope("a", form="string-array"), None),
        (token(CLAIMS | {"scope": "a"}), jwks(), scope("a", form="string-array"), "its claim scope is a"),
        (token(), jwks(), scope("a"), "its claim scope is None"),
    ],
)
def test_tokens_of_clients(text: str, keys: list[dict[str, Any]], validation: JwtValidation, why: str | None) -> None:
    assert refusal(text, keys, validation, NOW) == why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (token(CLAIMS | {"aud": "client"}), None),
        (token(CLAIMS | {"aud": ["other", "client"]}), None),
        (None, "there is no ID token: does the scope include openid?"),
        ("x", "it is not a JWT"),
        (token({"iss": "https://other.example"}), "its issuer is https://other.example, not https://id.example"),
        (token(CLAIMS | {"aud": "other"}), "it is for other, not client"),
        (token({"iss": ISSUER, "aud": "client", "exp": 999}), "its exp is 999, and it is 1000 now"),
    ],
)
def test_tokens_of_identity_providers(text: object, why: str | None) -> None:
    assert id_token_refusal(text, ISSUER, "client", NOW) == why


def test_a_token_for_targets_is_signed_and_keeps_its_padding() -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    header, claims, signature = signed_by_us({"alg": "ES256"}, {"sub": "me"}, own).split(".")
    assert json.loads(urlsafe_b64decode(claims)) == {"sub": "me"}
    raw = urlsafe_b64decode(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    own.public_key().verify(der, f"{header}.{claims}".encode(), ec.ECDSA(SHA256()))


def test_a_session_survives_its_cookies() -> None:
    session = Session({"sub": "me", "long": "x" * 9000}, "access", 1000.0, 2000.0, "refresh")
    sealed = seal(session, b"k" * 32, b"n" * 12)
    assert open_session(sealed, b"k" * 32) == session
    assert open_login(sealed, b"k" * 32) is None
    assert session.subject == "me"
    value = "v" * (SHARD_BYTES + 1)
    made = list(session_cookies("S", value, NOW, held=["S-1", "S-2"], cross_origin=True))
    assert [each.partition("=")[0] for each in made] == ["S-0", "S-1", "S-2"]
    assert made[2] == "S-2=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; Secure; HttpOnly; SameSite=None"
    sent = cookies_of("; ".join(each.partition(";")[0] for each in made))
    assert sharded("S", sent) == value
    with pytest.raises(ValueError, match="does not fit"):
        list(session_cookies("S", "v" * (SHARD_BYTES * 4 + 1), NOW))


@pytest.mark.parametrize(
    ("header", "cookies"),
    [(None, {}), ("a=1; b=2=3;c ; d=", {"a": "1", "b": "2=3", "d": ""})],
)
def test_cookies(header: str | None, cookies: dict[str, str]) -> None:
    assert cookies_of(header) == cookies


@pytest.mark.parametrize(
    ("endpoint", "start"),
    [
        ("https://id.example/login", "https://id.example/login?"),
        ("https://id.example/?p=1", "https://id.example/?p=1&"),
    ],
)
def test_where_a_login_begins(endpoint: str, start: str) -> None:
    action = AuthenticateOidc(
        ISSUER, endpoint, "t", "u", "me", scope="openid email", extra_parameters={"prompt": "a b"}
    )
    assert authorization_url(action, "Shop.Example", "s/1") == (
        f"{start}client_id=me&redirect_uri=https%3A%2F%2Fshop.example%2Foauth2%2Fidpresponse&response_type=code"
        "&scope=openid%20email&state=s%2F1&prompt=a%20b"
    )
