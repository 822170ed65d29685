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
