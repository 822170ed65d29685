"""The client of identity providers: exchanges codes for tokens, and reads claims and JWKS keys."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from lockgate.controllers.elastic_load_balancing.bodies import body_of
from lockgate.controllers.elastic_load_balancing.platform import ProxyTo
from lockgate.loadbalancer.error_reasons import AuthReason
from lockgate.loadbalancer.jwt import id_token_refusal
from lockgate.loadbalancer.model import AuthenticateOidc
from lockgate.loadbalancer.sessions import LARGEST_BYTES, Session

JWKS_BYTES, JWKS_KEYS, JWKS_SECONDS = 150 * 1024, 10, 300.0
ANSWER_BYTES = 1 << 20
AGE = 1 << 40  # s; a longer lifetime is a mistake
SECONDS = 5.0


class ProviderFailed(Exception):
    """An endpoint could not be reached, or its response is not valid. The message says which, and why."""

    def __init__(self, reason: AuthReason, why: str) -> None:
        super().__init__(why)
        self.reason: AuthReason = reason


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    size: int  # in bytes
    object: Mapping[str, Any] | None  # if the body is a JSON object


class IdentityProviders:
    """`trust` verifies providers' certificates; `proxy_to` returns the proxy for a host, if any."""

    def __init__(self, trust: ssl.SSLContext | None = None, proxy_to: ProxyTo | None = None) -> None:
        self._trust = trust
        self._proxy_to = proxy_to
        self._keys: dict[str, tuple[float, list[Mapping[str, Any]]]] = {}

    async def session(self, action: AuthenticateOidc, grant: Mapping[str, str]) -> Session:
        """The session of the user that `grant` identifies. Raises `ProviderFailed`."""
        tokens = await self._tokens(action, grant)
        now = time.time()
        access = tokens.get("access_token")
        refresh = tokens.get("refresh_token", "")
        lifetime = tokens.get("expires_in", 3600)
        if not (_is_token(access) and _is_token(refresh) and isinstance(lifetime, int | float) and abs(lifetime) < AGE):
            raise ProviderFailed("AuthInvalidTokenResponse", f"{action.token_endpoint} returned no valid access token")
        # A refresh need not return another ID token (OpenID Connect Core 1.0, section 12.2).
        if (grant["grant_type"] != "refresh_token" or "id_token" in tokens) and (
            why := id_token_refusal(tokens.get("id_token"), action.issuer, action.client_id, now)
        ):
            raise ProviderFailed("AuthInvalidIdToken", f"the ID token of {action.token_endpoint}: {why}")
        claims, size = await self._claims(action, access)
        if size + len(access) > LARGEST_BYTES:
            raise ProviderFailed(
                "AuthUserinfoResponseSizeExceeded",
                f"claims and access token have {size + len(access)} bytes, more than {LARGEST_BYTES}",
            )
        return Session(claims, access, now, now + lifetime, refresh)

    async def keys(self, url: str) -> list[Mapping[str, Any]]:
        """The keys of a JWKS, fetched again every five minutes. Raises `ProviderFailed`."""
        fetched, keys = self._keys.get(url, (0.0, []))
        if keys and time.monotonic() - fetched < JWKS_SECONDS:
            return keys
        answer = await self._ask("GET", url, "AuthUnhandledException")
        found = (answer.object or {}).get("keys") if answer.status == 200 and answer.size <= JWKS_BYTES else None
        keys = [key for key in found if isinstance(key, dict)] if isinstance(found, list) else []
        if not 1 <= len(keys) <= JWKS_KEYS:
            raise ProviderFailed(
                "AuthUnhandledException",
                f"{url} is not a JWKS of at most {JWKS_KEYS} keys and {JWKS_BYTES} bytes: status {answer.status}",
            )
        self._keys[url] = (time.monotonic(), keys)
        return keys

    async def _tokens(self, action: AuthenticateOidc, grant: Mapping[str, str]) -> Mapping[str, Any]:
        form = {**grant, "client_id": action.client_id, "client_secret": action.client_secret}
        answer = await self._ask("POST", action.token_endpoint, "AuthTokenEpRequestTimeout", form=form)
        if not 200 <= answer.status < 300:
            error = (answer.object or {}).get("error")
            raise ProviderFailed(
                "AuthInvalidGrantError" if error == "invalid_grant" else "AuthTokenEpRequestFailed",
                f"{action.token_endpoint} answered {answer.status} {error or ''}",
            )
        if answer.object is None:
            raise ProviderFailed("AuthInvalidTokenResponse", f"{action.token_endpoint} did not return a JSON object")
        return answer.object

    async def _claims(self, action: AuthenticateOidc, token: str) -> tuple[Mapping[str, Any], int]:
        """The claims, and their size in bytes."""
        answer = await self._ask("GET", action.user_info_endpoint, "AuthUserinfoEpRequestTimeout", bearer=token)
        if not 200 <= answer.status < 300:
            raise ProviderFailed("AuthUserinfoEpRequestFailed", f"{action.user_info_endpoint} answered {answer.status}")
        if answer.object is None:
            raise ProviderFailed(
                "AuthInvalidUserinfoResponse", f"{action.user_info_endpoint} did not return a JSON object"
            )
        if not str(answer.object.get("sub", "")).isprintable():
            raise ProviderFailed(
                "AuthInvalidUserinfoResponse",
                f"the sub claim of {action.user_info_endpoint} is not a valid header value",
            )
        return answer.object, answer.size

    async def _ask(
        self,
        method: str,
        url: str,
        unreachable: AuthReason,
        *,
        form: dict[str, str] | None = None,
        bearer: str = "",
    ) -> _Answer:
        import httpx

        headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
        host = urlsplit(url).hostname or ""
        proxy = await self._proxy_to(host) if self._proxy_to else None
        try:
            async with (
                asyncio.timeout(SECONDS),  # for the whole exchange, so that a slow trickle of bytes also times out
                httpx.AsyncClient(timeout=SECONDS, verify=self._trust or True, proxy=proxy) as client,
                client.stream(method, url, data=form, headers=headers) as answer,
            ):
                body = await body_of(answer, ANSWER_BYTES)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            why = f"{method} {url}: {error or type(error).__name__}"
            if proxy is None and host.strip("0123456789.:"):  # a name
                why += f"; add an Ingress or a VirtualService for {host} if this edge should answer"
            raise ProviderFailed(unreachable, why) from error
        try:
            found = json.loads(body or b"")
        except (ValueError, RecursionError):
            found = None
        size = ANSWER_BYTES + 1 if body is None else len(body)
        return _Answer(answer.status_code, size, found if isinstance(found, dict) else None)


def _is_token(value: object) -> TypeGuard[str]:
    """Whether it has only visible characters (RFC 6749, appendix A), because it becomes a header."""
    return isinstance(value, str) and value.isascii() and value.isprintable()
