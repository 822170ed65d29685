"""LG11xx: Ingresses, and the load balancers that the AWS Load Balancer Controller makes of them."""

from __future__ import annotations

from lockgate.resources.faults import Code, Severity

UNKNOWN_ANNOTATION = Code(
    "LG1101",
    Severity.WARNING,
    "Unknown ALB annotation",
    message="the AWS Load Balancer Controller ignores {annotation}, because it knows no such annotation",
    fix="see docs/reference/annotations.md for those it reads",
    what="An annotation has the controller's prefix, and the controller reads none of this name.",
    why="The controller says nothing, and the load balancer does not have what the annotation asks for.",
    example="""
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata:
          name: web
          namespace: shop
          annotations: {alb.ingress.kubernetes.io/scheem: internal}
        spec:
          ingressClassName: alb
          defaultBackend: {service: {name: web, port: {number: 80}}}
        """,
    instead="""
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata:
          name: web
          namespace: shop
          annotations: {alb.ingress.kubernetes.io/scheme: internal}
        spec:
          ingressClassName: alb
          defaultBackend: {service: {name: web, port: {number: 80}}}
        """,
)
MISSPELT_ANNOTATION = UNKNOWN_ANNOTATION.variant(UNKNOWN_ANNOTATION.message, "did you mean {near}?")

NOT_BUILT = Code(
    "LG1102",
    Severity.ERROR,
    "Load balancer not built",
    message="Failed build model due to {refusal}",
    what="The controller cannot build the load balancer of this Ingress. The message is the controller's own, as it "
    "appears in the events of `kubectl describe ingress`.",
    why="One faulty Ingress stops its whole group: the load balancer stays as it was, for every Ingress in it.",
    example="""
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata:
          name: web
          namespace: shop
          annotations: {alb.ingress.kubernetes.io/scheme: public}
        spec:
          ingressClassName: alb
          defaultBackend: {service: {name: web, port: {number: 80}}}
        """,
    instead="""
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata:
          name: web
          namespace: shop
          annotations: {alb.ingress.kubernetes.io/scheme: internal}
        spec:
          ingressClassName: alb
          defaultBackend: {service: {name: web, port: {number: 80}}}
        """,
)
NOT_BUILT_WITH_FIX = NOT_BUILT.variant(NOT_BUILT.message, "{fix}")

WITHOUT_EFFECT = Code(
    "LG1103",
    Severity.INFO,
    "Annotation without effect here",
    message="{annotation}: {limits}",
    what="The annotation is read as the controller reads it, and nothing on this machine follows from it.",
    why="On AWS the setting counts. A test against this edge says nothing about it.",
    example="""
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata:
          name: web
          namespace: shop
          annotations: {alb.ingress.kubernetes.io/ipam-ipv4-pool-id: ipam-pool-0a1b2c3d4e5f60718}
        spec:
          ingressClassName: alb
          defaultBackend: {service: {name: web, port: {number: 80}}}
        """,
)

NODE_PORTS_OPEN = Code(
    "LG1104",
    Severity.INFO,
    "Decided on AWS or in the cluster",
    message="the cluster chooses the node ports; the ones shown stand in for them",
    what="Manifests alone do not say it: the controller reads the account or the cluster to choose.",
    why="`show` and `trace` cannot know the choice. `up` makes it as the controller does.",
    example="""
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata: {name: web, namespace: shop}
        spec:
          ingressClassName: alb
          defaultBackend: {service: {name: web, port: {number: 80}}}
        """,
)
SUBNETS_OPEN = NODE_PORTS_OPEN.variant("EC2 decides which subnets the load balancer gets")
FRONTEND_SUBNETS_OPEN = NODE_PORTS_OPEN.variant("EC2 decides which subnets the network load balancer gets")
CERTIFICATES_OPEN = NODE_PORTS_OPEN.variant("ACM decides which certificates port {port} has")

CLASS_NOT_RESOLVED = Code(
    "LG1105",
    Severity.WARNING,
    "Ingress class does not resolve",
    message="{refusal}",
    fix="create the IngressClass and what it refers to, or correct spec.ingressClassName",
    what="The Ingress names a class that does not exist, or whose IngressClassParams do not exist.",
    why="The controller ignores the Ingress, so it has no load balancer.",
    example="""
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata: {name: web, namespace: shop}
        spec:
          ingressClassName: edge
          defaultBackend: {service: {name: web, port: {number: 80}}}
        ---
        apiVersion: networking.k8s.io/v1
        kind: IngressClass
        metadata: {name: edge}
        spec:
          controller: ingress.k8s.aws/alb
          parameters: {apiGroup: elbv2.k8s.aws, kind: IngressClassParams, name: edge}
        """,
    instead="""
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata: {name: web, namespace: shop}
        spec:
          ingressClassName: edge
          defaultBackend: {service: {name: web, port: {number: 80}}}
        ---
        apiVersion: networking.k8s.io/v1
        kind: IngressClass
        metadata: {name: edge}
        spec: {controller: ingress.k8s.aws/alb}
        """,
)

