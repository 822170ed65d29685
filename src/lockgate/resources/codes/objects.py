"""LG00xx, second part: objects that can be read, and do not do what their author may expect."""

from __future__ import annotations

from lockgate.resources.faults import Code, Severity

OBJECT_WITHOUT_EFFECT = Code(
    "LG0009",
    Severity.WARNING,
    "An object without effect here",
    message="{what} has no effect: {reason}",
    fix="{hint}",
    what="The Kubernetes API stores and lists the object, as in a cluster, and nothing on this machine acts on it.",
    why="In a cluster its controller would do something that this edge does not do.",
    example="""
        apiVersion: autoscaling/v2
        kind: HorizontalPodAutoscaler
        metadata: {name: web, namespace: shop}
        spec:
          maxReplicas: 5
          scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
        """,
)
CONTAINERS_NOT_RUN = Code(
    "LG0021",
    Severity.WARNING,
    "A workload whose containers do not run",
    message="{what} runs no container: {reason}",
    fix="{hint}",
    what="The workload rolls out, and its Pods are ready, but no container runs. The echo or your own program answers.",
    why="In a cluster the containers would answer, or do their work.",
    example="""
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web, namespace: shop}
        spec:
          selector: {matchLabels: {app: web}}
          template:
            metadata: {labels: {app: web}}
            spec: {containers: [{name: web, image: example.com/web:1}]}
        """,
)
CONTAINERS_OF_SEVERAL_NOT_RUN = CONTAINERS_NOT_RUN.variant("{what} run no container: {reason}", "{hint}")
OBJECTS_WITHOUT_EFFECT = OBJECT_WITHOUT_EFFECT.variant("{what} have no effect: {reason}", "{hint}")

VERSION = Code(
    "LG0010",
    Severity.ERROR,
    "An API version that is not served",
    message="{kind} is not served as {version}",
    fix="use {served}",
    what="The kind exists, but not in this API version.",
    why="A cluster answers `no matches for kind`, and so does this edge: the object does not exist.",
    example="""
        apiVersion: networking.k8s.io/v1beta1
        kind: IngressClass
        metadata: {name: alb}
        spec: {controller: ingress.k8s.aws/alb}
        """,
    instead="""
        apiVersion: networking.k8s.io/v1
        kind: IngressClass
        metadata: {name: alb}
        spec: {controller: ingress.k8s.aws/alb}
        """,
)

UNKNOWN_FIELD = Code(
    "LG0011",
    Severity.WARNING,
    "An unknown field",
    message="{kind} has no field {field}",
    fix="remove it, or check its indentation",
    what="The object has a field that its kind does not have: misspelt, or indented wrongly.",
    why="The API server drops it, or refuses the object with strict validation. What the field asks for never happens.",
    example="""
        apiVersion: networking.k8s.io/v1
        kind: IngressClass
        metadata: {name: alb}
        spec: {controler: ingress.k8s.aws/alb, controller: ingress.k8s.aws/alb}
        """,
    instead="""
        apiVersion: networking.k8s.io/v1
        kind: IngressClass
        metadata: {name: alb}
        spec: {controller: ingress.k8s.aws/alb}
        """,
)
MORE_UNKNOWN_FIELDS = UNKNOWN_FIELD.variant("{count} more unknown fields in this object")
MISSPELT_FIELD = UNKNOWN_FIELD.variant(UNKNOWN_FIELD.message, "did you mean `{near}`?")

WRONG_TYPE = Code(
    "LG0012",
    Severity.ERROR,
    "A value of the wrong type",
    message="{field}: expected {expected}, found {found}",
    what="A field has a number where text belongs, or the other way round, or a map in place of a list.",
    why="The API server refuses the object, so it does not exist in the edge. Annotations are the usual case: their "
    "values are text, and `true` or `10` without quotes is not.",
    example="""
        apiVersion: v1
        kind: Namespace
        metadata:
          name: shop
          annotations: {example.com/order: 10}
        """,
    instead="""
        apiVersion: v1
        kind: Namespace
        metadata:
          name: shop
          annotations: {example.com/order: "10"}
        """,
)
UNQUOTED = WRONG_TYPE.variant(WRONG_TYPE.message, "quote it")
QUOTED = WRONG_TYPE.variant(WRONG_TYPE.message, "write it without quotes")

DUPLICATE_OBJECT = Code(
    "LG0013",
    Severity.WARNING,
    "An object defined twice",
    message="{object} is already defined at {earlier}; this definition replaces it",
    fix="remove one of them",
    what="A file defines the same object twice.",
    why="kubectl applies them in order, so the last definition is the one that exists, and edits of the first do "
    "nothing.",
    example="""
        apiVersion: v1
        kind: Namespace
        metadata: {name: shop, labels: {team: web}}
        ---
        apiVersion: v1
        kind: Namespace
        metadata: {name: shop}
        """,
    instead="""
        apiVersion: v1
        kind: Namespace
        metadata: {name: shop, labels: {team: web}}
        """,
)

