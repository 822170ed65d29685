"""cert-manager's kinds: issuers, certificates and requests (cert-manager.io/v1)."""

from typing import ClassVar, Literal

from pydantic import Field

from lockgate.resources.meta import AGE, Condition
from lockgate.resources.model import Column, Flag, Integer, JsonObject, Kind, Model, Resource, register


class SecretKeyReference(Model):
    """A key of a Secret. An empty `key` means the default of the referencing field."""

    name: str
    key: str = ""


class IssuerReference(Model):
    """`kind` defaults to Issuer, `group` to cert-manager.io."""

    name: str
    kind: str = "Issuer"
    group: str = "cert-manager.io"


class ServiceAccountReference(Model):
    name: str
    audiences: tuple[str, ...] = ()


class Route53KubernetesAuth(Model):
    service_account_ref: ServiceAccountReference


class Route53Auth(Model):
    kubernetes: Route53KubernetesAuth


class Route53(Model):
    """Credentials: a literal key ID or a Secret's, else those of the environment (an ambient role)."""

    auth: Route53Auth | None = None
    access_key_id: str = ""
    access_key_id_secret_ref: SecretKeyReference | None = None
    secret_access_key_secret_ref: SecretKeyReference | None = None
    role: str = ""
    hosted_zone_id: str = ""
    region: str = ""


DNS01_PROVIDERS = (
    "akamai",
    "cloudDNS",
    "cloudflare",
    "route53",
    "azureDNS",
    "digitalocean",
    "acmeDNS",
    "rfc2136",
    "webhook",
)


class DNS01Solver(Model):
    """`route53` is served. The other providers are accepted, and reported when a certificate needs them."""

    cname_strategy: Literal["None", "Follow"] | None = Field(default=None, alias="cnameStrategy")
    nameservers: tuple[str, ...] = ()
    route53: Route53 | None = None
    akamai: JsonObject | None = None
    cloud_dns: JsonObject | None = Field(default=None, alias="cloudDNS")
    cloudflare: JsonObject | None = None
    azure_dns: JsonObject | None = Field(default=None, alias="azureDNS")
    digitalocean: JsonObject | None = None
    acme_dns: JsonObject | None = Field(default=None, alias="acmeDNS")
    rfc2136: JsonObject | None = None
    webhook: JsonObject | None = None


class HTTP01Ingress(Model):
    service_type: str = ""
    ingress_class_name: str | None = None
    class_: str | None = None
    name: str = ""
    pod_template: JsonObject | None = None
    ingress_template: JsonObject | None = None


class HTTP01GatewayHTTPRoute(Model):
    service_type: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    parent_refs: tuple[JsonObject, ...] = ()
    pod_template: JsonObject | None = None


class HTTP01Solver(Model):
    ingress: HTTP01Ingress | None = None
    gateway_http_route: HTTP01GatewayHTTPRoute | None = Field(default=None, alias="gatewayHTTPRoute")


class SolverSelector(Model):
    """All three parts must match; an empty part matches everything."""

    match_labels: dict[str, str] = Field(default_factory=dict)
    dns_names: tuple[str, ...] = ()
    dns_zones: tuple[str, ...] = ()


class Solver(Model):
    selector: SolverSelector | None = None
    http01: HTTP01Solver | None = None
    dns01: DNS01Solver | None = None
    wait_instead_of_self_check: str | None = None


class ExternalAccountBinding(Model):
    key_id: str = ""
    key_secret_ref: SecretKeyReference
    key_algorithm: Literal["HS256", "HS384", "HS512"] | None = None


class ACMEIssuer(Model):
    """`ca_bundle` is base64 of PEM."""

    email: str = ""
    server: str
    preferred_chain: str = ""
    ca_bundle: str = ""
    skip_tls_verify: Flag = Field(default=False, alias="skipTLSVerify")
    external_account_binding: ExternalAccountBinding | None = None
    private_key_secret_ref: SecretKeyReference
    solvers: tuple[Solver, ...] = ()
    disable_account_key_generation: Flag = False
    enable_duration_feature: Flag = False
    profile: str = ""
    renewal_information_source: Literal["ARI", "None"] | None = None


class CAIssuer(Model):
    secret_name: str
    crl_distribution_points: tuple[str, ...] = ()
    ocsp_servers: tuple[str, ...] = ()
    issuing_certificate_urls: tuple[str, ...] = ()


class SelfSignedIssuer(Model):
    crl_distribution_points: tuple[str, ...] = ()


