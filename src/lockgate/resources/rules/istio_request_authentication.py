"""Istio's webhook for RequestAuthentication: `pkg/config/validation/validation.go`, validateJwtRule."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from lockgate.resources import field_errors, istio
from lockgate.resources.field_errors import FieldError, Path
from lockgate.resources.rules import istio_names as names
from lockgate.resources.rules import istio_selectors
from lockgate.resources.rules.istio_names import problem, q, required

_HEADER = re.compile(r"[-_A-Za-z0-9]+")
_KEY_FIELDS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "oct": ("k",), "OKP": ("crv", "x")}


def refusals(policy: istio.RequestAuthentication) -> Iterator[FieldError]:
    spec = policy.spec
    yield from istio_selectors.refusals(spec.selector, spec.target_ref, spec.target_refs)
    for index, rule in enumerate(spec.jwt_rules):
        yield from _rule(("spec", "jwtRules", index), rule)


def warnings(policy: istio.RequestAuthentication) -> Iterator[FieldError]:
    yield from istio_selectors.warnings(policy.spec.selector)


def _rule(path: Path, rule: istio.JWTRule) -> Iterator[FieldError]:
    if not rule.issuer and not rule.uri:
        yield required((*path, "issuer"), "issuer or jwksUri must be non-empty string")
    for field, what, values in (
        ("audiences", "audience", rule.audiences),
        ("fromParams", "location query", rule.from_params),
        ("fromCookies", "cookie name", rule.from_cookies),
    ):
        for index, value in enumerate(values):
            if not value:
                yield required((*path, field, index), f"{what} must be non-empty string")
    for index, claim in enumerate(rule.space_delimited_claims):
        if not claim:
            yield field_errors.invalid((*path, "spaceDelimitedClaims", index), "", "should be at least 1 chars long")
    for index, location in enumerate(rule.from_headers):
        if not location.name:
            yield required((*path, "fromHeaders", index, "name"), "location header name must be non-empty string")
    if rule.uri:
        yield from _uri((*path, "jwksUri" if rule.jwks_uri else "jwks_uri"), rule.uri)
    if rule.jwks and (reason := _jwks_fault(rule.jwks)):
        yield problem((*path, "jwks"), f"jwks parse error: {reason}")
    for index, output in enumerate(rule.output_claim_to_headers):
        at = (*path, "outputClaimToHeaders", index)
        if not output.claim or not output.header:
            yield required(at, "outputClaimToHeaders header and claim value must be non-empty string")
        elif not _HEADER.fullmatch(output.header):
            yield problem((*at, "header"), f"header name {q(output.header)} is not a valid header name")
    yield from names.duration((*path, "timeout"), rule.timeout)


def _uri(path: Path, uri: str) -> Iterator[FieldError]:
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError as error:
        yield problem(path, f"parse {q(uri)}: {error}")
        return
    if parts.scheme not in ("http", "https"):
        yield problem(path, f"URI scheme {q(parts.scheme)} is not supported")


def _jwks_fault(text: str) -> str | None:
    """Why a JWK or a JWK set is refused (RFC 7517)."""
    try:
        parsed: Any = json.loads(text)
    except ValueError:
        return "failed to unmarshal JWK set"
    if not isinstance(parsed, dict):
        return "failed to unmarshal JWK set"
    keys = parsed.get("keys") if "keys" in parsed else [parsed]
    if not isinstance(keys, list):
        return 'field "keys" is not an array'
    for index, key in enumerate(keys):
        kind = key.get("kty") if isinstance(key, dict) else None
        if kind not in _KEY_FIELDS:
            return f"key {index}: kty {q(str(kind))} is not supported"
        missing = [name for name in _KEY_FIELDS[kind] if not isinstance(key.get(name), str)]
        if missing:
            return f"key {index}: {', '.join(missing)} missing"
    return None
