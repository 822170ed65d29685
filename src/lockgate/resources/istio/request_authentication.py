"""RequestAuthentication: which JWTs a workload accepts (istio/api `request_authentication.proto`)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from lockgate.resources.istio.selectors import PolicySelector, TargetReference
from lockgate.resources.meta import AGE
from lockgate.resources.model import Flag, JsonObject, Kind, Model, Resource, register


class JWTHeader(Model):
    name: str
    prefix: str = ""


class ClaimToHeader(Model):
    header: str
    claim: str


class JWTRule(Model):
    """Without `jwks` and `jwks_uri`, the keys are found by OpenID discovery from `issuer`."""

    AT_MOST_ONE: ClassVar[tuple[tuple[str, ...], ...]] = (("jwks", "jwksUri", "jwks_uri"),)

    issuer: str = ""
    audiences: tuple[str, ...] = ()
    jwks_uri: str = ""
    jwks_uri_snake: str = Field(default="", alias="jwks_uri")  # the CRD has both spellings
    jwks: str = ""
    from_headers: tuple[JWTHeader, ...] = ()
    from_params: tuple[str, ...] = ()
    from_cookies: tuple[str, ...] = ()
    output_payload_to_header: str = ""
    output_claim_to_headers: tuple[ClaimToHeader, ...] = ()
    forward_original_token: Flag = False
    timeout: str | None = None
    space_delimited_claims: tuple[str, ...] = ()

    @property
    def uri(self) -> str:
        return self.jwks_uri or self.jwks_uri_snake


class RequestAuthenticationSpec(Model):
    AT_MOST_ONE: ClassVar[tuple[tuple[str, ...], ...]] = (("selector", "targetRef", "targetRefs"),)

    selector: PolicySelector | None = None
    target_ref: TargetReference | None = None
    target_refs: tuple[TargetReference, ...] = ()
    jwt_rules: tuple[JWTRule, ...] = ()


@register
class RequestAuthentication(Resource):
    KIND: ClassVar[Kind] = Kind(
        "security.istio.io",
        ("v1", "v1beta1"),
        "RequestAuthentication",
        "requestauthentications",
        short_names=("ra",),
        categories=("istio-io", "security-istio-io"),
        columns=(AGE,),
    )

    spec: RequestAuthenticationSpec = Field(default_factory=RequestAuthenticationSpec)
    status: JsonObject = Field(default_factory=dict)