class IssuerSpec(Model):
    """Exactly one is set. `vault` and `venafi` are accepted, and reported when a certificate asks for them."""

    acme: ACMEIssuer | None = None
    ca: CAIssuer | None = None
    self_signed: SelfSignedIssuer | None = None
    vault: JsonObject | None = None
    venafi: JsonObject | None = None


class ACMEIssuerStatus(Model):
    uri: str = ""
    last_registered_email: str = ""
    last_private_key_hash: str = ""


class IssuerStatus(Model):
    conditions: tuple[Condition, ...] = ()
    acme: ACMEIssuerStatus | None = None


def _ready(field: str = "status") -> str:
    return f'.status.conditions[?(@.type=="Ready")].{field}'


_ISSUER_COLUMNS = (Column("Ready", _ready()), Column("Status", _ready("message"), wide=True), AGE)


@register
class Issuer(Resource):
    KIND: ClassVar[Kind] = Kind(
        "cert-manager.io", ("v1",), "Issuer", "issuers", categories=("cert-manager",), columns=_ISSUER_COLUMNS
    )

    spec: IssuerSpec
    status: IssuerStatus = Field(default_factory=IssuerStatus)


@register
class ClusterIssuer(Resource):
    KIND: ClassVar[Kind] = Kind(
        "cert-manager.io",
        ("v1",),
        "ClusterIssuer",
        "clusterissuers",
        namespaced=False,
        categories=("cert-manager",),
        columns=_ISSUER_COLUMNS,
    )

    spec: IssuerSpec
    status: IssuerStatus = Field(default_factory=IssuerStatus)


class X509Subject(Model):
    organizations: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    organizational_units: tuple[str, ...] = ()
    localities: tuple[str, ...] = ()
    provinces: tuple[str, ...] = ()
    street_addresses: tuple[str, ...] = ()
    postal_codes: tuple[str, ...] = ()
    serial_number: str = ""


class OtherName(Model):
    oid: str = ""
    utf8_value: str = ""


class CertificatePrivateKey(Model):
    rotation_policy: Literal["Never", "Always"] | None = None
    encoding: Literal["PKCS1", "PKCS8"] | None = None
    algorithm: Literal["RSA", "ECDSA", "Ed25519"] | None = None
    size: Integer = 0


class SecretTemplate(Model):
    annotations: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)


class JKSKeystore(Model):
    create: Flag
    alias: str | None = None
    password_secret_ref: SecretKeyReference | None = None
    password: str | None = Field(default=None, repr=False)


class PKCS12Keystore(Model):
    create: Flag
    profile: Literal["LegacyRC2", "LegacyDES", "Modern2023"] | None = None
    password_secret_ref: SecretKeyReference | None = None
    password: str | None = Field(default=None, repr=False)


class Keystores(Model):
    jks: JKSKeystore | None = None
    pkcs12: PKCS12Keystore | None = None


class AdditionalOutputFormat(Model):
    type: Literal["DER", "CombinedPEM"]


class NameConstraintItem(Model):
    dns_domains: tuple[str, ...] = ()
    ip_ranges: tuple[str, ...] = ()
    email_addresses: tuple[str, ...] = ()
    uri_domains: tuple[str, ...] = ()


class NameConstraints(Model):
    critical: Flag = False
    permitted: NameConstraintItem | None = None
    excluded: NameConstraintItem | None = None


class RenewalWindow(Model):
    timezone: str = ""
    cron: str = ""
    window_duration: str = ""


class Renewal(Model):
    policy: Literal["RenewBefore", "Disabled"] | None = None
    windows: tuple[RenewalWindow, ...] = ()


class CertificateSpec(Model):
    """Durations are Go's (``2160h0m0s``)."""

    subject: X509Subject | None = None
    literal_subject: str = ""
    common_name: str = ""
    duration: str | None = None
    renew_before: str | None = None
    renew_before_percentage: Integer | None = None
    renewal: Renewal | None = None
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    other_names: tuple[OtherName, ...] = ()
    email_addresses: tuple[str, ...] = ()
    secret_name: str
    secret_template: SecretTemplate | None = None
    keystores: Keystores | None = None
    issuer_ref: IssuerReference
    is_ca: Flag = False
    usages: tuple[str, ...] = ()
    private_key: CertificatePrivateKey | None = None
    signature_algorithm: str = ""
    encode_usages_in_request: Flag | None = None
    revision_history_limit: Integer | None = None
    additional_output_formats: tuple[AdditionalOutputFormat, ...] = ()
    name_constraints: NameConstraints | None = None