GROUP_NOT_VALID = Code(
    "LG1106",
    Severity.ERROR,
    "Invalid group name",
    message="{refusal}",
    fix="use at most 63 lowercase letters, digits, `-` and `.`",
    what="The annotation `group.name` is not a valid name of an IngressGroup.",
    why="The Ingress is on no load balancer, and leaves the one that it was on.",
    example="""
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata:
          name: web
          namespace: shop
          annotations: {alb.ingress.kubernetes.io/group.name: Shop Edge}
        spec:
          ingressClassName: alb
          defaultBackend: {service: {name: web, port: {number: 80}}}
        """,
    instead="""
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata:
          name: web
          namespace: shop
          annotations: {alb.ingress.kubernetes.io/group.name: shop-edge}
        spec:
          ingressClassName: alb
          defaultBackend: {service: {name: web, port: {number: 80}}}
        """,
)

MISSING_SERVICE = Code(
    "LG1107",
    Severity.WARNING,
    "Backend does not exist",
    message="Service {service} does not exist: requests get 503 Backend service does not exist",
    fix="create the Service in the namespace of the Ingress, or correct the backend's name",
    what="A rule leads to a Service or an action that does not exist.",
    why="The controller builds the load balancer all the same, with a rule that answers 503.",
    example="""
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata: {name: web, namespace: shop}
        spec:
          ingressClassName: alb
          defaultBackend: {service: {name: to-https, port: {name: use-annotation}}}
        """,
    instead="""
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata:
          name: web
          namespace: shop
          annotations:
            alb.ingress.kubernetes.io/actions.to-https: >-
              {"type": "redirect", "redirectConfig": {"protocol": "HTTPS", "port": "443", "statusCode": "HTTP_301"}}
        spec:
          ingressClassName: alb
          defaultBackend: {service: {name: to-https, port: {name: use-annotation}}}
        """,
)
MISSING_ACTION = MISSING_SERVICE.variant(
    "the annotation {annotation} does not exist: requests get 503 Backend action does not exist",
    "add the annotation, or name a Service and its port",
)

NOT_STARTED = Code(
    "LG1108",
    Severity.ERROR,
    "The controller does not start",
    message="{problem}",
    fix="correct the argument in the controller's Deployment",
    what="The AWS Load Balancer Controller's Deployment is among the manifests, and has an argument that the "
    "controller does not accept.",
    why="In the cluster the controller exits at once, and no load balancer is made or changed. Here the argument is "
    "ignored.",
    example="""
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: aws-load-balancer-controller, namespace: kube-system}
        spec:
          selector: {matchLabels: {app: lbc}}
          template:
            metadata: {labels: {app: lbc}}
            spec:
              containers:
                - name: controller
                  image: public.ecr.aws/eks/aws-load-balancer-controller:v2.13.0
                  args: [--cluster-name=shop, --ingress-clas=alb]
        """,
    instead="""
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: aws-load-balancer-controller, namespace: kube-system}
        spec:
          selector: {matchLabels: {app: lbc}}
          template:
            metadata: {labels: {app: lbc}}
            spec:
              containers:
                - name: controller
                  image: public.ecr.aws/eks/aws-load-balancer-controller:v2.13.0
                  args: [--cluster-name=shop, --ingress-class=alb]
        """,
)

NO_EFFECT = Code(
    "LG1109",
    Severity.INFO,
    "Controller flags without effect here",
    message="without effect here: {flags}",
    what="The controller's Deployment sets flags from which nothing on this machine follows.",
    why="In a cluster they count. The page on annotations lists the flags that count here too.",
    example="""
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: aws-load-balancer-controller, namespace: kube-system}
        spec:
          selector: {matchLabels: {app: lbc}}
          template:
            metadata: {labels: {app: lbc}}
            spec:
              containers:
                - name: controller
                  image: public.ecr.aws/eks/aws-load-balancer-controller:v2.13.0
                  args: [--cluster-name=shop, --log-level=debug]
        """,
)
ONLY_IN_CLUSTER = NO_EFFECT.variant(
    "--{flag}: only the cluster knows the value of {value}, so the flag counts as not set"
)
SECOND_CONTROLLER = NO_EFFECT.variant("{first} is the controller, and the flags of this one are ignored")

