"""LG7xxx: security: TLS, exposure, credentials, protection."""

from __future__ import annotations

from lockgate.resources.codes.examples import CERTIFICATE, HTTPS, gateway, ingress, together, virtual_service
from lockgate.resources.faults import Code, Severity

_PUBLIC = "scheme: internet-facing"
_BOTH = """listen-ports: '[{"HTTP": 80}, {"HTTPS": 443}]'"""
_SERVER = (
    "{port: {number: 443, name: https, protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE, credentialName: shop-tls%s}}"
)
_OIDC = (
    "auth-type: oidc",
    """auth-idp-oidc: '{"issuer": "https://id.example", "authorizationEndpoint": "https://id.example/a", """
    """"tokenEndpoint": "https://id.example/t", "userInfoEndpoint": "https://id.example/u", "secretName": "login"}'""",
)
_JWT = """jwt-validation: '{"jwksEndpoint": "https://id.example/keys", "issuer": "https://id.example"}'"""

PLAIN_LISTENER = Code(
    "LG7001",
    Severity.WARNING,
    "An internet-facing listener that forwards plain HTTP",
    message="port {port} of the internet-facing {balancer} forwards requests over plain HTTP",
    fix="""add alb.ingress.kubernetes.io/ssl-redirect: "443", or listen for HTTPS only""",
    what="An internet-facing load balancer has an HTTP listener with a rule that forwards to targets.",
    why="Requests, cookies and tokens cross the internet in clear text. Security Hub reports it as ELB.1.",
    example=ingress(_PUBLIC),
    instead=ingress(_PUBLIC, CERTIFICATE, _BOTH, 'ssl-redirect: "443"'),
)
WEAK_POLICY = Code(
    "LG7002",
    Severity.WARNING,
    "A TLS policy that allows TLS 1.0 or 1.1",
    message="{policy} on port {port} of {balancer} accepts TLS 1.0 and 1.1",
    fix="set alb.ingress.kubernetes.io/ssl-policy: ELBSecurityPolicy-TLS13-1-2-2021-06",
    what="The listener's security policy accepts protocol versions that RFC 8996 deprecates.",
    why="Clients can be made to use a weak version. Security Hub reports it as ELB.17, and PCI DSS forbids it.",
    example=ingress(CERTIFICATE, HTTPS, "ssl-policy: ELBSecurityPolicy-TLS-1-1-2017-01"),
    instead=ingress(CERTIFICATE, HTTPS, "ssl-policy: ELBSecurityPolicy-TLS13-1-2-2021-06"),
)
WEAK_DEFAULT_POLICY = Code(
    "LG7011",
    Severity.INFO,
    "The default TLS policy, which allows TLS 1.0 and 1.1",
    message="{policy} on port {port} of {balancer}, the default, accepts TLS 1.0 and 1.1",
    fix="set alb.ingress.kubernetes.io/ssl-policy: ELBSecurityPolicy-TLS13-1-2-2021-06",
    what="No annotation and no flag chooses a security policy, so the controller sets ELBSecurityPolicy-2016-08.",
    why="Clients can be made to use a version that RFC 8996 deprecates. Security Hub reports it as ELB.17.",
    example=ingress(CERTIFICATE, HTTPS),
    instead=ingress(CERTIFICATE, HTTPS, "ssl-policy: ELBSecurityPolicy-TLS13-1-2-2021-06"),
)
INVALID_HEADERS = Code(
    "LG7003",
    Severity.INFO,
    "Invalid headers are passed on",
    message="{balancer} passes headers with invalid names on to its targets",
    fix="set routing.http.drop_invalid_header_fields.enabled=true in the load-balancer-attributes annotation",
    what="The load balancer attribute routing.http.drop_invalid_header_fields.enabled is not true.",
    why="Header names outside [A-Za-z0-9-] reach the gateway, which may read them in another way than the load "
    "balancer does. Security Hub reports it as ELB.4.",
    example=ingress(),
    instead=ingress("load-balancer-attributes: routing.http.drop_invalid_header_fields.enabled=true"),
)
NO_ACCESS_LOG = Code(
    "LG7004",
    Severity.INFO,
    "A load balancer without access logs",
    message="{balancer} writes no access log",
    fix="set access_logs.s3.enabled=true and access_logs.s3.bucket in the load-balancer-attributes annotation",
    what="The load balancer attribute access_logs.s3.enabled is not true.",
    why="Nobody can say later which requests came, and what became of them: the gateway's log has only those that "
    "passed. Security Hub reports it as ELB.5.",
    example=ingress(),
    instead=ingress("load-balancer-attributes: access_logs.s3.enabled=true,access_logs.s3.bucket=edge-logs"),
)
NO_DELETION_PROTECTION = Code(
    "LG7005",
    Severity.INFO,
    "A load balancer without deletion protection",
    message="{balancer} has no deletion protection",
    fix="set deletion_protection.enabled=true in the load-balancer-attributes annotation",
    what="The load balancer attribute deletion_protection.enabled is not true.",
    why="When its last Ingress is deleted, the load balancer goes too, with its DNS name, its address and every alias "
    "record that points to it. Security Hub reports it as ELB.6.",
    example=ingress(),
    instead=ingress("load-balancer-attributes: deletion_protection.enabled=true"),
)
DESYNC_MONITOR = Code(
    "LG7006",
    Severity.WARNING,
    "Request smuggling is only monitored",
    message="{balancer} forwards ambiguous requests: routing.http.desync_mitigation_mode is monitor",
    fix="set it to defensive, the default, or strictest",
    what="The load balancer attribute routing.http.desync_mitigation_mode is monitor.",
    why="Requests that the load balancer and the gateway may delimit differently are passed on. Security Hub reports "
    "it as ELB.12.",
    example=ingress("load-balancer-attributes: routing.http.desync_mitigation_mode=monitor"),
    instead=ingress("load-balancer-attributes: routing.http.desync_mitigation_mode=strictest"),
)
NO_WEB_ACL = Code(
    "LG7007",
    Severity.INFO,
    "An internet-facing load balancer without a web ACL",
    message="the internet-facing {balancer} has no web ACL",
    fix="name one in alb.ingress.kubernetes.io/wafv2-acl-arn",
    what="No AWS WAF web ACL is associated with an internet-facing load balancer.",
    why="AWS WAF is why most teams put an Application Load Balancer before Istio. Security Hub reports it as ELB.16.",
    example=ingress(_PUBLIC, CERTIFICATE, HTTPS),
    instead=ingress(
        _PUBLIC,
        CERTIFICATE,
        HTTPS,
        "wafv2-acl-arn: arn:aws:wafv2:eu-west-1:111122223333:regional/webacl/edge/0f5ce1d2-0000-4000-8000-000000000000",
    ),
)
PLAIN_TARGETS = Code(
    "LG7008",
    Severity.INFO,
    "TLS ends at the load balancer",
    message="{balancer} takes TLS and forwards to {service} over plain HTTP",
    fix="set alb.ingress.kubernetes.io/backend-protocol: HTTPS, and serve TLS there",
    what="An HTTPS listener forwards to a target group of protocol HTTP.",
    why="Requests cross the VPC in clear text. Security Hub reports it as ELB.22.",
    example=ingress(CERTIFICATE, HTTPS),
    instead=ingress(CERTIFICATE, HTTPS, "backend-protocol: HTTPS"),
)
SECRET_IN_FILE = Code(
    "LG7009",
    Severity.WARNING,
    "A Secret with its contents in a manifest",
    message="the contents of this Secret are in the file: whoever can read the repository has them",
    fix="keep them in AWS Secrets Manager or sealed, and let a controller write the Secret",
    what="A Secret has data in a manifest. Base64 is no encryption.",
    why="Credentials in a repository stay in its history after they are deleted.",
    example="""
        apiVersion: v1
        kind: Secret
        metadata: {name: login, namespace: shop}
        stringData: {clientSecret: 3f7c0d}
        """,
)
ACCESS_KEY_IN_ISSUER = Code(
    "LG7010",
    Severity.WARNING,
    "An access key id in an issuer",
    message="the issuer names the access key {key}: a long-lived credential that somebody has to rotate",
    fix="use the identity of cert-manager's ServiceAccount (Pod Identity or IRSA), or accessKeyIDSecretRef",
    what="A Route 53 solver of an Issuer or ClusterIssuer has accessKeyID.",
    why="The key is in the repository, and its secret in a Secret that does not expire. With an identity there is "
    "nothing to rotate and nothing to leak.",
    example="""
        apiVersion: cert-manager.io/v1
        kind: ClusterIssuer
        metadata: {name: letsencrypt}
        spec:
          acme:
            server: https://acme-v02.api.letsencrypt.org/directory
            privateKeySecretRef: {name: letsencrypt}
            solvers:
              - dns01:
                  route53:
                    accessKeyID: AKIAIOSFODNN7EXAMPLE
                    secretAccessKeySecretRef: {name: route53, key: secret}
        """,
    instead="""
        apiVersion: cert-manager.io/v1
        kind: ClusterIssuer
        metadata: {name: letsencrypt}
        spec:
          acme:
            server: https://acme-v02.api.letsencrypt.org/directory
            privateKeySecretRef: {name: letsencrypt}
            solvers: [{dns01: {route53: {}}}]
        """,
)
OLD_TLS = Code(
    "LG7013",
    Severity.WARNING,
    "A gateway server that allows TLS 1.0 or 1.1",
    message="minProtocolVersion {version} lets clients use a deprecated version of TLS",
    fix="remove it: the default is TLS 1.2",
    what="A server of a Gateway sets minProtocolVersion to TLSV1_0 or TLSV1_1.",
    why="RFC 8996 deprecates both. The load balancer speaks TLS 1.2 and 1.3 to its targets, so nothing needs them.",
    example=gateway(_SERVER % ", minProtocolVersion: TLSV1_1", namespace="istio-system"),
    instead=gateway(_SERVER % ", minProtocolVersion: TLSV1_2", namespace="istio-system"),
)
UNVERIFIED_UPSTREAM = Code(
    "LG7015",
    Severity.WARNING,
    "TLS to a destination without verification",
    message="insecureSkipVerify: the gateway takes any certificate from {host}",
    fix="remove it, and set caCertificates or credentialName, and sni",
    what="A DestinationRule's TLS settings have insecureSkipVerify.",
    why="The connection is encrypted to whoever answers.",
    example="""
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: pay, namespace: shop}
        spec:
          host: pay.example
          trafficPolicy: {tls: {mode: SIMPLE, sni: pay.example, insecureSkipVerify: true}}
        """,
    instead="""
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {name: pay, namespace: shop}
        spec:
          hosts: [pay.example]
          ports: [{number: 443, name: https, protocol: HTTPS}]
          resolution: DNS
        ---
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: pay, namespace: shop}
        spec:
          host: pay.example
          trafficPolicy: {tls: {mode: SIMPLE, sni: pay.example, caCertificates: /etc/ssl/certs/ca-certificates.crt}}
        """,
)
LOGIN_ON_PLAIN_LISTENER = Code(
    "LG7016",
    Severity.ERROR,
    "Authentication that plain HTTP avoids",
    message="port {port} of {balancer} forwards these requests without {what}: only HTTPS listeners authenticate",
    fix="""listen for HTTPS only, or redirect with alb.ingress.kubernetes.io/ssl-redirect: "443\"""",
    what="An Ingress asks for authentication (auth-type or jwt-validation) and has an HTTP listener that forwards.",
    why="The controller puts authentication on HTTPS listeners only. Whoever writes http:// is let in without it.",
    example=ingress(CERTIFICATE, _BOTH, _JWT),
    instead=ingress(CERTIFICATE, _BOTH, _JWT, 'ssl-redirect: "443"'),
)
LOGIN_ALLOWS = Code(
    "LG7017",
    Severity.INFO,
    "Authentication that lets everybody through",
    message="auth-on-unauthenticated-request: allow passes requests without a login on to the backend",
    fix="set it to authenticate or deny, unless the backend itself checks x-amzn-oidc-data",
    what="The authenticate action allows unauthenticated requests.",
    why="The backend gets requests with and without the load balancer's identity headers, and must tell them apart.",
    example=ingress(CERTIFICATE, HTTPS, *_OIDC, "auth-on-unauthenticated-request: allow"),
    instead=ingress(CERTIFICATE, HTTPS, *_OIDC, "auth-on-unauthenticated-request: deny"),
)
ANY_HOST = Code(
    "LG7018",
    Severity.INFO,
    "A route for every host",
    message="host * takes requests for any name that reaches {gateway}: scanners use the load balancer's own name",
    fix="name the hosts that the application serves",
    what="A VirtualService at an ingress gateway has the host *.",
    why="Requests by address, by the load balancer's DNS name or with an invented Host header reach the application, "
    "which may build links and cookies from it.",
    example=together(
        gateway("{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}"),
        virtual_service("route: [{destination: {host: web}}]", host="'*'"),
    ),
    instead=together(
        gateway("{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}"),
        virtual_service("route: [{destination: {host: web}}]"),
    ),
)
ANY_NAMESPACE = Code(
    "LG7019",
    Severity.INFO,
    "A Gateway that every namespace may attach to",
    message="{hosts} lets a VirtualService of any namespace claim a host here",
    fix="write the namespace before the host: shop/*.shop.example",
    what="A Gateway's server has hosts without a namespace, and the Gateway is shared by several namespaces.",
    why="Whoever may create a VirtualService in any namespace can take over a host, or a path of it.",
    example=together(
        gateway("{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}"),
        virtual_service("route: [{destination: {host: web}}]"),
        virtual_service("route: [{destination: {host: api}}]", name="api", host="api.example")
        .replace("namespace: shop", "namespace: api")
        .replace("[edge]", "[shop/edge]"),
    ),
    instead=together(
        gateway("{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop/shop.example, api/api.example]}"),
        virtual_service("route: [{destination: {host: web}}]"),
        virtual_service("route: [{destination: {host: api}}]", name="api", host="api.example")
        .replace("namespace: shop", "namespace: api")
        .replace("[edge]", "[shop/edge]"),
    ),
)
