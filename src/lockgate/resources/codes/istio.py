"""IST0xxx: what `istioctl analyze` reports under the same number, in our own words.

Source of the numbers: istio/istio `pkg/config/analysis/msg/messages.yaml`.
"""

from __future__ import annotations

from lockgate.resources.faults import Code, Severity

GATEWAY_NOT_FOUND = Code(
    "IST0101",
    Severity.ERROR,
    "A reference to something that does not exist",
    message="Gateway {gateway} does not exist, so no request reaches these routes through it",
    fix="create it, or name an existing one as namespace/name",
    what="An Istio object names a Gateway, a host, a port, a subset, a Secret or a delegate that does not exist, or "
    "that the gateway does not see.",
    why="Requests get 404 or 503, or TLS connections are closed before the handshake ends.",
    example="""
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec:
          hosts: [shop.example]
          gateways: [istio-system/public]
          http: [{route: [{destination: {host: web}}]}]
        """,
    instead="""
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec:
          hosts: [shop.example]
          gateways: [istio-system/edge]
          http: [{route: [{destination: {host: web}}]}]
        """,
    aliases=("KIA1101", "KIA1102", "KIA1107", "KIA0302"),
)
HOST_NOT_FOUND = GATEWAY_NOT_FOUND.variant(
    "no Service or ServiceEntry has the host {host}: requests get 503 (NC, no cluster)",
    "correct the host; a short name means a Service of the namespace {namespace}",
)
PORT_NOT_FOUND = GATEWAY_NOT_FOUND.variant(
    "{host} has no port {port} (it has {ports}): requests get 503 (NC, no cluster)",
    "name one of its ports in destination.port.number",
)
SUBSET_NOT_FOUND = GATEWAY_NOT_FOUND.variant(
    "no DestinationRule that this gateway sees defines subset {subset} of {host}: requests get 503 (NC, no cluster)",
    "define the subset in a DestinationRule of the namespace of the Service or of the gateway",
)
SECRET_NOT_FOUND = GATEWAY_NOT_FOUND.variant(
    "Secret {namespace}/{name} does not exist: TLS connections are closed before the handshake ends",
    "create the Secret in {namespace}, the namespace of the gateway's Pod, where credentialName is looked up",
)
FILE_NOT_FOUND = GATEWAY_NOT_FOUND.variant(
    "no Secret is mounted at {paths} of the gateway's Pod: TLS connections are closed before the handshake ends",
    "set credentialName, or mount a Secret with secretVolumes of the IstioOperator",
)
NO_WORKLOAD = GATEWAY_NOT_FOUND.variant(
    "no gateway Pod has the labels {selector}, so nothing serves this Gateway",
    "make spec.selector match the labels of the gateway's Pod",
)
DELEGATE_NOT_FOUND = GATEWAY_NOT_FOUND.variant(
    "the delegate VirtualService {delegate} does not exist, or is not visible here; this rule is left out",
    "create it without hosts, or correct the delegate's name and namespace",
)

PORT_REQUIRED = Code(
    "IST0112",
    Severity.ERROR,
    "A destination without a port, of a service with several",
    message="{host} has several ports ({ports}) and the destination names none; the Gateway's port {port} is used",
    fix="set destination.port.number",
    what="A route names a service that has several ports, and says none of them.",
    why="The port of the Gateway's server is used, which the service often does not have: requests get 503.",
    example="""
        apiVersion: v1
        kind: Service
        metadata: {name: web, namespace: shop}
        spec:
          selector: {app: web}
          ports: [{name: http, port: 8080}, {name: http-admin, port: 8081}]
        """,
    instead="""
        apiVersion: v1
        kind: Service
        metadata: {name: web, namespace: shop}
        spec:
          selector: {app: web}
          ports: [{name: http, port: 8080}, {name: http-admin, port: 8081}]
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec:
          hosts: [shop.example]
          gateways: [istio-system/edge]
          http: [{route: [{destination: {host: web, port: {number: 8080}}}]}]
        """,
)

