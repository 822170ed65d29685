"""Predicts what a RequestAuthentication does with a request: Envoy's jwt_authn filter with the requirements that istiod
gives it.

A token in one of a provider's locations must be valid. A request without a token passes. With several providers, a
request passes if one of them accepts it, or if each finds no token or accepts it.

Source: Envoy's `source/extensions/filters/http/jwt_authn` (verifier.cc, authenticator.cc, extractor.cc); istio/istio
`pilot/pkg/security/authn/policy_applier.go`, convertToEnvoyJwtConfig.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from lockgate.gateway.policies import tokens
from lockgate.gateway.policies.model import Jwt, JwtProvider
from lockgate.gateway.policies.tokens import MISSING, UNKNOWN_ISSUER, WRONG_AUDIENCE, Refused, Token

_OK = ""
Headers = tuple[tuple[str, str], ...]
_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one provider says of a request; `token` is the one that it read last."""

    provider: JwtProvider
    status: str
    token: Token | None = None


@dataclass(frozen=True, slots=True)
class TokenRuling:
    """What the filter decides. `status` is empty, or Envoy's words for a refusal."""

    filter: Jwt
    status: str
    attempts: tuple[Attempt, ...] = ()

    @property
    def allowed(self) -> bool:
        return not self.status

    @property
    def code(self) -> int:
        return 403 if self.status == WRONG_AUDIENCE else 401

    @property
    def accepted(self) -> tuple[Attempt, ...]:
        return tuple(each for each in self.attempts if each.status == _OK)


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The request after the filter: headers and target may have changed, and `payload` has the claims."""

    ruling: TokenRuling
    headers: Headers
    target: str
    payload: Mapping[str, Any] | None = None


def authenticate(jwt: Jwt, method: str, headers: Headers, target: str, now: float | None) -> Authenticated:
    """`now` is Unix time; None leaves times unchecked."""
    request = _Request(tuple((name.lower(), value.strip(" \t")) for name, value in headers), target, now)
    # Nobody but the filter may write these, whether or not a token is looked for.
    request.remove(*(name for provider in jwt.providers for name in _written(provider)))
    if _is_preflight(method, request):
        return Authenticated(TokenRuling(jwt, _OK), request.headers, target)
    status = _required(jwt.providers, request)
    ruling = TokenRuling(jwt, status, tuple(request.attempts))
    return Authenticated(ruling, request.headers, request.target, request.payload)


def _is_preflight(method: str, request: _Request) -> bool:
    return method == "OPTIONS" and bool(request.header("origin") and request.header("access-control-request-method"))


@dataclass(slots=True)
class _Request:
    headers: Headers
    target: str
    now: float | None
    payload: Mapping[str, Any] | None = None
    attempts: list[Attempt] = field(default_factory=list)

    def values(self, name: str) -> list[str]:
        return [value for own, value in self.headers if own == name]

    def header(self, name: str) -> str:
        return ",".join(self.values(name))

    def remove(self, *names: str) -> None:
        self.headers = tuple(pair for pair in self.headers if pair[0] not in names)


# --- requirements ------------------------------------------------------------------------------------------------


def _required(providers: tuple[JwtProvider, ...], request: _Request) -> str:
    """The status of the whole requirement, which is empty if it is met."""
    first = [lambda each=each: _verify(each, request) for each in providers]
    if len(providers) == 1:
        status = _any(first)
        return _OK if status == MISSING else status
    return _any([*first, lambda: _each_or_none(providers, request)])


def _each_or_none(providers: Iterable[JwtProvider], request: _Request) -> str:
    for provider in providers:
        if (status := _verify(provider, request)) not in (_OK, MISSING):
            return status
    return _OK


def _any(alternatives: Iterable[Callable[[], str]]) -> str:
    """The first that is met, else the most telling of the reasons."""
    final = MISSING
    for each in alternatives:
        status = each()
        if status == _OK:
            return _OK
        if status not in (MISSING, UNKNOWN_ISSUER) or final == MISSING:
            final = status
    return final


# --- one provider ------------------------------------------------------------------------------------------------


def _verify(provider: JwtProvider, request: _Request) -> str:
    """Checks the tokens in the provider's locations, the last first; the status of the first that is refused."""
    request.remove(*_written(provider))
    status, token = MISSING, None
    for location in reversed(list(_locations(provider, request))):
        try:
            token = tokens.parse(location.text)
            if provider.issuer and token.issuer != provider.issuer:
                raise Refused(UNKNOWN_ISSUER)
            if request.now is not None:
                tokens.check_time(token, request.now)
            tokens.check_audience(token, provider.audiences)
            if provider.jwks is not None:
                tokens.check_signature(token, provider.jwks)
        except Refused as refused:
            status = str(refused)
            break
        _accept(provider, token, location, request)
        status = _OK
    request.attempts.append(Attempt(provider, status, token))
    return status


