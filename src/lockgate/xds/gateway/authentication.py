"""The filter that reads JWTs, with the requirements that istiod gives it.

Source: istio/istio `pilot/pkg/security/authn/policy_applier.go`, convertToEnvoyJwtConfig.
"""

from __future__ import annotations

from envoy.extensions.filters.http.jwt_authn.v3 import config_pb2 as jwt
from google.protobuf.empty_pb2 import Empty

from lockgate.gateway.policies import model as policies
from lockgate.gateway.policies.keys import NOBODYS
from lockgate.xds.protobuf import Message


def authentication(item: policies.Jwt) -> Message:
    """Each provider is ``origins-N``. A token in a provider's locations has to be valid; none is needed."""
    message = jwt.JwtAuthentication(bypass_cors_preflight=True)
    for index, provider in enumerate(item.providers):
        message.providers[f"origins-{index}"].CopyFrom(_provider(provider))
    rule = message.rules.add()
    rule.match.prefix = "/"
    rule.requires.CopyFrom(_requirement([f"origins-{index}" for index in range(len(item.providers))]))
    return message


def _requirement(names: list[str]) -> Message:
    """One of the providers, or each of them with a valid token or none: so providers may share a location."""
    optional = [
        _any(jwt.JwtRequirement(provider_name=name), jwt.JwtRequirement(allow_missing=Empty())) for name in names
    ]
    if len(names) == 1:
        return optional[0]
    every = jwt.JwtRequirement(requires_all=jwt.JwtRequirementAndList(requirements=optional))
    return _any(*(jwt.JwtRequirement(provider_name=name) for name in names), every)


def _any(*requirements: Message) -> Message:
    return jwt.JwtRequirement(requires_any=jwt.JwtRequirementOrList(requirements=requirements))


def _provider(item: policies.JwtProvider) -> Message:
    message = jwt.JwtProvider(
        issuer=item.issuer,
        audiences=item.audiences,
        forward=item.forward,
        forward_payload_header=item.payload_header,
        payload_in_metadata=policies.JWT_PAYLOAD,
        clear_route_cache=True,
        from_params=item.params,
        from_cookies=item.cookies,
    )
    message.normalize_payload_in_metadata.space_delimited_claims.extend(item.space_delimited)
    message.local_jwks.inline_string = item.jwks or NOBODYS
    for header in item.headers:
        message.from_headers.add(name=header.name, value_prefix=header.prefix)
    for name, claim in item.claim_headers:
        message.claim_to_headers.add(header_name=name, claim_name=claim)
    return message