PORT_NAME = Code(
    "IST0118",
    Severity.INFO,
    "A port name without a protocol",
    message="the name {name} of port {port} does not say a protocol, so the gateway speaks HTTP/1.1 to it",
    fix="name it after its protocol (http, http2, grpc, https-…), or set appProtocol",
    what="Istio reads a port's protocol from its name or from appProtocol, and this port has neither.",
    why="gRPC and HTTP/2 services fail behind such a port. In a mesh, sidecars guess the protocol.",
    example="""
        apiVersion: v1
        kind: Service
        metadata: {name: web, namespace: shop}
        spec:
          selector: {app: web}
          ports: [{name: main, port: 8080}]
        """,
    instead="""
        apiVersion: v1
        kind: Service
        metadata: {name: web, namespace: shop}
        spec:
          selector: {app: web}
          ports: [{name: http-main, port: 8080}]
        """,
    aliases=("KIA0601",),
)

UNVERIFIED_SERVER = Code(
    "IST0128",
    Severity.WARNING,
    "TLS to a service without CA certificates",
    message="TLS to {host} is verified with the system's CAs only, because no caCertificates are set",
    fix="set caCertificates or credentialName",
    what="A DestinationRule asks for TLS (SIMPLE or MUTUAL) and does not say which CA to trust.",
    why="A private CA's certificate is refused, and requests get 503. Without CAs in the system, nothing is verified.",
    example="""
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: web, namespace: shop}
        spec:
          host: web
          trafficPolicy: {tls: {mode: SIMPLE}}
        """,
    instead="""
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: web, namespace: shop}
        spec:
          host: web
          trafficPolicy: {tls: {mode: SIMPLE, caCertificates: /etc/istio/ingressgateway-ca-certs/ca.crt}}
        ---
        apiVersion: v1
        kind: Secret
        metadata: {name: istio-ingressgateway-ca-certs, namespace: istio-system}
        stringData: {ca.crt: the CA's certificate in PEM}
        """,
)
UNVERIFIED_PORT = Code(
    "IST0129",
    Severity.WARNING,
    "TLS to a port without CA certificates",
    message="TLS to port {port} of {host} is verified with the system's CAs only, because no caCertificates are set",
    fix=UNVERIFIED_SERVER.fix,
    what="A DestinationRule asks for TLS to one port and does not say which CA to trust.",
    why=UNVERIFIED_SERVER.why,
    example="""
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: web, namespace: shop}
        spec:
          host: web
          trafficPolicy:
            portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE}}]
        """,
    instead="""
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: web, namespace: shop}
        spec:
          host: web
          trafficPolicy:
            portLevelSettings:
              - port: {number: 80}
                tls: {mode: SIMPLE, caCertificates: /etc/istio/ingressgateway-ca-certs/ca.crt}
        ---
        apiVersion: v1
        kind: Secret
        metadata: {name: istio-ingressgateway-ca-certs, namespace: istio-system}
        stringData: {ca.crt: the CA's certificate in PEM}
        """,
)

UNREACHABLE_RULE = Code(
    "IST0130",
    Severity.WARNING,
    "A rule that is never reached",
    message="this rule is never reached, because an earlier rule matches every request",
    fix="move it before that rule, or give that rule a match",
    what="Rules are tried in order, and one before this matches everything.",
    why="The rule has no effect. Its requests go where the earlier rule leads.",
    example="""
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec:
          hosts: [shop.example]
          gateways: [istio-system/edge]
          http:
            - route: [{destination: {host: web}}]
            - match: [{uri: {prefix: /api}}]
              route: [{destination: {host: web}}]
        """,
    instead="""
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec:
          hosts: [shop.example]
          gateways: [istio-system/edge]
          http:
            - match: [{uri: {prefix: /api}}]
              route: [{destination: {host: web}}]
            - route: [{destination: {host: web}}]
        """,
)

