"""LG5xxx: faults across systems: each side is valid by itself, and they do not fit together."""

from __future__ import annotations

from lockgate.resources.faults import Code, Severity

NO_SERVER_WITHOUT_SNI = Code(
    "LG5001",
    Severity.ERROR,
    "No Gateway server for a connection without SNI",
    message="{balancer} connects to {service} without SNI, and no server there has the host *: it answers every "
    "request with 502",
    fix='set hosts: ["*"] here; the VirtualServices still decide by the Host header',
    what="An Application Load Balancer connects to its HTTPS targets without a server name (SNI). The gateway chooses "
    "a server by the server name, and every server of this port is for named hosts.",
    why="The gateway closes each connection during the TLS handshake. The load balancer answers 502 to every request, "
    "and the access log of the gateway has no line.",
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
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata:
          name: edge
          namespace: istio-system
          annotations:
            alb.ingress.kubernetes.io/backend-protocol: HTTPS
            alb.ingress.kubernetes.io/healthcheck-protocol: HTTP
            alb.ingress.kubernetes.io/healthcheck-port: status-port
            alb.ingress.kubernetes.io/healthcheck-path: /healthz/ready
        spec:
          ingressClassName: alb
          defaultBackend: {service: {name: istio-ingressgateway, port: {number: 443}}}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: istio-ingressgateway, namespace: istio-system}
        spec:
          type: NodePort
          selector: {istio: ingressgateway}
          ports: [{name: status-port, port: 15021}, {name: https, port: 443, targetPort: 8443}]
        """,
    instead="""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: edge, namespace: istio-system}
        spec:
          selector: {istio: ingressgateway}
          servers:
            - port: {number: 443, name: https, protocol: HTTPS}
              hosts: ["*"]
              tls: {mode: SIMPLE, credentialName: shop-tls}
        ---
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata:
          name: edge
          namespace: istio-system
          annotations:
            alb.ingress.kubernetes.io/backend-protocol: HTTPS
            alb.ingress.kubernetes.io/healthcheck-protocol: HTTP
            alb.ingress.kubernetes.io/healthcheck-port: status-port
            alb.ingress.kubernetes.io/healthcheck-path: /healthz/ready
        spec:
          ingressClassName: alb
          defaultBackend: {service: {name: istio-ingressgateway, port: {number: 443}}}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: istio-ingressgateway, namespace: istio-system}
        spec:
          type: NodePort
          selector: {istio: ingressgateway}
          ports: [{name: status-port, port: 15021}, {name: https, port: 443, targetPort: 8443}]
        """,
)
_HTTPS_BACKEND = """
apiVersion: v1
kind: Service
metadata: {name: pay, namespace: shop}
spec: {selector: {app: pay}, ports: [{name: https, port: 443}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: pay, namespace: shop}
spec:
  hosts: [pay.example]
  gateways: [istio-system/edge]
  http: [{route: [{destination: {host: pay, port: {number: 443}}}]}]
"""
_TO_EDGE = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
    - port: {number: 443, name: https, protocol: HTTPS}
      hosts: ["*"]
      tls: {mode: %s, credentialName: shop-tls}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: edge
  namespace: istio-system
  annotations:
    alb.ingress.kubernetes.io/backend-protocol: HTTPS
    alb.ingress.kubernetes.io/healthcheck-protocol: HTTP
    alb.ingress.kubernetes.io/healthcheck-port: status-port
    alb.ingress.kubernetes.io/healthcheck-path: /healthz/ready
spec:
  ingressClassName: alb
  defaultBackend: {service: {name: istio-ingressgateway, port: {number: 443}}}
---
apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  type: NodePort
  selector: {istio: ingressgateway}
  ports: [{name: status-port, port: 15021}, {name: https, port: 443, targetPort: 8443}]
"""

PLAIN_TO_HTTPS = Code(
    "LG5051",
    Severity.WARNING,
    "Plain HTTP to a port that expects TLS",
    message="the gateway sends plain HTTP to {host}:{port}, whose protocol is {protocol}: the backend answers 400 or "
    "closes the connection",
    fix="add a DestinationRule for {host} with tls: {{mode: SIMPLE}}",
    what="An HTTP route leads to a port that is named for HTTPS or TLS, and no DestinationRule starts TLS.",
    why="The gateway ended the client's TLS and does not start another by itself. Most servers answer plain HTTP on a "
    "TLS port with 400, and the gateway reports 503 if the connection is closed.",
    example=_HTTPS_BACKEND,
    instead=_HTTPS_BACKEND
    + """---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: pay, namespace: shop}
spec:
  host: pay
  trafficPolicy: {tls: {mode: SIMPLE, sni: pay.example, caCertificates: /etc/ssl/certs/ca-certificates.crt}}
""",
)
CLIENT_CERTIFICATE = Code(
    "LG5053",
    Severity.ERROR,
    "A client certificate that the load balancer does not have",
    message="{balancer} presents no client certificate to {service}, and this server requires one: it answers every "
    "request with 502",
    fix="use mode: SIMPLE here, and verify clients at the load balancer with mutual-authentication",
    what="An HTTPS target group leads to a Gateway server of mode MUTUAL.",
    why="An Application Load Balancer ends the client's TLS and cannot pass its certificate on in the handshake.",
    example=_TO_EDGE % "MUTUAL",
    instead=_TO_EDGE % "SIMPLE",
)
