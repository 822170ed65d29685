"""LG12xx: rules and target groups that an Ingress leads to, valid for the controller and not what they look like."""

from __future__ import annotations

from lockgate.resources.codes.examples import CERTIFICATE, HTTPS, ingress, together
from lockgate.resources.faults import Code, Severity

_SPECIFIC = "pathType: ImplementationSpecific"
_SERVICES = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {type: NodePort, selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: canary, namespace: shop}
spec: {type: NodePort, selector: {app: canary}, ports: [{name: http, port: 80}]}
"""
_SPLIT = (
    """actions.split: '{"type": "forward", "forwardConfig": {"targetGroups": ["""
    """{"serviceName": "web", "servicePort": 80, "weight": 9}, """
    """{"serviceName": "canary", "servicePort": 80, "weight": 1}]"""
    """%s}}'"""
)
_STUCK = """, "targetGroupStickinessConfig": {"enabled": true, "durationSeconds": 3600}"""
_STICKY = "target-group-attributes: stickiness.enabled=true,stickiness.type=lb_cookie"
_HEADER = (
    """conditions.web: '[{"field": "http-header", "httpHeaderConfig": {"httpHeaderName": "x-team", "values": [%s]}}]'"""
)

REDIRECT_TO_ITSELF = Code(
    "LG1202",
    Severity.ERROR,
    "A default action that redirects to itself",
    message="requests that match no rule on port {port} of {balancer} are redirected to the same URL, without end",
    fix="redirect to another host, port or path, or only from the HTTP listener with ssl-redirect",
    what="The default action of a listener is a redirect whose result reaches the same listener again. The controller "
    "drops such redirects from rules, not from default actions.",
    why="Browsers report ERR_TOO_MANY_REDIRECTS.",
    example=ingress(
        CERTIFICATE,
        HTTPS,
        """actions.secure: '{"type": "redirect", "redirectConfig": {"protocol": "HTTPS", "port": "443", """
        """"statusCode": "HTTP_301"}}'""",
    ).replace("  rules:", "  defaultBackend: {service: {name: secure, port: {name: use-annotation}}}\n  rules:"),
    instead=ingress(CERTIFICATE, """listen-ports: '[{"HTTP": 80}, {"HTTPS": 443}]'""", 'ssl-redirect: "443"'),
)
PATH_ALONE = Code(
    "LG1204",
    Severity.WARNING,
    "A path of type ImplementationSpecific that matches itself alone",
    message="{path} matches that path alone, not those below it: with this pathType it is an ALB path pattern",
    fix="use pathType: Prefix, or write {path}*",
    what="An Ingress path of type ImplementationSpecific has no wildcard. Other controllers treat it as a prefix; the "
    "AWS Load Balancer Controller passes it to ELBv2 unchanged.",
    why="Requests for paths below it match no rule, and the load balancer answers 404.",
    example=ingress().replace("path: /", "path: /shop").replace("pathType: Prefix", _SPECIFIC),
    instead=ingress().replace("path: /", "path: /shop*").replace("pathType: Prefix", _SPECIFIC),
)
HTTP_ON_443 = Code(
    "LG1206",
    Severity.WARNING,
    "Plain HTTP on port 443",
    message="listen-ports asks for plain HTTP on port 443: a browser's TLS handshake there fails",
    fix="""write [{{"HTTPS": 443}}]""",
    what="An entry of alb.ingress.kubernetes.io/listen-ports has the protocol HTTP and the port 443.",
    why="The certificate of the Ingress is not used, and https:// URLs do not work.",
    example=ingress("""listen-ports: '[{"HTTP": 443}]'"""),
    instead=ingress(CERTIFICATE, HTTPS),
)
HTTPS_ALONE = Code(
    "LG1207",
    Severity.INFO,
    "A certificate opens port 443 alone",
    message="certificate-arn without listen-ports opens port 443 only: http:// URLs are refused",
    fix="""add listen-ports: '[{{"HTTP": 80}}, {{"HTTPS": 443}}]' and ssl-redirect: "443" to redirect http://""",
    what="An Ingress names a certificate and no ports. The controller then listens for HTTPS alone.",
    why="Somebody who types the host without https:// gets a refused connection.",
    example=ingress(CERTIFICATE),
    instead=ingress(CERTIFICATE, """listen-ports: '[{"HTTP": 80}, {"HTTPS": 443}]'""", 'ssl-redirect: "443"'),
)
CLOSED_TARGETS = Code(
    "LG1208",
    Severity.WARNING,
    "Security groups that the targets do not accept",
    message="with security-groups the controller opens no ports on the targets for {balancer}: requests end in 504",
    fix='add manage-backend-security-group-rules: "true", or open the ports in the nodes\' security group yourself',
    what="alb.ingress.kubernetes.io/security-groups names the load balancer's security groups, and "
    "manage-backend-security-group-rules is not true.",
    why="The controller then adds no rules to the security groups of nodes and Pods. Unless somebody else has, packets "
    "from the load balancer are dropped: health checks time out, and clients get 504.",
    example=ingress("security-groups: sg-0f5ce1d2000040008"),
    instead=ingress("security-groups: sg-0f5ce1d2000040008", 'manage-backend-security-group-rules: "true"'),
)
GRPC_CODES = Code(
    "LG1209",
    Severity.ERROR,
    "HTTP status codes for a gRPC health check",
    message="success-codes {codes} of a gRPC target group: its health checks are answered with codes from 0 to 99",
    fix="write gRPC codes, such as 0 or 0-99",
    what="The target group has the protocol version GRPC, and its success codes are not gRPC status codes.",
    why="ELBv2 refuses the target group, and the controller does not build the load balancer.",
    example=ingress(CERTIFICATE, HTTPS, "backend-protocol-version: GRPC", 'success-codes: "200"'),
    instead=ingress(CERTIFICATE, HTTPS, "backend-protocol-version: GRPC", 'success-codes: "0-99"'),
)
TOO_MANY_VALUES = Code(
    "LG1210",
    Severity.ERROR,
    "More condition values than a rule may have",
    message="this rule has {count} condition values; ELBv2 accepts {most}, and the load balancer is not built",
    fix="split the path into several, each with its own conditions",
    what="All conditions of a rule together, with its host and its paths, may have up to five values. A path of type "
    "Prefix counts as two.",
    why="ELBv2 refuses the rule with TooManyUniqueConditionValues or a ValidationError, and the controller stops.",
    example=ingress(_HEADER % '"a", "b", "c", "d"').replace("path: /", "path: /shop"),
    instead=ingress(_HEADER % '"a", "b"').replace("path: /", "path: /shop"),
)
STICKY_WITHOUT_GROUP = Code(
    "LG1211",
    Severity.WARNING,
    "Sticky targets behind a weighted choice that is not sticky",
    message="every request chooses between {count} target groups, so stickiness of their targets has no effect",
    fix="add targetGroupStickinessConfig to the forwardConfig",
    what="A weighted forward action has target groups with stickiness.enabled, and no targetGroupStickinessConfig.",
    why="A client is stuck to a target in each group, and switches groups by weight: its session is lost now and then.",
    example=together(
        ingress(_SPLIT % "", _STICKY, backend="split").replace("number: 80", "name: use-annotation"), _SERVICES
    ),
    instead=together(
        ingress(_SPLIT % _STUCK, _STICKY, backend="split").replace("number: 80", "name: use-annotation"), _SERVICES
    ),
)
NEVER_REACHED = Code(
    "LG1203",
    Severity.WARNING,
    "A rule that no request reaches",
    message="an earlier rule takes all requests of this one: that for {earlier} at {place}",
    fix="put the more specific path first, or its Ingress (group.order)",
    what="Rules of a listener are tried in order, Ingress by Ingress. All requests that this rule matches are matched "
    "by an earlier one.",
    why="The backend of the rule gets no requests. ELBv2 has no notion of the longest path.",
    example=together(
        ingress("group.name: shop", 'group.order: "1"').replace("- host: shop.example\n      http", "- http"),
        ingress("group.name: shop", 'group.order: "2"', name="api").replace("path: /", "path: /api"),
        _SERVICES,
    ),
    instead=together(
        ingress("group.name: shop", 'group.order: "2"').replace("- host: shop.example\n      http", "- http"),
        ingress("group.name: shop", 'group.order: "1"', name="api").replace("path: /", "path: /api"),
        _SERVICES,
    ),
)
UNKNOWN_JSON_FIELD = Code(
    "LG1213",
    Severity.WARNING,
    "A field that the controller ignores",
    message="the controller has no field {field} here and ignores it; {known}",
    fix="correct the name; upper and lower case do not matter",
    what="The JSON in an annotation has a field that the controller does not know.",
    why="The controller decodes JSON leniently: a misspelt field counts as not set, and its default applies.",
    example=ingress(
        """actions.old: '{"type": "redirect", "redirectConfig": {"uri": "/new", "statusCode": "HTTP_301"}}'""",
        backend="old",
    ).replace("number: 80", "name: use-annotation"),
    instead=ingress(
        """actions.old: '{"type": "redirect", "redirectConfig": {"path": "/new", "statusCode": "HTTP_301"}}'""",
        backend="old",
    ).replace("number: 80", "name: use-annotation"),
)
NO_INSTANCES = Code(
    "LG1214",
    Severity.ERROR,
    "Instance targets for Pods on Fargate",
    message="{workload} runs on Fargate, where there is no instance to register: {balancer} answers 503",
    fix="set alb.ingress.kubernetes.io/target-type: ip",
    what="A target group of type instance leads to a Service whose Pods run on AWS Fargate.",
    why="Targets of type instance are nodes that are EC2 instances. Fargate has none.",
    example=together(
        ingress(),
        _SERVICES,
        """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {nodeSelector: {eks.amazonaws.com/compute-type: fargate}, containers: [{name: web, image: web}]}
""",
    ),
    instead=ingress("target-type: ip"),
)