UNMAPPED = Code(
    "LG1110",
    Severity.WARNING,
    "Mapped port leads nowhere",
    message="{mapping}: {ingress} does not listen on port {port}",
    fix="map to a port of listen-ports",
    what="`frontend-nlb-listener-port-mapping` maps a port of the network load balancer to one on which the Ingress "
    "does not listen.",
    why="The controller ignores the entry, and the network load balancer does not listen on that port.",
    example="""
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata:
          name: web
          namespace: shop
          annotations:
            alb.ingress.kubernetes.io/enable-frontend-nlb: "true"
            alb.ingress.kubernetes.io/frontend-nlb-healthcheck-success-codes: 200-404
            alb.ingress.kubernetes.io/frontend-nlb-listener-port-mapping: 80=80,8443=443
        spec:
          ingressClassName: alb
          defaultBackend: {service: {name: web, port: {number: 80}}}
        """,
    instead="""
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata:
          name: web
          namespace: shop
          annotations:
            alb.ingress.kubernetes.io/enable-frontend-nlb: "true"
            alb.ingress.kubernetes.io/frontend-nlb-healthcheck-success-codes: 200-404
            alb.ingress.kubernetes.io/frontend-nlb-listener-port-mapping: 8080=80
        spec:
          ingressClassName: alb
          defaultBackend: {service: {name: web, port: {number: 80}}}
        """,
)

KEEPS_ITS_NAME = Code(
    "LG1111",
    Severity.WARNING,
    "Load balancer keeps its name",
    message="load balancer {name} keeps its name, and is not renamed to {wanted}",
    fix="remove the group's Ingresses and apply them again: the new load balancer has another DNS name",
    what="The annotation `load-balancer-name` was changed, or set on an Ingress that has a load balancer already.",
    why="A load balancer cannot be renamed, and the controller does not make another one. The annotation has no effect."
    "A load balancer cannot be renamed, and the controller does not make another one. The annotation has no effect.",
    example="""
        # applied while the Ingress has the load balancer k8s-shop-web-…
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata:
          name: web
          namespace: shop
          annotations: {alb.ingress.kubernetes.io/load-balancer-name: shop}
        spec:
          ingressClassName: alb
          defaultBackend: {service: {name: web, port: {number: 80}}}
        """,
)

HOPELESS_CHECK = Code(
    "LG1112",
    Severity.WARNING,
    "A health check that cannot pass",
    message="the network load balancer's health check behind port {port} fails: {reason}",
    fix="set frontend-nlb-healthcheck-protocol, -port, -path or -success-codes",
    what="The network load balancer in front checks the application load balancer in a way that it never answers well.",
    why="Requests still pass, because an unhealthy only target gets all traffic. But its health is wrong in the "
    "console, in metrics and in alarms.",
    example="""
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata:
          name: web
          namespace: shop
          annotations:
            alb.ingress.kubernetes.io/enable-frontend-nlb: "true"
            alb.ingress.kubernetes.io/frontend-nlb-healthcheck-protocol: HTTP
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
    instead="""
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata:
          name: web
          namespace: shop
          annotations:
            alb.ingress.kubernetes.io/enable-frontend-nlb: "true"
            alb.ingress.kubernetes.io/frontend-nlb-healthcheck-protocol: HTTP
            alb.ingress.kubernetes.io/frontend-nlb-healthcheck-success-codes: "404"
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

NOT_IN_AUTO_MODE = Code(
    "LG1113",
    Severity.WARNING,
    "Annotation that EKS Auto Mode does not read",
    message="EKS Auto Mode does not read {annotation}",
    fix="{instead}",
    what="The class of the Ingress belongs to EKS Auto Mode, which reads fewer annotations than the AWS Load Balancer "
    "Controller.",
    why="Nothing comes of the annotation, and nothing in the cluster says so.",
    example="""
        apiVersion: networking.k8s.io/v1
        kind: IngressClass
        metadata: {name: auto}
        spec: {controller: eks.amazonaws.com/alb}
        ---
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata:
          name: web
          namespace: shop
          annotations: {alb.ingress.kubernetes.io/group.name: shop}
        spec:
          ingressClassName: auto
          defaultBackend: {service: {name: web, port: {number: 80}}}
        """,
    instead="""
        apiVersion: eks.amazonaws.com/v1
        kind: IngressClassParams
        metadata: {name: auto}
        spec: {group: {name: shop}}
        ---
        apiVersion: networking.k8s.io/v1
        kind: IngressClass
        metadata: {name: auto}
        spec:
          controller: eks.amazonaws.com/alb
          parameters: {apiGroup: eks.amazonaws.com, kind: IngressClassParams, name: auto}
        ---
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata: {name: web, namespace: shop}
        spec:
          ingressClassName: auto
          defaultBackend: {service: {name: web, port: {number: 80}}}
        """,
)
