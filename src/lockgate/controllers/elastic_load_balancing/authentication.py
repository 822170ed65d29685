"""Rules that authenticate: for each of their requests, Envoy asks this service whether to continue, and as which user.

It is an ASGI application for Envoy's ext_authz filter. Its paths are ``/RULE/original/path?query``. With 200, the
request continues with the headers of the answer. Any other answer is sent to the client.
"""

from __future__ import annotations

import logging
import os
import secrets
import ssl
import string
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from lockgate.controllers.elastic_load_balancing.identity_provider import IdentityProviders, ProviderFailed
from lockgate.controllers.elastic_load_balancing.platform import ProxyTo, Receive, Scope, Send
from lockgate.loadbalancer import sessions
from lockgate.loadbalancer.cognito import as_oidc
from lockgate.loadbalancer.error_reasons import HEADER, AuthReason, auth_metric, status_of
from lockgate.loadbalancer.jwt import refusal, signed_by_us
from lockgate.loadbalancer.model import AuthenticateCognito, AuthenticateOidc, JwtValidation, LoadBalancer
from lockgate.loadbalancer.sessions import Login, Session

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

log = logging.getLogger("lockgate.elastic_load_balancing")

# Envoy considers a 5xx answer a failure of this service, and loses the reason. So these statuses stand for 5xx.
FROM_STATUS = {500: 460, 561: 461}
OWN_HEADERS = ("x-amzn-oidc-data", "x-amzn-oidc-identity", "x-amzn-oidc-accesstoken")


