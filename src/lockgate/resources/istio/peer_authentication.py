"""PeerAuthentication: whether workloads demand the mesh's mutual TLS (istio/api `peer_authentication.proto`)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from lockgate.resources.istio.selectors import PolicySelector
from lockgate.resources.meta import AGE
from lockgate.resources.model import Column, JsonObject, Kind, Model, Resource, register


class MutualTLS(Model):
    mode: Literal["UNSET", "DISABLE", "PERMISSIVE", "STRICT"] | None = None


class PeerAuthenticationSpec(Model):
    selector: PolicySelector | None = None
    mtls: MutualTLS | None = None
    port_level_mtls: dict[str, MutualTLS] | None = None


@register
class PeerAuthentication(Resource):
    KIND: ClassVar[Kind] = Kind(
        "security.istio.io",
        ("v1", "v1beta1"),
        "PeerAuthentication",
        "peerauthentications",
        short_names=("pa",),
        categories=("istio-io", "security-istio-io"),
        columns=(Column("Mode", ".spec.mtls.mode"), AGE),
    )

    spec: PeerAuthenticationSpec = Field(default_factory=PeerAuthenticationSpec)
    status: JsonObject = Field(default_factory=dict)
