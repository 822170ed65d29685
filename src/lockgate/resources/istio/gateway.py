"""Gateway: the ports, hosts and TLS settings of a gateway workload (istio/api `gateway.proto`)."""

from typing import ClassVar, Literal

from pydantic import Field

from lockgate.resources.istio.versions import CATEGORIES, NETWORKING_VERSIONS
from lockgate.resources.meta import AGE
from lockgate.resources.model import Flag, Integer, JsonObject, Kind, Model, Resource, register


class Port(Model):
    """`protocol` may be in any case (HTTP, https, …)."""

    number: Integer
    protocol: str
    name: str
    target_port: Integer = 0


class TLSCertificate(Model):
    server_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""


TLSProtocol = Literal["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"]


class ServerTLSSettings(Model):
    """Without `mode` it is PASSTHROUGH, the enum's zero value."""

    https_redirect: Flag = False
    mode: Literal["PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"] | None = (
        None
    )
    server_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    ca_crl: str = Field(default="", alias="caCrl")
    tls_certificates: tuple[TLSCertificate, ...] = ()
    credential_name: str = ""
    credential_names: tuple[str, ...] = ()
    ca_cert_credential_name: str = ""
    subject_alt_names: tuple[str, ...] = ()
    verify_certificate_spki: tuple[str, ...] = ()
    verify_certificate_hash: tuple[str, ...] = ()
    min_protocol_version: TLSProtocol | None = None
    max_protocol_version: TLSProtocol | None = None
    cipher_suites: tuple[str, ...] = ()


class Server(Model):
    port: Port
    bind: str = ""
    hosts: tuple[str, ...]
    tls: ServerTLSSettings | None = None
    default_endpoint: str = ""
    name: str = ""


class GatewaySpec(Model):
    """An empty `selector` selects every gateway workload."""

    servers: tuple[Server, ...] = ()
    selector: dict[str, str] = Field(default_factory=dict)


@register
class Gateway(Resource):
    KIND: ClassVar[Kind] = Kind(
        "networking.istio.io",
        NETWORKING_VERSIONS,
        "Gateway",
        "gateways",
        short_names=("gw",),
        categories=CATEGORIES,
        columns=(AGE,),
    )

    spec: GatewaySpec = Field(default_factory=GatewaySpec)
    status: JsonObject = Field(default_factory=dict)
