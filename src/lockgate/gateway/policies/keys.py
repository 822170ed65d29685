"""The public keys with which JWTs are verified, and where they come from.

Source: istio/istio `pilot/pkg/model/jwks_resolver.go`.
"""

from __future__ import annotations

from dataclasses import dataclass

from lockgate.resources import istio

DISCOVERY = "/.well-known/openid-configuration"

# While istiod cannot fetch the keys, it gives Envoy one that has signed nothing, so that every token is refused. The
# private key of this one was thrown away.
NOBODYS = (
    '{"keys": [{"kty": "RSA", "e": "AQAB", "n": '
    '"o3TngX43HzTSUc-oRw8KwUYwSwWa2N1y4ZUEAW2S3H-u5RFIvtJ5QCzz5CgHvkExMVpCsmaw3XIJnqdhz92aLv9jrc'
    "q5m4XQlpEfLDq47lBhuHgBveC5RR1RNiu5tU-EE4PdvkR8lzrWUTvezEQh-UbNAM6rm6tt0JKJVv7J0uCS7Wq806nD"
    "1QqqTUvLM-e1Ug-NXoPUA1MN9sz83pGhtSL_R9KrNRM0RxYL_bjbeOsE3KrWnOM9xu6xsySIpuRZVdb5-RqDQ61WaA"
    'cRuAx25llsIq_Muri4bjBvoo9-OCtl83u4QO4HIEBRHUlsh0DvBOObXB0g9flmh-PUFzawkw"}]}'
)


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Where keys are fetched: a JWKS or, with `discovery`, an OpenID configuration that names one."""

    uri: str
    discovery: bool = False
    timeout: float = 5.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A JWKS, or the reason why there is none. Both are empty while it is being fetched."""

    jwks: str = ""
    reason: str = ""


def place_of(rule: istio.JWTRule, timeout: float | None) -> KeyPlace | None:
    """Where the keys of a rule are fetched; None if they stand in the rule."""
    if rule.jwks:
        return None
    limit = timeout or 5.0
    if rule.uri:
        return KeyPlace(rule.uri, timeout=limit)
    return KeyPlace(rule.issuer.removesuffix("/") + DISCOVERY, discovery=True, timeout=limit)
