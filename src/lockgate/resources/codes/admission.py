"""LG01xx: what the Kubernetes API and the components' webhooks refuse, in their own words."""

from __future__ import annotations

from lockgate.resources.faults import Code, Severity

_REFUSED = "The API server refuses the object, so it does not exist in the edge; the other objects do."

REQUIRED = Code(
    "LG0101",
    Severity.ERROR,
    "A required field is missing",
    message="{refusal}",
    fix="add the field",
    what="The API server requires a field that the object does not have.",
    why=_REFUSED,
    example="""
        apiVersion: v1
        kind: Service
        metadata: {name: api, namespace: shop}
        spec: {selector: {app: api}}
        """,
    instead="""
        apiVersion: v1
        kind: Service
        metadata: {name: api, namespace: shop}
        spec:
          selector: {app: api}
          ports: [{name: http, port: 80}]
        """,
)
UNSUPPORTED = Code(
    "LG0102",
    Severity.ERROR,
    "A value outside the allowed ones",
    message="{refusal}",
    what="The field takes one of a few values, and this is none of them. Upper and lower case count.",
    why=_REFUSED,
    example="""
        apiVersion: v1
        kind: Service
        metadata: {name: api, namespace: shop}
        spec:
          type: nodeport
          ports: [{name: http, port: 80}]
        """,
    instead="""
        apiVersion: v1
        kind: Service
        metadata: {name: api, namespace: shop}
        spec:
          type: NodePort
          ports: [{name: http, port: 80}]
        """,
)
INVALID = Code(
    "LG0103",
    Severity.ERROR,
    "An invalid value",
    message="{refusal}",
    what="A value breaks one of the API server's rules: a port above 65535, a name with capitals, a path without `/`.",
    why=_REFUSED,
    example="""
        apiVersion: v1
        kind: Service
        metadata: {name: api, namespace: shop}
        spec:
          ports: [{name: http, port: 80800}]
        """,
    instead="""
        apiVersion: v1
        kind: Service
        metadata: {name: api, namespace: shop}
        spec:
          ports: [{name: http, port: 8080}]
        """,
)
MORE_INVALID = INVALID.variant("{count} more invalid values in this object")
FORBIDDEN = Code(
    "LG0104",
    Severity.ERROR,
    "A field that may not be set here",
    message="{refusal}",
    fix="remove the field",
    what="The field is valid, but not together with the object's other fields.",
    why=_REFUSED,
    example="""
        apiVersion: v1
        kind: Service
        metadata: {name: api, namespace: shop}
        spec:
          type: ClusterIP
          ports: [{name: http, port: 80, nodePort: 30080}]
        """,
    instead="""
        apiVersion: v1
        kind: Service
        metadata: {name: api, namespace: shop}
        spec:
          type: NodePort
          ports: [{name: http, port: 80, nodePort: 30080}]
        """,
)
DUPLICATE_VALUE = Code(
    "LG0105",
    Severity.ERROR,
    "A value that must be unique",
    message="{refusal}",
    fix="give each entry a value of its own",
    what="Two entries of a list have the same name, port or address, and the API server allows each once.",
    why=_REFUSED,
    example="""
        apiVersion: v1
        kind: Service
        metadata: {name: api, namespace: shop}
        spec:
          ports: [{name: http, port: 80}, {name: http, port: 8080}]
        """,
    instead="""
        apiVersion: v1
        kind: Service
        metadata: {name: api, namespace: shop}
        spec:
          ports: [{name: http, port: 80}, {name: metrics, port: 8080}]
        """,
)
REFUSED_BY_WEBHOOK = Code(
    "LG0110",
    Severity.ERROR,
    "Refused by an admission webhook",
    message="{refusal} (refused by {webhook})",
    what="The API server accepts the object, and the webhook of Istio, cert-manager or the AWS Load Balancer "
    "Controller denies it.",
    why="`kubectl apply` fails in a cluster with these components, and here. The object does not exist in the edge.",
    example="""
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec:
          hosts: [shop.example]
          gateways: [istio-system/edge]
          http:
            - route:
                - destination: {host: web}
                  weight: -1
        """,
    instead="""
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec:
          hosts: [shop.example]
          gateways: [istio-system/edge]
          http:
            - route:
                - destination: {host: web}
                  weight: 1
        """,
)
WARNED_BY_WEBHOOK = Code(
    "LG0111",
    Severity.WARNING,
    "Warned about by an admission webhook",
    message="{warning}",
    what="The webhook accepts the object and warns: in a cluster, kubectl prints the warning.",
    why="The object is stored and counts, and probably does something else than its author expects.",
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
