"""LG3xxx: certificates of ACM and cert-manager, and what uses them."""

from __future__ import annotations

from lockgate.resources.codes.examples import together
from lockgate.resources.faults import Code, Severity

_PRODUCTION = "https://acme-v02.api.letsencrypt.org/directory"
_STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"
_ROUTE53 = "[{dns01: {route53: {}}}]"


def _issuer(solvers: str, *, kind: str = "ClusterIssuer", server: str = _PRODUCTION, key: str = "letsencrypt") -> str:
    namespace = ", namespace: istio-system" if kind == "Issuer" else ""
    return f"""
apiVersion: cert-manager.io/v1
kind: {kind}
metadata: {{name: letsencrypt{namespace}}}
spec:
  acme:
    server: {server}
    privateKeySecretRef: {{name: {key}}}
    solvers: {solvers}
"""


def _certificate(
    names: str = "shop.example",
    *,
    name: str = "shop",
    issuer: str = "kind: ClusterIssuer, name: letsencrypt",
    namespace: str = "istio-system",
    more: str = "",
) -> str:
    return f"""
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{secretName: shop-tls, dnsNames: [{names}], issuerRef: {{{issuer}}}{more}}}
"""


def _gateway(host: str) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: edge, namespace: istio-system}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
    - port: {{number: 443, name: https, protocol: HTTPS}}
      hosts: ["{host}"]
      tls: {{mode: SIMPLE, credentialName: shop-tls}}
"""


_ROUTE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [%s]
  gateways: [istio-system/edge]
  http: [{route: [{destination: {host: web}}]}]
"""