CLUSTER_SCOPED = Code(
    "LG0014",
    Severity.INFO,
    "A namespace on a cluster-scoped object",
    message="{kind} is cluster-scoped; its namespace has no effect",
    fix="remove it",
    what="An object that belongs to the whole cluster has a namespace.",
    why="kubectl and the API server drop it.",
    example="""
        apiVersion: v1
        kind: Namespace
        metadata: {name: shop, namespace: shop}
        """,
    instead="""
        apiVersion: v1
        kind: Namespace
        metadata: {name: shop}
        """,
)

FIELD_WITHOUT_EFFECT = Code(
    "LG0015",
    Severity.WARNING,
    "A field without effect here",
    message="{what} has no effect: {reason}",
    fix="{hint}",
    what="The Kubernetes API stores the field, as in a cluster, and nothing on this machine acts on it.",
    why="In a cluster it would change something that this edge leaves as it is. `lockgate explain KIND.FIELD` says "
    "what of a kind is served.",
    example="""
        apiVersion: v1
        kind: Service
        metadata: {name: api, namespace: shop}
        spec:
          type: LoadBalancer
          ports: [{name: http, port: 80}]
        """,
    instead="""
        apiVersion: v1
        kind: Service
        metadata: {name: api, namespace: shop}
        spec:
          ports: [{name: http, port: 80}]
        """,
)

NOT_ENFORCED = Code(
    "LG0016",
    Severity.WARNING,
    "A policy that is not enforced",
    message="{what} is not enforced: {reason}",
    fix="{hint}",
    what="The object denies or limits traffic in a cluster, and nothing on this machine enforces it.",
    why="Requests pass here that a cluster would deny. Test such rules in a cluster.",
    example="""
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        metadata: {name: deny-all, namespace: shop}
        spec: {podSelector: {}, policyTypes: [Ingress]}
        """,
)
POLICIES_NOT_ENFORCED = NOT_ENFORCED.variant("{what} are not enforced: {reason}", "{hint}")

UNKNOWN_KIND = Code(
    "LG0018",
    Severity.INFO,
    "An object of a kind without a controller here",
    message="{what} has no effect: {reason}",
    fix="{hint}",
    what="No controller for this kind runs here. Custom resources of other projects are the usual case.",
    why="The Kubernetes API stores and lists the object, and nothing follows from it.",
    example="""
        apiVersion: example.com/v1
        kind: Widget
        metadata: {name: web, namespace: shop}
        """,
)
UNKNOWN_KINDS = UNKNOWN_KIND.variant("{what} have no effect: {reason}", "{hint}")

PLACEHOLDER = Code(
    "LG0030",
    Severity.WARNING,
    "A placeholder, or a value of the wrong shape",
    message="{field}: {text} is {problem}. In production, {production}; {made} stands in for it here",
    fix="write the real value before you deploy",
    what="A field has a placeholder such as `<region>` or `${DOMAIN}`, or a value that AWS or Kubernetes cannot accept."
    "A field has a placeholder such as `<region>` or `${DOMAIN}`, or a value that AWS or Kubernetes cannot accept.",
    why="Production refuses the value. Here, a value of the right shape stands in for it, so that everything else is "
    "served.",
    example="""
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata:
          name: web
          namespace: shop
          annotations: {alb.ingress.kubernetes.io/listen-ports: '[{"HTTP": 80}]'}
        spec:
          ingressClassName: alb
          rules:
            - host: ${DOMAIN}
              http:
                paths:
                  - path: /
                    pathType: Prefix
                    backend: {service: {name: web, port: {number: 80}}}
        """,
    instead="""
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata:
          name: web
          namespace: shop
          annotations: {alb.ingress.kubernetes.io/listen-ports: '[{"HTTP": 80}]'}
        spec:
          ingressClassName: alb
          rules:
            - host: shop.example
              http:
                paths:
                  - path: /
                    pathType: Prefix
                    backend: {service: {name: web, port: {number: 80}}}
        """,
)
PLACEHOLDER_LEFT_OUT = PLACEHOLDER.variant(
    "{field}: {text} is {problem}. In production, {production}; here it counts as not set", PLACEHOLDER.fix
)
PLACEHOLDER_KEPT = PLACEHOLDER.variant("{field}: {text} is {problem}: {production}", PLACEHOLDER.fix)
