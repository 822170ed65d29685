"""Translates HTTPMatchRequest to Envoy's route match.

Source: istio/istio `pilot/pkg/networking/core/route/route.go` (TranslateRouteMatch).
"""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.gateway.model import (
    ClaimMatch,
    Exact,
    HeaderMatch,
    Prefix,
    Present,
    QueryMatch,
    Regex,
    RouteMatch,
    Suffix,
    TextMatch,
    ValueMatch,
)
from lockgate.gateway.regex import mistake
from lockgate.resources import istio
from lockgate.resources.rules.istio_headers import is_claim


def route_match(match: istio.HTTPMatchRequest | None) -> RouteMatch:
    """No match means every path."""
    if match is None:
        return RouteMatch(Prefix("/"))
    headers = [
        HeaderMatch(name.lower(), value_match(text))
        for name, text in sorted(match.headers.items())
        if not is_claim(name)
    ]
    for name, text in sorted(match.without_headers.items()):
        if not is_claim(name):
            headers.append(HeaderMatch(name.lower(), value_match(text), invert=True))
    for name, pseudo in ((":method", match.method), (":authority", match.authority), (":scheme", match.scheme)):
        if pseudo is not None and (compared := text_match(pseudo)) is not None:
            headers.append(HeaderMatch(name, compared))
    path = text_match(match.uri, ignore_case=match.ignore_uri_case) if match.uri else None
    query = tuple(QueryMatch(name, value_match(text)) for name, text in sorted(match.query_params.items()))
    return RouteMatch(path or Prefix("/"), tuple(headers), query, tuple(_claims(match)))


def value_match(text: istio.StringMatch) -> ValueMatch:
    """An empty match, and the regular expression ``*``, match any value."""
    if text.regex == "*":
        return Present()
    return text_match(text) or Present()


def text_match(text: istio.StringMatch, *, ignore_case: bool = False) -> TextMatch | None:
    if text.exact is not None:
        return Exact(text.exact, ignore_case)
    if text.prefix is not None:
        return Prefix(text.prefix, ignore_case)
    if text.regex is not None:
        return Regex(text.regex)
    return None


def regexes(part: RouteMatch | TextMatch) -> Iterator[tuple[str, str]]:
    """The regular expressions that Envoy would reject, each with the reason."""
    match part:
        case RouteMatch(path, headers, query, claims):
            for value in (path, *(h.value for h in headers), *(q.value for q in query), *(c.value for c in claims)):
                if not isinstance(value, Present):
                    yield from regexes(value)
        case Regex(pattern):
            if reason := mistake(pattern):
                yield pattern, reason
        case Exact() | Prefix() | Suffix():
            pass


def _claims(match: istio.HTTPMatchRequest) -> Iterator[ClaimMatch]:
    """Headers that stand for JWT claims: ``@request.auth.claims.a.b`` or ``@request.auth.claims[a][b]``.

    Source: istio/istio `pilot/pkg/util/…/jwt`, ToRoutingClaim.
    """
    for texts, invert in ((match.headers, False), (match.without_headers, True)):
        for name, text in sorted(texts.items()):
            if is_claim(name):
                yield ClaimMatch(_claim_path(name), text_match(text) or Regex(".*"), invert)


def _claim_path(name: str) -> tuple[str, ...]:
    rest = name[len(_CLAIMS) :]
    return tuple(rest[1:].split(".") if rest.startswith(".") else rest[1:-1].split("]["))


_CLAIMS = "@request.auth.claims"