def _written(provider: JwtProvider) -> Iterator[str]:
    if provider.payload_header:
        yield provider.payload_header.lower()
    for header, _ in provider.claim_headers:
        yield header.lower()


def _accept(provider: JwtProvider, token: Token, location: _Location, request: _Request) -> None:
    added = [(provider.payload_header.lower(), token.encoded)] if provider.payload_header else []
    for header, claim in provider.claim_headers:
        if text := _claim_text(_nested(token.payload, claim)):
            added.append((header.lower(), text))
    request.headers = (*request.headers, *added)
    if not provider.forward:
        if location.header:
            request.remove(location.header)
        elif location.param:
            request.target = _without_parameter(request.target, location.param)
    request.payload = _normalized(token.payload, provider.space_delimited)


def _normalized(payload: Mapping[str, Any], space_delimited: tuple[str, ...]) -> Mapping[str, Any]:
    """With claims that are lists of words as lists."""
    lists = {name: payload[name].split() for name in space_delimited if isinstance(payload.get(name), str)}
    return {**payload, **{name: words for name, words in lists.items() if len(words) > 1}}


def _nested(payload: Any, path: str) -> Any:
    for part in path.split("."):
        payload = payload.get(part) if isinstance(payload, Mapping) else None
    return payload


def _claim_text(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int() | float():
            whole = value >= 0 and float(value).is_integer() and value < 1 << 64
            return str(int(value)) if whole else f"{value:f}"
        case list() | dict():
            return urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")
        case _:
            return ""


# --- locations ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Location:
    text: str
    header: str = ""
    param: str = ""


def _locations(provider: JwtProvider, request: _Request) -> Iterator[_Location]:
    """In Envoy's order: headers by name and prefix, query parameters, cookies."""
    headers = [(each.name.lower(), each.prefix) for each in provider.headers]
    params = list(provider.params)
    if not (headers or params or provider.cookies):
        headers, params = [("authorization", "Bearer ")], ["access_token"]
    for name, prefix in sorted(dict.fromkeys(headers), key="".join):
        for value in request.values(name):
            if prefix and prefix not in value:
                continue
            yield _Location(_after(value, prefix) if prefix else value, header=name)
    given = dict(reversed(_parameters(request.target.partition("?")[2])))
    for param in sorted(set(params)):
        if param in given:
            yield _Location(given[param], param=param)
    cookies = _cookies(request)
    for cookie in sorted(set(provider.cookies)):
        if cookie in cookies:
            yield _Location(cookies[cookie])


def _parameters(query: str) -> list[tuple[str, str]]:
    """Decoded as Envoy does, for which ``+`` is no space."""
    pairs = (part.partition("=") for part in query.split("&")) if query else ()
    return [(unquote(key, "latin-1"), unquote(value, "latin-1")) for key, _, value in pairs]


def _after(value: str, prefix: str) -> str:
    """The token after the prefix: from the first character that a token may have."""
    start = value.find(prefix) + len(prefix)
    found = next((place for place in range(start, len(value)) if value[place] in _ALPHABET), None)
    return value if found is None else value[found:]


def _cookies(request: _Request) -> dict[str, str]:
    found: dict[str, str] = {}
    for header in request.values("cookie"):
        for part in header.split(";"):
            name, equals, value = part.strip().partition("=")
            if equals:
                found.setdefault(name, value.removeprefix('"').removesuffix('"') if value[:1] == '"' else value)
    return found


def _without_parameter(target: str, name: str) -> str:
    """Envoy writes the other parameters again, in the order of their names, and does not encode them again."""
    path, _, query = target.partition("?")
    rest = sorted((pair for pair in _parameters(query) if pair[0] != name), key=lambda pair: pair[0])
    written = "&".join(f"{key}={value}" for key, value in rest)
    return f"{path}?{written}" if written else path
