"""LG500x to LG504x: between a load balancer and the gateway behind it.

Each side is valid by itself. The examples are put together from the few objects at the end of this file.
"""

from __future__ import annotations

from lockgate.resources.faults import Code, Severity


def _manifests(*objects: str) -> str:
    return "---\n".join(objects)


def _gateway(*servers: str, name: str = "edge") -> str:
    listed = "".join(f"    - {server}\n" for server in servers)
    return f"""\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: istio-system}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
{listed}"""


_HTTP = '{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}'
_REDIRECTING = '{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"], tls: {httpsRedirect: true}}'


def _https(host: str, secret: str = "shop-tls") -> str:  # noqa: S107  a Secret's name
    return f"""port: {{number: 443, name: {secret}, protocol: HTTPS}}
      hosts: ["{host}"]
      tls: {{mode: SIMPLE, credentialName: {secret}}}"""


_HEALTH = {"healthcheck-protocol": "HTTP", "healthcheck-port": "status-port", "healthcheck-path": "/healthz/ready"}
_CERTIFICATE = {
    "listen-ports": "'[{\"HTTPS\": 443}]'",
    "certificate-arn": "arn:aws:acm:eu-west-1:123456789012:certificate/5f1d6c1e-7a55-4a0e-9d0b-2f6f0c9d7e11",
}


def _ingress(port: int, annotations: dict[str, str], *, name: str = "edge", host: str = "") -> str:
    listed = "".join(f"\n    alb.ingress.kubernetes.io/{key}: {value}" for key, value in annotations.items())
    backend = f"{{service: {{name: istio-ingressgateway, port: {{number: {port}}}}}}}"
    rules = f"""rules:
    - host: {host}
      http: {{paths: [{{path: /, pathType: Prefix, backend: {backend}}}]}}"""
    return f"""\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
  namespace: istio-system
  annotations:{listed or " {}"}
spec:
  ingressClassName: alb
  {rules if host else f"defaultBackend: {backend}"}
"""


def _routes(*routes: str) -> str:
    listed = "".join(f"    - {route}\n" for route in routes)
    return f"""\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web, namespace: shop}}
spec:
  hosts: [shop.example]
  gateways: [istio-system/edge]
  http:
{listed}"""


def _policy(field: str) -> str:
    return f"""\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: office, namespace: istio-system}}
spec:
  selector: {{matchLabels: {{istio: ingressgateway}}}}
  rules:
    - from: [{{source: {{{field}: [198.51.100.0/24]}}}}]
"""


_GRPC_SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{name: grpc, port: 80}]
"""
_BY_ADDRESS = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: shop}
spec:
  host: web
  trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true}}}
"""
_TRUSTING = """\
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
metadata: {name: edge, namespace: istio-system}
spec:
  meshConfig: {defaultConfig: {gatewayTopology: {numTrustedProxies: 1}}}
  components: {ingressGateways: [{name: istio-ingressgateway, enabled: true, k8s: {service: {type: NodePort}}}]}
"""

# --- codes -------------------------------------------------------------------------------------------------------

UNREACHED_SERVER = Code(
    "LG5002",
    Severity.WARNING,
    "A Gateway server that no connection of the load balancer selects",
    message="{balancer} sends no SNI, so it gets another server, with the host *, which has no route for {hosts}: "
    "requests for it get 404",
    fix="name the Gateway of that server in the VirtualService too, or leave one server, with the host *",
    what="A gateway has a server for named hosts beside one for any host, on the same HTTPS port. A load balancer "
    "connects without a server name (SNI), so its connections always get the server for any host.",
    why="The routes of the named server are there only for clients that connect to the gateway themselves. Through the "
    "load balancer, their hosts get 404.",
    example=_manifests(
        _gateway(_https("shop.example")),
        _gateway(_https("*", "other-tls"), name="any"),
        _ingress(443, {"backend-protocol": "HTTPS", **_HEALTH}),
    ),
    instead=_manifests(_gateway(_https("*")), _ingress(443, {"backend-protocol": "HTTPS", **_HEALTH})),
)