NAMES_NOT_COVERED = Code(
    "LG3001",
    Severity.WARNING,
    "A gateway certificate without the server's host",
    message="the certificate {secret} has the names {names}, not {host}: clients that verify it refuse the connection",
    fix="add the host to dnsNames of {certificate}",
    what="A Gateway's server has a host that the certificate of its credentialName does not cover.",
    why="An Application Load Balancer does not verify its targets and will not notice. Everybody who connects to the "
    "gateway directly, or through a Network Load Balancer, gets a name mismatch.",
    example=together(_certificate(issuer="name: own"), _gateway("www.shop.example"), _ROUTE % "www.shop.example"),
    instead=together(
        _certificate("shop.example, www.shop.example", issuer="name: own"),
        _gateway("www.shop.example"),
        _ROUTE % "www.shop.example",
    ),
)
SHARED_SECRET = Code(
    "LG3002",
    Severity.ERROR,
    "Two Certificates for one Secret",
    message="{other} has the secretName {secret} too: cert-manager issues only one of them",
    fix="give each Certificate a secretName of its own",
    what="Two Certificates of a namespace write to the same Secret.",
    why="cert-manager refuses to issue for a Secret that another Certificate owns, so one of the two never becomes "
    "ready, and its names are not in the certificate that is served.",
    example=together(_certificate(issuer="name: own"), _certificate("api.example", name="other", issuer="name: own")),
    instead=_certificate("shop.example, api.example", issuer="name: own"),
)
SECRET_ELSEWHERE = Code(
    "LG3003",
    Severity.ERROR,
    "A Secret in another namespace than the gateway's Pods",
    message="{secret} is in namespace {found}, and the gateway reads Secrets of namespace {expected} only: TLS "
    "connections are closed before the handshake ends",
    fix="create the Certificate in {expected}, or have a reflector copy the Secret",
    what="A credentialName is the name of a Secret in another namespace than the gateway workload's.",
    why="istiod gives a gateway the Secrets of its own namespace. That of the Gateway resource does not matter.",
    example=together(_certificate(issuer="name: own", namespace="shop"), _gateway("*"))
    .replace("name: shop, namespace: shop", "name: tidewater, namespace: shop")
    .replace("shop-tls", "tidewater-tls"),
    instead=together(_certificate(issuer="name: own"), _gateway("*"))
    .replace("name: shop, namespace: istio-system", "name: tidewater, namespace: istio-system")
    .replace("shop-tls", "tidewater-tls"),
)
WILDCARD_BY_HTTP = Code(
    "LG3004",
    Severity.ERROR,
    "A wildcard name that HTTP-01 cannot validate",
    message="{name} can be validated by DNS-01 only, and {issuer} has no such solver",
    fix="add a dns01 solver to the issuer",
    what="A Certificate has a wildcard name, and its ACME issuer has HTTP-01 solvers only.",
    why="An ACME CA offers no HTTP-01 challenge for wildcard names. The order fails, and no certificate is issued.",
    example=together(_issuer("[{http01: {ingress: {ingressClassName: alb}}}]"), _certificate('"*.shop.example"')),
    instead=together(_issuer(_ROUTE53), _certificate('"*.shop.example"')),
)
ISSUER_NOT_FOUND = Code(
    "LG3005",
    Severity.ERROR,
    "A Certificate whose issuer does not exist",
    message="{issuer} does not exist: the Certificate waits for it, and nothing is issued",
    fix="create it, or correct issuerRef; without a kind it means an Issuer in the Certificate's namespace",
    what="The issuerRef of a Certificate names an Issuer or ClusterIssuer that no manifest defines.",
    why="cert-manager leaves the Certificate as it is, with the reason in its CertificateRequest.",
    example=_certificate(issuer="name: letsencrypt-prod"),
    instead=together(_issuer(_ROUTE53), _certificate()),
)
STAGING = Code(
    "LG3006",
    Severity.INFO,
    "Certificates of Let's Encrypt's staging CA",
    message="certificates of this issuer are from Let's Encrypt's staging environment: no browser trusts them",
    fix="use https://acme-v02.api.letsencrypt.org/directory once issuance works",
    what="The issuer's ACME server is Let's Encrypt's staging environment.",
    why="It exists to try issuance without the production rate limits. A load balancer takes such a certificate from a "
    "target; browsers do not.",
    example=_issuer(_ROUTE53, server=_STAGING, key="letsencrypt-staging"),
    instead=_issuer(_ROUTE53),
)
KEY_OF_OTHER_CA = Code(
    "LG3007",
    Severity.WARNING,
    "An account key that is named after another environment",
    message="the account key {key} is named for {named}, and the server is Let's Encrypt's {server} environment",
    fix="give each environment a privateKeySecretRef of its own",
    what="The name of an issuer's privateKeySecretRef says staging, and its server is production, or the reverse.",
    why="Accounts are per environment. Two issuers that share the Secret register each other's key again and again, "
    "and whoever deletes the staging key deletes the production account's.",
    example=_issuer(_ROUTE53, key="letsencrypt-staging"),
    instead=_issuer(_ROUTE53, key="letsencrypt-production"),
)
NO_AMBIENT_CREDENTIALS = Code(
    "LG3009",
    Severity.ERROR,
    "An Issuer without credentials for Route 53",
    message="this Issuer has no credentials for Route 53, and cert-manager uses its own for ClusterIssuers only",
    fix="use a ClusterIssuer, or name a ServiceAccount in auth.kubernetes.serviceAccountRef",
    what="A Route 53 solver of a namespaced Issuer has neither an access key nor a ServiceAccount.",
    why="cert-manager's flag --issuer-ambient-credentials is off by default: every user of a namespace could otherwise "
    "act with cert-manager's identity. The challenge fails with a missing region or missing credentials.",
    example=together(_issuer(_ROUTE53, kind="Issuer"), _certificate(issuer="name: letsencrypt")),
    instead=together(_issuer(_ROUTE53), _certificate()),
)
NO_SOLVER = Code(
    "LG3010",
    Severity.ERROR,
    "A name that no solver is for",
    message="no solver of {issuer} is for {name}: its challenge cannot be made",
    fix="add the name's zone to a selector, or a solver without a selector",
    what="The selectors of an ACME issuer's solvers match none of them to a name of a Certificate.",
    why="cert-manager cannot choose how to prove control over the name. The order fails, and no certificate is issued.",
    example=together(
        _issuer("[{selector: {dnsZones: [other.example]}, dns01: {route53: {}}}]"),
        _certificate(),
    ),
    instead=together(
        _issuer("[{selector: {dnsZones: [shop.example]}, dns01: {route53: {}}}]"),
        _certificate(),
    ),
)
DURATION_IGNORED = Code(
    "LG3013",
    Severity.INFO,
    "A duration that an ACME CA decides itself",
    message="duration {duration} has no effect: the ACME CA decides how long its certificates are valid",
    fix="remove it, or set enableDurationFeature on an issuer whose CA supports it",
    what="A Certificate has a duration, and its issuer is an ACME issuer without enableDurationFeature.",
    why="The certificate is valid for as long as the CA's profile says, 90 days with Let's Encrypt's default profile.",
    example=together(_issuer(_ROUTE53), _certificate(more=", duration: 8760h")),
    instead=together(_issuer(_ROUTE53), _certificate()),
)
SECRET_OF_ISSUER_ELSEWHERE = Code(
    "LG3008",
    Severity.ERROR,
    "An issuer's Secret in another namespace",
    message="the issuer reads Secret {secret} in namespace {expected}, and the manifests have it in {found} only",
    fix="create it in {expected}",
    what="A Secret that an issuer references is in another namespace than cert-manager looks in: the Issuer's own, or "
    "for a ClusterIssuer the cluster resource namespace.",
    why="cert-manager reports that the Secret was not found, and no challenge can be presented.",
    example=together(
        _issuer(
            "[{dns01: {route53: {accessKeyIDSecretRef: {name: route53, key: id}, "
            "secretAccessKeySecretRef: {name: route53, key: secret}}}}]"
        ),
        """
apiVersion: v1
kind: Secret
metadata: {name: route53, namespace: istio-system}
stringData: {secret: ""}
""",
    ),
    instead=together(
        _issuer(
            "[{dns01: {route53: {accessKeyIDSecretRef: {name: route53, key: id}, "
            "secretAccessKeySecretRef: {name: route53, key: secret}}}}]"
        ),
        """
apiVersion: v1
kind: Secret
metadata: {name: route53, namespace: cert-manager}
stringData: {secret: ""}
""",
    ),
)
HOST_NOT_COVERED = Code(
    "LG3011",
    Severity.ERROR,
    "A host that the load balancer's certificate does not have",
    message="port {port} of {balancer} presents {names}, not {host}: clients refuse the connection",
    fix="request a certificate with the host, or name one more in certificate-arn",
    what="An Ingress has a rule for a host that none of the listener's ACM certificates covers.",
    why="The load balancer presents its default certificate, and browsers report a name mismatch. A wildcard covers "
    "one label: *.shop.example covers www.shop.example, not a.www.shop.example.",
)
