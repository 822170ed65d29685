"""LG4xxx: host names and DNS, across Ingress, Gateway, VirtualService, certificates and hosted zones."""

from __future__ import annotations

from lockgate.resources.codes.examples import ingress, together
from lockgate.resources.faults import Code, Severity

_EDGE = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: edge
  namespace: istio-system
  annotations:
    alb.ingress.kubernetes.io/healthcheck-port: "30521"
    alb.ingress.kubernetes.io/healthcheck-path: /healthz/ready
spec:
  ingressClassName: alb
  rules:
    - host: %s
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: istio-ingressgateway, port: {number: 80}}}}]}
---
apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  type: NodePort
  selector: {istio: ingressgateway}
  ports:
    - {name: status-port, port: 15021, nodePort: 30521}
    - {name: http2, port: 80, targetPort: 8080}
"""
_ROUTE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: %s, namespace: shop}
spec:
  hosts: [%s]
  gateways: [istio-system/edge]
  http: [{%sroute: [{destination: {host: web}}]}]
"""

NO_VIRTUAL_HOST = Code(
    "LG4001",
    Severity.WARNING,
    "A host that the gateway behind does not know",
    message="{balancer} forwards {host} to {service}, and no VirtualService there has this host: it answers 404",
    fix="add the host to a VirtualService's hosts",
    what="A rule of an Ingress forwards a host to Istio's ingress gateway, which has no route for it.",
    why="Envoy answers 404 with an empty body, and response flag NR in its access log.",
    example=together(_EDGE % "www.shop.example", _ROUTE % ("web", "shop.example", "")),
    instead=together(_EDGE % "shop.example", _ROUTE % ("web", "shop.example", "")),
)
NO_VIRTUAL_SERVICE = NO_VIRTUAL_HOST.variant(
    "{balancer} forwards to {service}, and no VirtualService names a Gateway there: it answers 404 to every request",
    "name the Gateway in a VirtualService, as namespace/name",
)
NOT_FORWARDED = Code(
    "LG4002",
    Severity.WARNING,
    "A host that no load balancer forwards",
    message="no rule forwards {host} to this gateway: {balancer} answers 404 before the request gets here",
    fix="add a rule for the host to the Ingress",
    what="A VirtualService serves a host at a gateway behind a load balancer whose rules are for other hosts.",
    why="The load balancer's default action answers 404; the gateway's log has no line of it.",
    example=together(
        _EDGE % "shop.example", _ROUTE % ("web", "shop.example", ""), _ROUTE % ("api", "api.shop.example", "")
    ),
    instead=together(
        _EDGE % '"*.shop.example"', _ROUTE % ("web", "www.shop.example", ""), _ROUTE % ("api", "api.shop.example", "")
    ),
)
HOST_OF_TWO_BALANCERS = Code(
    "LG4003",
    Severity.WARNING,
    "A host of two load balancers",
    message="{first} and {second} both have rules for {host}, and its DNS record can point to one of them only",
    fix="put the Ingresses into one group (group.name), or give each its own host",
    what="Ingresses of different load balancers of one scheme have rules for the same host.",
    why="external-dns writes one of the two, and the rules of the other get no requests.",
    example=together(
        ingress(),
        ingress(name="api").replace("path: /", "path: /api"),
    ),
    instead=together(
        ingress("group.name: shop"), ingress("group.name: shop", name="api").replace("path: /", "path: /api")
    ),
)
HOST_OF_TWO_SERVICES = Code(
    "LG4004",
    Severity.INFO,
    "A host of two VirtualServices",
    message="{host} is in {first} too: at a gateway their routes become one list, the older VirtualService's first",
    fix="keep a host's routes in one VirtualService, or delegate parts of it",
    what="Two VirtualServices at one gateway have the same host.",
    why="Which routes come first depends on when the objects were created. A restored cluster, or a reapplied file, "
    "may route in another order. Kiali reports it as KIA1106.",
    example=together(
        _ROUTE % ("web", "shop.example", "match: [{uri: {prefix: /web}}], "),
        _ROUTE % ("api", "shop.example", "match: [{uri: {prefix: /api}}], "),
    ),
    instead=_ROUTE % ("web", "shop.example", ""),
    aliases=("KIA1106",),
)
NO_RECORD = Code(
    "LG4005",
    Severity.WARNING,
    "A host without a DNS record",
    message="{host} has no record in its hosted zone: nobody finds the load balancer by this name",
    fix="let external-dns write it, or create an alias record",
    what="An Ingress has a rule for a host whose hosted zone is known, and neither external-dns nor anybody else makes "
    "a record for it.",
    why="external-dns skips an object whose annotations say so, or whose controller annotation names another one.",
    example=ingress().replace(" {}", "\n    external-dns.alpha.kubernetes.io/controller: another"),
    instead=ingress(),
)