TLS_TO_PLAIN = Code(
    "LG5003",
    Severity.ERROR,
    "TLS to a Gateway server of plain HTTP",
    message="{balancer} opens TLS to {service}, and the gateway speaks plain HTTP there: it answers every request with "
    "502",
    fix="set alb.ingress.kubernetes.io/backend-protocol: HTTP, or lead the Ingress to the gateway's HTTPS port",
    what="The protocol of the target group is HTTPS, and the server of the Gateway behind it has the protocol HTTP.",
    why="The TLS handshake fails, because the gateway answers it with a plain 400. The load balancer answers 502 to "
    "every request.",
    example=_manifests(_gateway(_HTTP), _ingress(80, {"backend-protocol": "HTTPS", **_HEALTH})),
    instead=_manifests(_gateway(_HTTP), _ingress(80, {"backend-protocol": "HTTP", **_HEALTH})),
)
PLAIN_TO_TLS = Code(
    "LG5004",
    Severity.ERROR,
    "Plain HTTP to a Gateway server of TLS",
    message="{balancer} sends plain HTTP to {service}, and the gateway speaks TLS there: it answers every request with "
    "502",
    fix="set alb.ingress.kubernetes.io/backend-protocol: HTTPS, or lead the Ingress to the gateway's HTTP port",
    what="The protocol of the target group is HTTP, its default, and the server of the Gateway behind it has the "
    "protocol HTTPS or TLS.",
    why="The gateway closes the connection when it gets a request in place of a TLS handshake. The load balancer "
    "answers 502 to every request.",
    example=_manifests(_gateway(_https("*")), _ingress(443, _HEALTH)),
    instead=_manifests(_gateway(_https("*")), _ingress(443, {"backend-protocol": "HTTPS", **_HEALTH})),
)

GRPC_TO_HTTP1 = Code(
    "LG5005",
    Severity.WARNING,
    "gRPC to a backend of HTTP/1.1",
    message="{balancer} forwards gRPC, and the gateway speaks HTTP/1.1 with {host}:{port}: gRPC calls fail",
    fix="name the Service's port grpc, or set its appProtocol: grpc",
    what="A target group of protocol version GRPC leads to a gateway, and a route behind it to a Service port that is "
    "not named for gRPC or HTTP/2. Istio then uses HTTP/1.1 to the backend.",
    why="A gRPC call needs HTTP/2 on every hop: its status is in the trailers. The backend refuses the request, or the "
    "client sees a response without a status.",
    example=_manifests(
        _gateway(_https("*")),
        _routes("route: [{destination: {host: web}}]"),
        _ingress(443, {**_CERTIFICATE, "backend-protocol": "HTTPS", "backend-protocol-version": "GRPC"}),
    ),
    instead=_manifests(
        _gateway(_https("*")),
        _routes("route: [{destination: {host: web}}]"),
        _ingress(443, {**_CERTIFICATE, "backend-protocol": "HTTPS", "backend-protocol-version": "GRPC"}),
        _GRPC_SERVICE,
    ),
)
GRPC_BEHIND_HTTP1 = Code(
    "LG5006",
    Severity.WARNING,
    "A gRPC backend behind HTTP/1.1",
    message="{host}:{port} speaks gRPC, and {balancer} speaks HTTP/1.1 with the gateway: it answers gRPC calls with "
    "464",
    fix="set alb.ingress.kubernetes.io/backend-protocol-version: GRPC for a path of its own, on an HTTPS listener",
    what="A route of a gateway leads to a Service port that is named for gRPC, and every target group that leads to "
    "the gateway has the protocol version HTTP1, the default.",
    why="The load balancer refuses gRPC calls for such a target group with 464, before they reach the gateway.",
    example=_manifests(
        _routes("route: [{destination: {host: web}}]"), _ingress(80, {**_CERTIFICATE, **_HEALTH}), _GRPC_SERVICE
    ),
    instead=_manifests(
        _gateway(_https("*")),
        _routes("route: [{destination: {host: web}}]"),
        _ingress(443, {**_CERTIFICATE, "backend-protocol": "HTTPS", "backend-protocol-version": "GRPC"}),
        _GRPC_SERVICE,
    ),
)