@dataclass(frozen=True, slots=True)
class Answer:
    """`reason` is why authentication failed, or empty."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    reason: AuthReason | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    rule: str
    uri: str
    host: str
    headers: Mapping[str, str]

    @property
    def cookies(self) -> Mapping[str, str]:
        return sessions.cookies_of(self.headers.get("cookie"))


def _failed(status: int, reason: AuthReason) -> Answer:
    return Answer(FROM_STATUS.get(status, status), reason=reason)


class Authentication:
    """`actions` maps a rule's key to its action and its load balancer's ARN, the signer of x-amzn-oidc-data."""

    def __init__(self, trust: ssl.SSLContext | None = None, proxy_to: ProxyTo | None = None) -> None:
        self.actions: Mapping[str, tuple[AuthenticateOidc | JwtValidation, str]] = {}
        self._providers = IdentityProviders(trust, proxy_to)
        self._key = os.urandom(32)
        self._signing: tuple[str, EllipticCurvePrivateKey] | None = None
        self._balancers: Mapping[
            str, str
        ] = {}  # by the keys of rules, and of the default rule, which receives callbacks
        self.counts: Counter[tuple[str, str]] = Counter()  # by CloudWatch metric and load balancer

    async def follow(
        self, balancers: Iterable[LoadBalancer], client_secret: Callable[[str], Awaitable[str | None]]
    ) -> None:
        """Sets the current load balancers. `client_secret` returns the secret by the ARN of a rule or listener, because
        the API never returns it. It is used only for logins."""
        from lockgate.xds.loadbalancer import authentication_of, rule_key

        balancers = list(balancers)
        arns = {balancer.arn for balancer in balancers}
        for counted in [each for each in self.counts if each[1] not in arns]:
            del self.counts[counted]
        actions: dict[str, tuple[AuthenticateOidc | JwtValidation, str]] = {}
        owners: dict[str, str] = {}
        for balancer in balancers:
            for listener in balancer.listeners:
                if listener.protocol != "HTTPS":
                    continue  # only HTTPS listeners can authenticate
                owners[rule_key(balancer, listener, None)] = balancer.arn
                for rule in (*listener.rules, None):
                    arn, action = rule.arn if rule else listener.arn, authentication_of(listener, rule)
                    known: AuthenticateOidc | JwtValidation | None = None
                    match action:
                        case JwtValidation():
                            known = action
                        case AuthenticateOidc():
                            known = replace(action, client_secret=await client_secret(arn) or "")
                        case AuthenticateCognito():
                            known = as_oidc(action, await client_secret(arn) or "")
                    if known is not None:
                        key = rule_key(balancer, listener, rule)
                        actions[key], owners[key] = (known, balancer.arn), balancer.arn
        self.actions, self._balancers = actions, owners

    def public_key(self) -> tuple[str, str]:
        """(kid, PEM) of the key that signs x-amzn-oidc-data."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        kid, key = self._signing_key()
        return kid, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        answer = await self._answer(scope)
        headers = [(name.encode(), value.encode()) for name, value in answer.headers]
        headers.append((b"content-length", b"0"))
        if answer.reason is not None:
            headers.append((HEADER.encode(), answer.reason.encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def _answer(self, scope: Scope) -> Answer:
        raw = scope["raw_path"].decode("latin-1").partition("?")[0]
        query = scope["query_string"].decode("latin-1")
        rule, _, path = raw.removeprefix("/").partition("/")
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        uri = f"/{path}?{query}" if query else f"/{path}"
        asked = Asked(rule, uri, headers.get("host", ""), headers)
        try:
            answer = await self._decide(asked)
        except ProviderFailed as error:
            log.warning("https://%s%s: %s (%s)", asked.host, uri.partition("?")[0], error, error.reason)
            answer = _failed(status_of(error.reason), error.reason)
        if answer.reason is not None:
            self._count(auth_metric(answer.reason), asked)
        return answer

    def _count(self, metric: str, asked: Asked) -> None:
        self.counts[metric, self._balancers.get(asked.rule, "")] += 1

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

    # --- JWTs of clients -----------------------------------------------------------------------------------------

    async def _check_token(self, action: JwtValidation, asked: Asked) -> Answer:
        kind, _, token = asked.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            return Answer(401)
        keys = await self._providers.keys(action.jwks_endpoint)
        why = refusal(token.strip(), keys, action, time.time())
        if why is not None:
            log.info("a JWT was refused: %s", why)
        return Answer(401 if why else 200)

    # --- users who log in ----------------------------------------------------------------------------------------

    async def _authenticate(self, action: AuthenticateOidc, signer: str, asked: Asked) -> Answer:
        held = sessions.sharded(action.session_cookie_name, asked.cookies)
        session = sessions.open_session(held, self._key)
        now = time.time()
        renewed: list[tuple[str, str]] = []
        malformed = bool(held) and session is None
        if session is not None and now > session.began + action.session_timeout:
            session = None
        # Without a refresh token, a session lasts for the rule's timeout, even if its access token expires earlier.
        if session is not None and now > session.expires and session.refresh_token:
            session = await self._refreshed(action, session)
            if session is not None:
                self._count("ELBAuthRefreshTokenSuccess", asked)
                renewed = self._cookies(action, session, asked)
        if session is not None:
            return Answer(200, [*self._identity(action, signer, session), *renewed])
        match action.on_unauthenticated_request:
            case "allow":
                return Answer(200, [("x-envoy-auth-headers-to-remove", ",".join(OWN_HEADERS))])
            case "deny":
                return _failed(401, "AuthInvalidCookie") if malformed else Answer(401)
            case "authenticate":
                return self._begin(action, asked)

    def _begin(self, action: AuthenticateOidc, asked: Asked) -> Answer:
        if not asked.host:
            return _failed(401, "AuthMissingHostHeader")
        nonce = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(sessions.NONCE_LENGTH))
        now = time.time()
        state = sessions.seal(Login(asked.rule, asked.uri, nonce, now), self._key, os.urandom(12))
        location = sessions.authorization_url(action, asked.host, state)
        nonce_cookie = sessions.cookie(sessions.NONCE_COOKIE, nonce, now + sessions.COOKIE_SECONDS)
        return Answer(302, [("location", location), ("set-cookie", nonce_cookie)])

    async def _called_back(self, asked: Asked, query: str) -> Answer:
        """Handles the identity provider's callback: starts a session, and redirects the client to its original URL."""
        values = {name: found[0] for name, found in parse_qs(query).items()}
        login = sessions.open_login(values.get("state", ""), self._key)
        failure = sessions.login_failure(values, asked.cookies.get(sessions.NONCE_COOKIE), login, time.time())
        if failure is not None:
            if error := values.get("error"):
                # A callback may contain anything. Quoted, it is one line of the log.
                log.warning(
                    "the identity provider returned the error %r %r", error, values.get("error_description", "")
                )
            return _failed(*failure)
        assert login is not None
        action, _ = self.actions.get(login.rule, (None, ""))
        if not isinstance(action, AuthenticateOidc):
            return _failed(500, "AuthUnhandledException")  # the rule was deleted in the meantime
        grant = {
            "grant_type": "authorization_code",
            "code": values["code"],
            "redirect_uri": sessions.callback_url(asked.host),
        }
        session = await self._providers.session(action, grant)
        cookies = self._cookies(action, session, asked)
        self._count("ELBAuthSuccess", asked)
        return Answer(302, [("location", f"https://{asked.host}{login.uri}"), *cookies])

    async def _refreshed(self, action: AuthenticateOidc, session: Session) -> Session | None:
        grant = {"grant_type": "refresh_token", "refresh_token": session.refresh_token}
        try:
            renewed = await self._providers.session(action, grant)
        except ProviderFailed as error:
            log.info("cannot refresh a session: %s", error)
            return None  # the user logs in again
        return replace(renewed, began=session.began, refresh_token=renewed.refresh_token or session.refresh_token)

    def _cookies(self, action: AuthenticateOidc, session: Session, asked: Asked) -> list[tuple[str, str]]:
        value = sessions.seal(session, self._key, os.urandom(12))
        try:
            made = list(
                sessions.session_cookies(
                    action.session_cookie_name,
                    value,
                    time.time(),
                    held=asked.cookies,
                    cross_origin="origin" in asked.headers,
                )
            )
        except ValueError as error:
            raise ProviderFailed("AuthUserinfoResponseSizeExceeded", str(error)) from error
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