HOSTS_NOT_IN_GATEWAY = Code(
    "IST0132",
    Severity.WARNING,
    "Hosts outside those of the Gateway",
    message="none of the hosts {hosts} is within the hosts of Gateway {gateway}",
    fix="add the host to a server of the Gateway, or correct it",
    what="A VirtualService is bound to a Gateway that has none of its hosts.",
    why="Its routes do not exist at the gateway: requests get 404.",
    example="""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: edge, namespace: istio-system}
        spec:
          selector: {istio: ingressgateway}
          servers:
            - port: {number: 80, name: http, protocol: HTTP}
              hosts: ["*.shop.example"]
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec:
          hosts: [shop.example]
          gateways: [istio-system/edge]
          http: [{route: [{destination: {host: web}}]}]
        """,
    instead="""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: edge, namespace: istio-system}
        spec:
          selector: {istio: ingressgateway}
          servers:
            - port: {number: 80, name: http, protocol: HTTP}
              hosts: [shop.example, "*.shop.example"]
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec:
          hosts: [shop.example]
          gateways: [istio-system/edge]
          http: [{route: [{destination: {host: web}}]}]
        """,
)

SHARED_CERTIFICATE = Code(
    "IST0138",
    Severity.WARNING,
    "One certificate in several Gateways",
    message="the certificate {name} is in Gateway {others} too: browsers reuse one HTTP/2 connection for both, and get "
    "404",
    fix="put the hosts of one certificate into one server",
    what="Several Gateways of one gateway Pod present the same certificate for different hosts.",
    why="A browser that has a connection for one host uses it for every host that the certificate covers. The routes "
    "of the other Gateway are not on that connection, so it gets 404 now and then.",
    example="""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: edge, namespace: istio-system}
        spec:
          selector: {istio: ingressgateway}
          servers:
            - port: {number: 443, name: https, protocol: HTTPS}
              hosts: [shop.example]
              tls: {mode: SIMPLE, credentialName: shop-tls}
        ---
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: api, namespace: istio-system}
        spec:
          selector: {istio: ingressgateway}
          servers:
            - port: {number: 443, name: https, protocol: HTTPS}
              hosts: [api.shop.example]
              tls: {mode: SIMPLE, credentialName: shop-tls}
        """,
    instead="""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: edge, namespace: istio-system}
        spec:
          selector: {istio: ingressgateway}
          servers:
            - port: {number: 443, name: https, protocol: HTTPS}
              hosts: [shop.example, api.shop.example]
              tls: {mode: SIMPLE, credentialName: shop-tls}
        """,
)

CONFLICTING_GATEWAYS = Code(
    "IST0145",
    Severity.ERROR,
    "Servers that exclude each other",
    message="this server is left out: {reason}",
    fix="give the servers different hosts, or merge the Gateways",
    what="Two servers want the same port and host of one gateway Pod.",
    why="istiod serves the older one and leaves this one out, without a word to its owner.",
    example="""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: edge, namespace: istio-system}
        spec:
          selector: {istio: ingressgateway}
          servers:
            - port: {number: 443, name: https, protocol: HTTPS}
              hosts: [shop.example]
              tls: {mode: SIMPLE, credentialName: shop-tls}
            - port: {number: 443, name: https-again, protocol: HTTPS}
              hosts: [shop.example]
              tls: {mode: SIMPLE, credentialName: other-tls}
        """,
    instead="""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: edge, namespace: istio-system}
        spec:
          selector: {istio: ingressgateway}
          servers:
            - port: {number: 443, name: https, protocol: HTTPS}
              hosts: [shop.example]
              tls: {mode: SIMPLE, credentialName: shop-tls}
            - port: {number: 443, name: https-other, protocol: HTTPS}
              hosts: [other.example]
              tls: {mode: SIMPLE, credentialName: other-tls}
        """,
    aliases=("KIA0301",),
)