class CertificateStatus(Model):
    conditions: tuple[Condition, ...] = ()
    last_failure_time: str | None = None
    not_before: str | None = None
    not_after: str | None = None
    renewal_time: str | None = None
    revision: Integer | None = None
    next_private_key_secret_name: str | None = None
    failed_issuance_attempts: Integer | None = None


@register
class Certificate(Resource):
    KIND: ClassVar[Kind] = Kind(
        "cert-manager.io",
        ("v1",),
        "Certificate",
        "certificates",
        short_names=("cert", "certs"),
        categories=("cert-manager",),
        columns=(
            Column("Ready", _ready()),
            Column("Secret", ".spec.secretName"),
            Column("Issuer", ".spec.issuerRef.name", wide=True),
            Column("Status", _ready("message"), wide=True),
            Column("Expiration", ".status.notAfter", type="date", wide=True),
            AGE,
        ),
    )

    spec: CertificateSpec
    status: CertificateStatus = Field(default_factory=CertificateStatus)


class CertificateRequestSpec(Model):
    """`request` is base64 of the PEM of a certificate signing request."""

    duration: str | None = None
    issuer_ref: IssuerReference
    request: str
    is_ca: Flag = False
    usages: tuple[str, ...] = ()
    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = Field(default_factory=dict)


class CertificateRequestStatus(Model):
    conditions: tuple[Condition, ...] = ()
    certificate: str = ""
    ca: str = ""
    failure_time: str | None = None


@register
class CertificateRequest(Resource):
    KIND: ClassVar[Kind] = Kind(
        "cert-manager.io",
        ("v1",),
        "CertificateRequest",
        "certificaterequests",
        short_names=("cr", "crs"),
        categories=("cert-manager",),
        columns=(
            Column("Approved", '.status.conditions[?(@.type=="Approved")].status'),
            Column("Denied", '.status.conditions[?(@.type=="Denied")].status'),
            Column("Ready", _ready()),
            Column("Issuer", ".spec.issuerRef.name"),
            Column("Requester", ".spec.username"),
            Column("Status", _ready("message"), wide=True),
            AGE,
        ),
    )

    spec: CertificateRequestSpec
    status: CertificateRequestStatus = Field(default_factory=CertificateRequestStatus)


ACMEState = Literal["", "unknown", "pending", "ready", "processing", "valid", "invalid", "expired", "errored"]


class OrderSpec(Model):
    request: str
    issuer_ref: IssuerReference
    common_name: str = ""
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    duration: str | None = None
    profile: str = ""
    replaces: str = ""


class ACMEChallenge(Model):
    url: str
    token: str
    type: str


class ACMEAuthorization(Model):
    url: str
    identifier: str = ""
    wildcard: Flag | None = None
    initial_state: ACMEState = ""
    challenges: tuple[ACMEChallenge, ...] = ()


class OrderStatus(Model):
    url: str = ""
    finalize_url: str = ""
    authorizations: tuple[ACMEAuthorization, ...] = ()
    certificate: str = ""
    state: ACMEState = ""
    reason: str = ""
    failure_time: str | None = None


@register
class Order(Resource):
    KIND: ClassVar[Kind] = Kind(
        "acme.cert-manager.io",
        ("v1",),
        "Order",
        "orders",
        categories=("cert-manager", "cert-manager-acme"),
        columns=(
            Column("State", ".status.state"),
            Column("Issuer", ".spec.issuerRef.name", wide=True),
            Column("Reason", ".status.reason", wide=True),
            AGE,
        ),
    )

    spec: OrderSpec
    status: OrderStatus = Field(default_factory=OrderStatus)


class ChallengeSpec(Model):
    """`dns_name` has no ``*.``; `wildcard` says that there was one. `key` is a key authorization: not for logs."""

    url: str
    authorization_url: str
    dns_name: str
    wildcard: Flag = False
    type: Literal["HTTP-01", "DNS-01"]
    token: str
    key: str = Field(repr=False)
    solver: Solver
    issuer_ref: IssuerReference


class ChallengeStatus(Model):
    processing: Flag = False
    presented: Flag = False
    presented_at: str | None = None
    reason: str = ""
    state: ACMEState = ""


@register
class Challenge(Resource):
    KIND: ClassVar[Kind] = Kind(
        "acme.cert-manager.io",
        ("v1",),
        "Challenge",
        "challenges",
        categories=("cert-manager", "cert-manager-acme"),
        columns=(
            Column("State", ".status.state"),
            Column("Domain", ".spec.dnsName"),
            Column("Reason", ".status.reason", wide=True),
            AGE,
        ),
    )

    spec: ChallengeSpec
    status: ChallengeStatus = Field(default_factory=ChallengeStatus)
