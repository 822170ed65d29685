"""LG11xx, second part: Services, and the Network Load Balancers that the controller makes of them."""

from __future__ import annotations

from lockgate.resources.faults import Code, Severity

DROPPED_PORT = Code(
    "LG1114",
    Severity.WARNING,
    "A port without a listener",
    message="no listener for {protocol} {port}: another port of the Service has this number",
    fix='set service.beta.kubernetes.io/aws-load-balancer-enable-tcp-udp-listener: "true"',
    what="Two ports of a Service have one number and different protocols.",
    why="The controller makes one listener for each number, for the first of the ports. Clients of the other one get "
    "no answer, and nothing in the cluster says so.",
    example="""
        apiVersion: v1
        kind: Service
        metadata: {name: names, namespace: shop}
        spec:
          type: LoadBalancer
          loadBalancerClass: service.k8s.aws/nlb
          ports:
            - {name: dns, port: 53, protocol: UDP}
            - {name: dns-tcp, port: 53, protocol: TCP}
        """,
    instead="""
        apiVersion: v1
        kind: Service
        metadata:
          name: names
          namespace: shop
          annotations: {service.beta.kubernetes.io/aws-load-balancer-enable-tcp-udp-listener: "true"}
        spec:
          type: LoadBalancer
          loadBalancerClass: service.k8s.aws/nlb
          ports:
            - {name: dns, port: 53, protocol: UDP}
            - {name: dns-tcp, port: 53, protocol: TCP}
        """,
)