INVALID_CREDENTIAL = Code(
    "IST0161",
    Severity.ERROR,
    "A Secret that is not a valid credential",
    message="Secret {namespace}/{name} is not a valid credential: {reason}",
    fix="correct the keys tls.crt and tls.key of the Secret",
    what="A Gateway presents the certificate of a Secret, and the Secret holds none that fits its key.",
    why="TLS connections are closed before the handshake ends. A credential that was valid before goes on being used.",
    example="""
        apiVersion: v1
        kind: Secret
        metadata: {name: shop-tls, namespace: istio-system}
        type: kubernetes.io/tls
        stringData: {tls.crt: not a certificate, tls.key: not a key}
        ---
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: edge, namespace: istio-system}
        spec:
          selector: {istio: ingressgateway}
          servers:
            - port: {number: 443, name: https, protocol: HTTPS}
              hosts: [shop.example]
              tls: {mode: SIMPLE, credentialName: shop-tls}
        """,
)

PORT_NOT_ON_SERVICE = Code(
    "IST0162",
    Severity.WARNING,
    "A Gateway port that the gateway's Service does not have",
    message="no Service of the gateway's Pod has port {port}, so nothing outside reaches this server",
    fix="add the port to the gateway's Service, or use one of {ports}",
    what="A Gateway's server opens a port of the gateway's Pod that no Service leads to.",
    why="The server works inside of the Pod only. Load balancers and clients cannot reach it.",
    example="""
        apiVersion: v1
        kind: Service
        metadata: {name: istio-ingressgateway, namespace: istio-system, labels: {istio: ingressgateway}}
        spec:
          selector: {istio: ingressgateway}
          ports: [{name: https, port: 443, targetPort: 8443}]
        """,
    instead="""
        apiVersion: v1
        kind: Service
        metadata: {name: istio-ingressgateway, namespace: istio-system, labels: {istio: ingressgateway}}
        spec:
          selector: {istio: ingressgateway}
          ports: [{name: http2, port: 80, targetPort: 8080}, {name: https, port: 443, targetPort: 8443}]
        """,
)

UNKNOWN_DESTINATION_HOST = Code(
    "IST0174",
    Severity.WARNING,
    "A DestinationRule for an unknown host",
    message="no Service or ServiceEntry has the host {host}, so this DestinationRule has no effect",
    fix="correct the host; a short name means a Service of the rule's own namespace",
    what="A DestinationRule names a host that does not exist.",
    why="Its TLS settings, subsets and limits apply to nothing.",
    example="""
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: web, namespace: istio-system}
        spec:
          host: web
          trafficPolicy: {connectionPool: {http: {http2MaxRequests: 10}}}
        """,
    instead="""
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: web, namespace: istio-system}
        spec:
          host: web.shop.svc.cluster.local
          trafficPolicy: {connectionPool: {http: {http2MaxRequests: 10}}}
        """,
    aliases=("KIA0202",),
)

CLAIM_NOT_READ = Code(
    "IST0149",
    Severity.ERROR,
    "A route by a JWT claim that nothing reads",
    message="no RequestAuthentication of this gateway reads JWTs, so a match of the claim {claim} never holds",
    fix="add a RequestAuthentication that selects the gateway's Pods",
    what="A VirtualService matches `@request.auth.claims`, and no RequestAuthentication applies to the gateway.",
    why="The gateway reads tokens only for a RequestAuthentication. Without it no request has claims, and the route is "
    "never taken.",
    example="""
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec:
          hosts: [shop.example]
          gateways: [istio-system/edge]
          http:
            - match: [{headers: {"@request.auth.claims.group": {exact: staff}}}]
              route: [{destination: {host: web}}]
        """,
    instead="""
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec:
          hosts: [shop.example]
          gateways: [istio-system/edge]
          http:
            - match: [{headers: {"@request.auth.claims.group": {exact: staff}}}]
              route: [{destination: {host: web}}]
        ---
        apiVersion: security.istio.io/v1
        kind: RequestAuthentication
        metadata: {name: jwt, namespace: istio-system}
        spec:
          selector: {matchLabels: {istio: ingressgateway}}
          jwtRules: [{issuer: "https://issuer.example", jwks: '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}'}]
        """,
)

