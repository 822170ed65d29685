"""Rules that authenticate: Envoy asks here, for each of their requests, whether it may go on and as whom.

An ASGI application. Asked paths are ``/RULE/original/path?query``; 200 lets the request pass with the headers of the
answer, anything else is the client's answer.
"""

from __future__ import annotations

import json
import logging
import os
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from lockgate.controllers.elastic_load_balancing.platform import ProxyTo
from lockgate.loadbalancer import sessions
from lockgate.loadbalancer.model import AuthenticateCognito, AuthenticateOidc, JwtValidation, PreAction
from lockgate.loadbalancer.sessions import Login, Session
from lockgate.loadbalancer.tokens import refusal, signed_by_us

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

log = logging.getLogger("lockgate.elastic_load_balancing")

# Envoy takes an answer of 5xx for a failure of this service; it makes 561 of this one.
PROVIDER_ERROR = 461
OWN_HEADERS = ("x-amzn-oidc-data", "x-amzn-oidc-identity", "x-amzn-oidc-accesstoken")
JWKS_BYTES, JWKS_KEYS, JWKS_SECONDS = 150 * 1024, 10, 300.0


class IdentityProviderFailed(Exception):
    """An endpoint of the identity provider could not be asked, or did not answer as it must."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Asked:
    rule: str
    uri: str
    host: str
    headers: Mapping[str, str]


class Authentication:
    """`actions` goes from a rule's key to what must succeed before it; `signer` is the load balancer's ARN by rule."""

    def __init__(self, trust: ssl.SSLContext | None = None, proxy_to: ProxyTo | None = None) -> None:
        self.actions: Mapping[str, tuple[PreAction, str]] = {}
        self._trust = trust
        self._proxy_to = proxy_to
        self._key = os.urandom(32)
        self._keys: dict[str, tuple[float, list[dict[str, Any]]]] = {}
        self._signing: tuple[str, EllipticCurvePrivateKey] | None = None

    def public_key(self) -> tuple[str, str]:
        """(kid, PEM) of the key that signs x-amzn-oidc-data."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        kid, key = self._signing_key()
        return kid, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    async def __call__(
        self,
        scope: dict[str, Any],
        _receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        if scope["type"] != "http":
            return
        answer = await self._answer(scope)
        headers = [(name.encode(), value.encode()) for name, value in answer.headers]
        headers.append((b"content-length", b"0"))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def _answer(self, scope: dict[str, Any]) -> Answer:
        raw = scope["raw_path"].decode("latin-1").partition("?")[0]
        query = scope["query_string"].decode("latin-1")
        rule, _, path = raw.removeprefix("/").partition("/")
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        uri = f"/{path}?{query}" if query else f"/{path}"
        asked = Asked(rule, uri, headers.get("host", ""), headers)
        try:
            return await self._decide(asked)
        except IdentityProviderFailed as error:
            log.warning("rule %s: %s", rule, error)
            return Answer(500)

    async def _decide(self, asked: Asked) -> Answer:
        path, _, query = asked.uri.partition("?")
        if path == sessions.CALLBACK:
            return await self._called_back(asked, query)
        if asked.rule not in self.actions:
            return Answer(500)
        action, signer = self.actions[asked.rule]
        match action:
            case JwtValidation():
                return await self._check_token(action, asked)
            case AuthenticateOidc():
                return await self._authenticate(action, signer, asked)
            case AuthenticateCognito():
                return Answer(500)  # there is no user pool on this machine

    # --- tokens that clients bring -------------------------------------------------------------------------------

    async def _check_token(self, action: JwtValidation, asked: Asked) -> Answer:
        kind, _, token = asked.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            return Answer(401)
        why = refusal(token.strip(), await self._jwks(action.jwks_endpoint), action, time.time())
        if why is not None:
            log.info("a token was refused: %s", why)
        return Answer(401 if why else 200)

    async def _jwks(self, url: str) -> list[dict[str, Any]]:
        fetched, keys = self._keys.get(url, (0.0, []))
        if keys and time.monotonic() - fetched < JWKS_SECONDS:
            return keys
        answer = await self._request("GET", url, limit=JWKS_BYTES)
        keys = [key for key in answer.get("keys", ()) if isinstance(key, dict)]
        if not keys or len(keys) > JWKS_KEYS:
            raise IdentityProviderFailed(f"{url} has {len(keys)} keys; 1 to {JWKS_KEYS} are taken")
        self._keys[url] = (time.monotonic(), keys)
        return keys

    # --- users who log in ----------------------------------------------------------------------------------------

    async def _authenticate(self, action: AuthenticateOidc, signer: str, asked: Asked) -> Answer:
        cookies = sessions.cookies_of(asked.headers.get("cookie"))
        session = sessions.open_session(sessions.sharded(action.session_cookie_name, cookies), self._key)
        now = time.time()
        renewed: list[tuple[str, str]] = []
        if session is not None and now > session.began + action.session_timeout:
            session = None
        if session is not None and now > session.expires:
            session = await self._refreshed(action, session)
            if session is not None:
                renewed = self._cookies(action, session)
        if session is not None:
            return Answer(200, [*self._identity(action, signer, session), *renewed])
        match action.on_unauthenticated_request:
            case "allow":
                return Answer(200, [("x-envoy-auth-headers-to-remove", ",".join(OWN_HEADERS))])
            case "deny":
                return Answer(401)
            case "authenticate":
                return self._begin(action, asked)

    def _begin(self, action: AuthenticateOidc, asked: Asked) -> Answer:
        if not asked.host:
            return Answer(401)
        nonce, now = os.urandom(16).hex(), time.time()
        state = sessions.seal(Login(asked.rule, asked.uri, nonce, now), self._key, os.urandom(12))
        location = sessions.authorization_url(action, asked.host, state, nonce)
        nonce_cookie = sessions.cookie(sessions.NONCE_COOKIE, nonce, now + sessions.COOKIE_SECONDS)
        return Answer(302, [("location", location), ("set-cookie", nonce_cookie)])

    async def _called_back(self, asked: Asked, query: str) -> Answer:
        """The identity provider sent the client back: a session begins, and the client goes where it wanted to."""
        values = {name: found[0] for name, found in parse_qs(query).items()}
        login = sessions.open_login(values.get("state", ""), self._key)
        cookies = sessions.cookies_of(asked.headers.get("cookie"))
        now = time.time()
        if login is None or cookies.get(sessions.NONCE_COOKIE) != login.nonce:
            return Answer(401)
        if now > login.began + sessions.LOGIN_SECONDS:
            return Answer(401)
        action, _ = self.actions.get(login.rule, (None, ""))
        if not isinstance(action, AuthenticateOidc):
            return Answer(500)
        if "error" in values:
            return Answer(401 if values["error"] == "access_denied" else PROVIDER_ERROR)
        if "code" not in values:
            return Answer(401)
        session = await self._session(
            action,
            {
                "grant_type": "authorization_code",
                "code": values["code"],
                "redirect_uri": f"https://{asked.host}{sessions.CALLBACK}",
            },
        )
        size = len(json.dumps(dict(session.claims))) + len(session.access_token)
        if size > sessions.LARGEST_BYTES:
            return Answer(500)
        back = f"https://{asked.host}{login.uri}"
        return Answer(302, [("location", back), *self._cookies(action, session)])

    async def _session(self, action: AuthenticateOidc, grant: dict[str, str]) -> Session:
        form = {**grant, "client_id": action.client_id, "client_secret": action.client_secret}
        tokens = await self._request("POST", action.token_endpoint, form=form)
        token = tokens.get("access_token")
        if not isinstance(token, str):
            raise IdentityProviderFailed(f"{action.token_endpoint} gave no access token")
        claims = await self._request("GET", action.user_info_endpoint, bearer=token)
        now = time.time()
        return Session(claims, token, now, now + float(tokens.get("expires_in", 3600)), tokens.get("refresh_token", ""))

    async def _refreshed(self, action: AuthenticateOidc, session: Session) -> Session | None:
        if not session.refresh_token:
            return None
        grant = {"grant_type": "refresh_token", "refresh_token": session.refresh_token}
        try:
            renewed = await self._session(action, grant)
        except IdentityProviderFailed:
            return None  # the user logs in again
        return replace(renewed, began=session.began, refresh_token=renewed.refresh_token or session.refresh_token)

    def _cookies(self, action: AuthenticateOidc, session: Session) -> list[tuple[str, str]]:
        value = sessions.seal(session, self._key, os.urandom(12))
        made = sessions.session_cookies(action.session_cookie_name, value, time.time())
        return [("set-cookie", each) for each in made]

    def _identity(self, action: AuthenticateOidc, signer: str, session: Session) -> list[tuple[str, str]]:
        kid, key = self._signing_key()
        expires = int(time.time()) + 120
        header = {
            "typ": "JWT",
            "kid": kid,
            "alg": "ES256",
            "iss": action.issuer,
            "client": action.client_id,
            "signer": signer,
            "exp": expires,
        }
        claims = {**session.claims, "exp": expires, "iss": action.issuer}
        return [
            ("x-amzn-oidc-data", signed_by_us(header, claims, key)),
            ("x-amzn-oidc-identity", session.subject),
            ("x-amzn-oidc-accesstoken", session.access_token),
        ]

    def _signing_key(self) -> tuple[str, EllipticCurvePrivateKey]:
        if self._signing is None:
            from uuid import uuid4

            from cryptography.hazmat.primitives.asymmetric import ec

            self._signing = (str(uuid4()), ec.generate_private_key(ec.SECP256R1()))
        return self._signing

    async def _request(
        self, method: str, url: str, *, form: dict[str, str] | None = None, bearer: str = "", limit: int = 1 << 20
    ) -> dict[str, Any]:
        import httpx

        headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
        verify = self._trust or True
        try:
            proxy = await self._proxy_to(httpx.URL(url).host) if self._proxy_to else None
            async with httpx.AsyncClient(timeout=5, verify=verify, proxy=proxy) as client:
                answer = await client.request(method, url, data=form, headers=headers)
            found = answer.raise_for_status().json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise IdentityProviderFailed(f"{method} {url}: {error or type(error).__name__}") from error
        if not isinstance(found, dict) or len(answer.content) > limit:
            raise IdentityProviderFailed(f"{method} {url}: not the JSON object that it must be")
        return found