NO_LISTENER = Code(
    "LG5009",
    Severity.WARNING,
    "A port of a gateway on which nothing listens",
    message="{balancer} connects to {service}, and no Gateway has a server for this port of {workload}: every request "
    "gets 502",
    fix="add a server for the port to a Gateway that selects these Pods, or lead the Ingress to a port that has one",
    what="An Ingress leads to a port of Istio's ingress gateway for which no Gateway has a server: its selector is for "
    "other Pods, or its servers are for other ports.",
    why="Envoy listens only where a Gateway says so. The connection is refused and the load balancer answers 502. Its "
    "targets may stay healthy all the same: Istio's agent answers the health check on a port of its own.",
    example=_manifests(_gateway(_HTTP), _ingress(443, {"backend-protocol": "HTTPS", **_HEALTH})),
    instead=_manifests(_gateway(_HTTP), _ingress(80, _HEALTH)),
)
UNHEALTHY = Code(
    "LG5010",
    Severity.ERROR,
    "A health check that the gateway does not pass",
    message="the targets of {service} stay unhealthy behind {balancer}: {why}",
    fix="set healthcheck-port: {port}, healthcheck-protocol: HTTP and healthcheck-path: /healthz/ready",
    what="The path, port, protocol or Host of a target group's health check leads to something that the check does not "
    "take as success. A check has the target's address as its Host, so only a virtual host for * answers it.",
    why="No target becomes healthy. The load balancer then sends requests to all of them, rollouts with readiness "
    "gates do not end, and Route 53 takes the load balancer out of records that evaluate its health.",
    example=_manifests(_gateway(_HTTP), _ingress(80, {})),
    instead=_manifests(_gateway(_HTTP), _ingress(80, _HEALTH)),
)
UNHEALTHY_WITHOUT_STATUS_PORT = UNHEALTHY.variant(
    UNHEALTHY.message,
    "give the gateway's Service a port for 15021, and check /healthz/ready there with plain HTTP",
)

REDIRECT_LOOP = Code(
    "LG5020",
    Severity.ERROR,
    "A redirect to https behind a load balancer that has ended TLS",
    message="every https request for {hosts} is redirected to itself: {balancer} ends TLS, and the gateway, which gets "
    "plain HTTP, redirects to https",
    fix="remove httpsRedirect and set alb.ingress.kubernetes.io/ssl-redirect: '443', or set "
    "gatewayTopology.numTrustedProxies: 1",
    what="A Gateway's server redirects plain HTTP to https, and gets the requests of an HTTPS listener over plain "
    "HTTP. Without trusted proxies the gateway ignores the X-Forwarded-Proto of the load balancer.",
    why="Browsers give up with ERR_TOO_MANY_REDIRECTS.",
    example=_manifests(_gateway(_REDIRECTING), _ingress(80, {**_CERTIFICATE, **_HEALTH})),
    instead=_manifests(_gateway(_HTTP), _ingress(80, {**_CERTIFICATE, **_HEALTH})),
)
REDIRECT_ROUTE_LOOP = Code(
    "LG5021",
    Severity.ERROR,
    "A route that redirects https requests to https",
    message="every https request for {hosts} that takes this route is redirected to itself: {balancer} has ended TLS, "
    "and the redirect has no condition",
    fix="set alb.ingress.kubernetes.io/ssl-redirect: '443' instead, or match the header x-forwarded-proto: http",
    what="A VirtualService redirects to https without a condition, and gets the requests of an HTTPS listener.",
    why="The client asks for the same URL again, and gets the same redirect. Browsers give up with "
    "ERR_TOO_MANY_REDIRECTS.",
    example=_manifests(_routes("redirect: {scheme: https}"), _ingress(80, {**_CERTIFICATE, **_HEALTH})),
    instead=_manifests(_routes("route: [{destination: {host: web}}]"), _ingress(80, {**_CERTIFICATE, **_HEALTH})),
)