IGNORED_REPLACE = Code(
    "IST0152",
    Severity.ERROR,
    "A REPLACE that an EnvoyFilter's target does not have",
    message="istiod ignores REPLACE of a {target}, so this patch does nothing",
    fix="use MERGE, or REMOVE and ADD",
    what="A patch of an EnvoyFilter replaces a listener, a filter chain, a route configuration, a route or a cluster.",
    why="istiod replaces filters and virtual hosts only. No log names the patch that it leaves out.",
    example="""
        apiVersion: networking.istio.io/v1alpha3
        kind: EnvoyFilter
        metadata: {name: edge, namespace: istio-system}
        spec:
          workloadSelector: {labels: {istio: ingressgateway}}
          configPatches:
            - {applyTo: CLUSTER, match: {context: GATEWAY}, patch: {operation: REPLACE, value: {connect_timeout: 1s}}}
        """,
    instead="""
        apiVersion: networking.istio.io/v1alpha3
        kind: EnvoyFilter
        metadata: {name: edge, namespace: istio-system}
        spec:
          workloadSelector: {labels: {istio: ingressgateway}}
          configPatches:
            - {applyTo: CLUSTER, match: {context: GATEWAY}, patch: {operation: MERGE, value: {connect_timeout: 1s}}}
        """,
)

IGNORED_ADD = Code(
    "IST0153",
    Severity.ERROR,
    "An ADD that an EnvoyFilter's target does not have",
    message="istiod ignores ADD of a {target}, so this patch does nothing",
    fix="add a VIRTUAL_HOST to an existing one, or use MERGE",
    what="A patch of an EnvoyFilter adds a route configuration.",
    why="Route configurations belong to listeners. istiod has no listener for another one, and no log names the patch.",
    example="""
        apiVersion: networking.istio.io/v1alpha3
        kind: EnvoyFilter
        metadata: {name: edge, namespace: istio-system}
        spec:
          workloadSelector: {labels: {istio: ingressgateway}}
          configPatches:
            - {applyTo: ROUTE_CONFIGURATION, match: {context: GATEWAY}, patch: {operation: ADD, value: {name: more}}}
        """,
    instead="""
        apiVersion: networking.istio.io/v1alpha3
        kind: EnvoyFilter
        metadata: {name: edge, namespace: istio-system}
        spec:
          workloadSelector: {labels: {istio: ingressgateway}}
          configPatches:
            - applyTo: ROUTE_CONFIGURATION
              match: {context: GATEWAY}
              patch: {operation: MERGE, value: {max_direct_response_body_size_bytes: 8192}}
        """,
)

IGNORED_REMOVE = Code(
    "IST0154",
    Severity.ERROR,
    "A REMOVE that an EnvoyFilter's target does not have",
    message="istiod ignores REMOVE of a {target}, so this patch does nothing",
    fix="remove its virtual hosts or routes, or the Gateway's server",
    what="A patch of an EnvoyFilter removes a route configuration.",
    why="A listener without its route configuration answers nothing, so istiod leaves it. No log names the patch.",
    example="""
        apiVersion: networking.istio.io/v1alpha3
        kind: EnvoyFilter
        metadata: {name: edge, namespace: istio-system}
        spec:
          workloadSelector: {labels: {istio: ingressgateway}}
          configPatches:
            - {applyTo: ROUTE_CONFIGURATION, match: {context: GATEWAY}, patch: {operation: REMOVE}}
        """,
    instead="""
        apiVersion: networking.istio.io/v1alpha3
        kind: EnvoyFilter
        metadata: {name: edge, namespace: istio-system}
        spec:
          workloadSelector: {labels: {istio: ingressgateway}}
          configPatches:
            - applyTo: ROUTE_CONFIGURATION
              match: {context: GATEWAY}
              patch: {operation: MERGE, value: {max_direct_response_body_size_bytes: 8192}}
        """,
)
