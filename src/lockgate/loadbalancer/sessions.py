"""Sessions of users who logged in with an identity provider: cookies, and the authorization code flow.

The load balancer keeps no session state. All of it is sealed in the client's cookies.
Source: "Authenticate users using an Application Load Balancer".
"""

from __future__ import annotations

import json
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from lockgate.loadbalancer.error_reasons import AuthReason, status_of
from lockgate.loadbalancer.model import AuthenticateOidc

CALLBACK: Final = "/oauth2/idpresponse"
NONCE_COOKIE: Final = "AWSALBAuthNonce"
NONCE_LENGTH: Final = 16
LOGIN_SECONDS: Final = 900
COOKIE_SECONDS: Final = 604800  # fixed: the session timeout is inside the sealed value
SHARD_BYTES: Final = 4000
SHARDS: Final = 4
LARGEST_BYTES: Final = 11 * 1024  # claims and access token together


@dataclass(frozen=True, slots=True)
class Session:
    """`began` is the Unix time of the login, `expires` that of the access token's expiry."""

    claims: Mapping[str, Any]
    access_token: str
    began: float
    expires: float
    refresh_token: str = ""

    @property
    def subject(self) -> str:
        return str(self.claims.get("sub", ""))


@dataclass(frozen=True, slots=True)
class Login:
    """The state that returns with the identity provider's response; `rule` is the rule whose action started the
    login."""

    rule: str
    uri: str
    nonce: str
    began: float


def seal(value: Session | Login, key: bytes, nonce: bytes) -> str:
    """Encrypted and authenticated; `key` has 32 bytes; `nonce` has 12 and must be unique for the key."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    plain = zlib.compress(json.dumps(asdict(value)).encode())  # 11 KB of claims and tokens must fit into four cookies
    return urlsafe_b64encode(nonce + AESGCM(key).encrypt(nonce, plain, None)).decode()


def open_session(value: str, key: bytes) -> Session | None:
    found = _opened(value, key)
    return Session(**found) if found is not None and "claims" in found else None


def open_login(value: str, key: bytes) -> Login | None:
    found = _opened(value, key)
    return Login(**found) if found is not None and "uri" in found else None


def _opened(value: str, key: bytes) -> dict[str, Any] | None:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        raw = urlsafe_b64decode(value)
        found = json.loads(zlib.decompress(AESGCM(key).decrypt(raw[:12], raw[12:], None)))
    except (InvalidTag, ValueError):
        return None
    return found if isinstance(found, dict) else None


def authorization_url(action: AuthenticateOidc, host: str, state: str) -> str:
    """The login URL. As observed on load balancers, it has no nonce, and its parameters come in this order."""
    parameters = {
        "client_id": action.client_id,
        "redirect_uri": callback_url(host),
        "response_type": "code",
        "scope": action.scope,
        "state": state,
        **action.extra_parameters,
    }
    mark = "&" if urlsplit(action.authorization_endpoint).query else "?"
    return f"{action.authorization_endpoint}{mark}{urlencode(parameters, quote_via=quote, safe='')}"


def callback_url(host: str) -> str:
    return f"https://{host.lower()}{CALLBACK}"


def login_failure(
    values: Mapping[str, str], nonce: str | None, login: Login | None, now: float
) -> tuple[int, AuthReason] | None:
    """Why a client's callback does not log it in, with the response's status. None if it may proceed.

    `values` is the callback's query, `nonce` the client's cookie, `login` the unsealed state. The authorization code is
    redeemed only after all checks.
    """
    reason: AuthReason
    if "state" not in values:
        reason = "AuthMissingStateParam"
    elif login is None or now > login.began + LOGIN_SECONDS:
        reason = "AuthInvalidStateParam"
    elif nonce is None:
        reason = "AuthMissingAWSALBAuthNonce"
    elif nonce != login.nonce:
        reason = "AuthInvalidAWSALBAuthNonce"
    elif "code" not in values:
        denied = values.get("error", "access_denied") == "access_denied"
        return (401 if denied else 561), "AuthMissingCodeParam"
    else:
        return None
    return status_of(reason), reason


def cookies_of(header: str | None) -> dict[str, str]:
    pairs = (each.strip().partition("=") for each in (header or "").split(";"))
    return {name: value for name, equals, value in pairs if equals}


def sharded(name: str, cookies: Mapping[str, str]) -> str:
    """A session's value, joined from its cookies."""
    return "".join(cookies.get(f"{name}-{at}", "") for at in range(SHARDS))


def session_cookies(
    name: str, value: str, now: float, *, held: Iterable[str] = (), cross_origin: bool = False
) -> Iterable[str]:
    """Set-Cookie values: at most four shards, and expired cookies for the shards in `held` that are no longer used.

    Raises `ValueError` for a value that does not fit into four cookies.
    """
    if len(value) > SHARD_BYTES * SHARDS:
        raise ValueError("the session does not fit its cookies")
    shards = [value[at : at + SHARD_BYTES] for at in range(0, len(value), SHARD_BYTES)]
    more = "; SameSite=None" if cross_origin else ""
    for at, shard in enumerate(shards):
        yield cookie(f"{name}-{at}", shard, now + COOKIE_SECONDS) + more
    for at in range(len(shards), SHARDS):
        if f"{name}-{at}" in held:
            yield cookie(f"{name}-{at}", "", 0) + more


def cookie(name: str, value: str, expires: float) -> str:
    when = datetime.fromtimestamp(expires, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    return f"{name}={value}; Expires={when}; Path=/; Secure; HttpOnly"