CLIENT_ADDRESS_LOST = Code(
    "LG5030",
    Severity.ERROR,
    "Client addresses at a gateway that trusts no proxy",
    message="remoteIpBlocks gets the address of {balancer}, not the client's, because the gateway trusts no proxy: "
    "this rule matches {whom}",
    fix="set numTrustedProxies: 1 in meshConfig.defaultConfig.gatewayTopology, or in proxy.istio.io/config of the Pods",
    what="An AuthorizationPolicy at a gateway behind a load balancer tells clients by their address, and "
    "`numTrustedProxies` is 0. Then the gateway takes the address of its peer, which is the load balancer.",
    why="A policy that allows some addresses refuses everybody with 403, and one that denies some refuses nobody. With "
    "`not…Blocks` it is the other way round.",
    example=_manifests(_policy("remoteIpBlocks"), _ingress(80, _HEALTH)),
    instead=_manifests(_policy("remoteIpBlocks"), _ingress(80, _HEALTH), _TRUSTING),
)
PEER_ADDRESS = Code(
    "LG5031",
    Severity.ERROR,
    "Client addresses compared with the load balancer's",
    message="ipBlocks compares the address of the connection, which is that of {balancer}: this rule matches {whom}",
    fix="use remoteIpBlocks, and set gatewayTopology.numTrustedProxies: 1",
    what="An AuthorizationPolicy at a gateway behind a load balancer has public addresses in `ipBlocks` or "
    "`notIpBlocks`. These are compared with the peer of the connection, whatever X-Forwarded-For says.",
    why="A policy that allows some addresses refuses everybody with 403, and one that denies some refuses nobody. With "
    "`not…Blocks` it is the other way round.",
    example=_manifests(_policy("ipBlocks"), _ingress(80, _HEALTH)),
    instead=_manifests(_policy("remoteIpBlocks"), _ingress(80, _HEALTH), _TRUSTING),
)
SOURCE_HASH = Code(
    "LG5032",
    Severity.WARNING,
    "A hash of the load balancer's address",
    message="useSourceIp hashes the address of {balancer}, because the gateway trusts no proxy: all clients share a "
    "few endpoints",
    fix="set gatewayTopology.numTrustedProxies: 1 for the gateway, or hash a cookie or a header",
    what="A DestinationRule chooses endpoints by the client's address, and the gateway takes the load balancer's "
    "address for it.",
    why="Each node of the load balancer has one address. So all requests through it go to one endpoint, and a client "
    "that comes through another node goes to another one.",
    example=_manifests(_BY_ADDRESS, _ingress(80, _HEALTH)),
    instead=_manifests(_BY_ADDRESS, _ingress(80, _HEALTH), _TRUSTING),
)

NO_RULE_ON_HTTPS = Code(
    "LG5040",
    Severity.WARNING,
    "A member of a group without rules on the HTTPS listener",
    message="this Ingress has no rule on port {port} of {balancer}: https requests for {host} get 404 there",
    fix="set alb.ingress.kubernetes.io/listen-ports as on the other members, with a certificate for the host",
    what="An IngressGroup listens on HTTPS, and this member has neither `listen-ports` nor `certificate-arn`. Ports "
    "belong to the members, not to the group: without them, a member's rules are on port 80 alone.",
    why="Requests with https for its hosts get the default action of the HTTPS listener, which is 404. With "
    "ssl-redirect in the group, plain requests are redirected there too.",
    example=_manifests(
        _ingress(80, {"group.name": "shop", **_CERTIFICATE, **_HEALTH}, name="www", host="www.shop.example"),
        _ingress(80, {"group.name": "shop", **_HEALTH}, host="shop.example"),
    ),
    instead=_manifests(
        _ingress(80, {"group.name": "shop", **_CERTIFICATE, **_HEALTH}, host="shop.example"),
    ),
)

_STRICT_SHOP = """\
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec: {mtls: {mode: STRICT}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 3000}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  namespace: shop
  annotations: {alb.ingress.kubernetes.io/target-type: ip}
spec:
  ingressClassName: alb
  rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]
"""
_STRICT_PODS = """\
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web, ports: [{containerPort: 3000}]}]}
"""

STRICT_TARGETS = Code(
    "LG5050",
    Severity.ERROR,
    "A load balancer in front of Pods that demand the mesh's mutual TLS",
    message="{balancer} sends requests to {service}, whose sidecars reset its connections, because PeerAuthentication "
    "{policy} is STRICT: health checks fail, and clients get 502",
    fix="route to Istio's gateway, or set the port to PERMISSIVE in `portLevelMtls` of a policy with a selector",
    what="The targets of an Application Load Balancer are Pods with an Istio sidecar, and their PeerAuthentication is "
    "STRICT.",
    why="A load balancer has no certificate of the mesh. The sidecar closes its connections, with TLS and without, "
    "so no target gets healthy.",
    example=_STRICT_SHOP + _STRICT_PODS,
    instead=_STRICT_SHOP.replace("mode: STRICT", "mode: PERMISSIVE"),
)
