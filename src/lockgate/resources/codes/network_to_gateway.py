"""LG50xx, second part: Network Load Balancers of Services, and the gateways behind them."""

from __future__ import annotations

from textwrap import dedent, indent
from typing import Final

from lockgate.resources.faults import Code, Severity

_TLS: Final = "protocol: HTTPS}, hosts: [shop.example], tls: {mode: SIMPLE, credentialName: shop-tls}"
_PLAIN: Final = "protocol: HTTP}, hosts: [shop.example]"
_CERTIFICATE: Final = 'ssl-cert: "arn:aws:acm:eu-west-1:123456789012:certificate/0f0f0f0f-1111-2222-3333-444444444444"'


def _edge(server: str, *annotations: str) -> str:
    noted = "\n".join(f"service.beta.kubernetes.io/aws-load-balancer-{each}" for each in annotations)
    service = """
        apiVersion: v1
        kind: Service
        metadata:
          name: istio-ingressgateway
          namespace: istio-system
        """
    rest = f"""
        spec:
          type: LoadBalancer
          loadBalancerClass: service.k8s.aws/nlb
          selector: {{istio: ingressgateway}}
          ports: [{{name: https, port: 443, targetPort: 8443}}]
        ---
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {{name: edge, namespace: istio-system}}
        spec:
          selector: {{istio: ingressgateway}}
          servers:
            - {{port: {{number: 443, name: web, {server}}}
        """
    head = dedent(service).rstrip()
    if noted:
        head += "\n  annotations:\n" + indent(noted, "    ")
    return head + dedent(rest)


TLS = Code(
    "LG5007",
    Severity.ERROR,
    "A Network Load Balancer and a Gateway that disagree on TLS",
    message="{balancer} ends TLS on port {port}, and the gateway speaks TLS there too: it closes every connection",
    fix="set service.beta.kubernetes.io/aws-load-balancer-backend-protocol: ssl, or end TLS at one of them only",
    what="The listener has a certificate and ends TLS. What it opens to the gateway, TLS or not, differs from what the "
    "server of the Gateway expects.",
    why="The gateway gets plain bytes in place of a TLS handshake, or a handshake in place of a request, and clients "
    "see a closed connection.",
    example=_edge(_TLS, _CERTIFICATE),
    instead=_edge(_TLS, _CERTIFICATE, "backend-protocol: ssl", "alpn-policy: HTTP2Preferred"),
)
TLS_AGAIN = TLS.variant(
    "{balancer} opens TLS to the gateway on port {port}, and the gateway speaks plain HTTP there: no request passes",
    "remove service.beta.kubernetes.io/aws-load-balancer-backend-protocol, or give the server the protocol HTTPS",
)

PROXY = Code(
    "LG5008",
    Severity.ERROR,
    "The PROXY protocol on one side only",
    message="{balancer} sends the PROXY protocol to port {port}, and the gateway does not expect it: it closes every "
    "connection",
    fix="set gatewayTopology.proxyProtocol in meshConfig.defaultConfig, or remove the annotation",
    what="A Network Load Balancer sends the PROXY protocol before the client's bytes where its Service says so, and a "
    "gateway expects it where `gatewayTopology.proxyProtocol` is set. Both must do it, or neither.",
    why="The gateway reads the PROXY header as the start of the request, or waits for one that does not come.",
    example=_edge(_PLAIN, "proxy-protocol: '*'"),
    instead=_edge(_PLAIN),
)
NO_PROXY = PROXY.variant(
    "the gateway expects the PROXY protocol, and {balancer} does not send it to port {port}: no request passes",
    "set service.beta.kubernetes.io/aws-load-balancer-proxy-protocol: '*', or remove gatewayTopology.proxyProtocol",
)
