"""LG8xxx: operations and cost: quotas, timeouts, rollouts, load balancers that could be one."""

from __future__ import annotations

from lockgate.resources.codes.examples import ingress, together, virtual_service
from lockgate.resources.faults import Code, Severity

_SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: %s, namespace: shop}
spec: {type: NodePort, selector: {app: web}%s, ports: [{name: http, port: 80}]}
"""
_PATH = """          - {path: /%d, pathType: Exact, backend: {service: {name: web, port: {number: 80}}}}
"""
_EDGE = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: edge
  namespace: istio-system
  annotations:
    alb.ingress.kubernetes.io/healthcheck-port: "30521"
    alb.ingress.kubernetes.io/healthcheck-path: /healthz/ready%s
spec:
  ingressClassName: alb
  defaultBackend: {service: {name: istio-ingressgateway, port: {number: 80}}}
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
_STICKY = "\n    alb.ingress.kubernetes.io/target-group-attributes: stickiness.enabled=true"


def _route(http: str) -> str:
    return virtual_service(http).replace("[edge]", "[istio-system/edge]")


_SUBSETS = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: shop}
spec:
  host: web
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
"""
_SPLIT = (
    "route: [{destination: {host: web, subset: v1}, weight: 90}, {destination: {host: web, subset: v2}, weight: 10}]"
)

SEPARATE_BALANCERS = Code(
    "LG8001",
    Severity.INFO,
    "Load balancers that one group would replace",
    message="{count} Ingresses of scheme {scheme} have a load balancer each; with one group.name they share one",
    fix="set the same alb.ingress.kubernetes.io/group.name on all of them",
    what="Several Ingresses of one class and scheme each get an Application Load Balancer of their own.",
    why="Each load balancer costs its hourly price and addresses, and has its own DNS name, certificate and web ACL.",
    example=together(ingress(), ingress(name="api", host="api.example")),
    instead=together(ingress("group.name: shop"), ingress("group.name: shop", name="api", host="api.example")),
)
NEAR_QUOTA = Code(
    "LG8002",
    Severity.WARNING,
    "Near a quota of ELBv2",
    message="{balancer} has {count} {what}; the quota is {quota}",
    fix="split the group, or have the quota raised before it is reached",
    what="A load balancer has at least 80 % of what the account's default quota allows.",
    why="Beyond the quota ELBv2 refuses the change, and the controller stops: no Ingress of the group is "
    "updated any more.",
    example=ingress().rstrip("\n").rsplit("\n", 3)[0] + "\n" + "".join(_PATH % index for index in range(85)),
    instead=ingress(),
)
OVER_QUOTA = Code(
    "LG8003",
    Severity.ERROR,
    "Over a quota of ELBv2",
    message="{balancer} has {count} {what}, and the quota is {quota}: ELBv2 refuses the rest",
    fix="split the group, or have the quota raised",
    what="A load balancer needs more than the account's default quota allows.",
    why="ELBv2 answers TooManyRules, TooManyTargetGroups or the like, and the controller stops: no Ingress of the "
    "group is updated any more.",
    example=ingress().rstrip("\n").rsplit("\n", 3)[0] + "\n" + "".join(_PATH % index for index in range(101)),
    instead=ingress(),
)
IDLE_TIMEOUT = Code(
    "LG8005",
    Severity.WARNING,
    "A route that may take longer than the load balancer waits",
    message="this route may take {timeout} s, and {balancer} gives up after {idle} s without a byte: clients get 504",
    fix="raise idle_timeout.timeout_seconds in load-balancer-attributes, or lower the timeout",
    what="The timeout of a VirtualService's route is longer than the idle timeout of a load balancer in front of it.",
    why="The load balancer closes the connection first and answers 504, while the application goes on working.",
    example=together(
        _EDGE % "", _SERVICE % ("web", ""), _route("{timeout: 120s, route: [{destination: {host: web}}]}")
    ),
    instead=together(
        _EDGE % "\n    alb.ingress.kubernetes.io/load-balancer-attributes: idle_timeout.timeout_seconds=180",
        _SERVICE % ("web", ""),
        _route("{timeout: 120s, route: [{destination: {host: web}}]}"),
    ),
)
STICKY_GATEWAY = Code(
    "LG8007",
    Severity.WARNING,
    "Stickiness that ends at the gateway",
    message="stickiness keeps a client on one gateway Pod, and the weights there choose again for every request",
    fix="choose the version by a header or cookie in the route's match, and turn the load balancer's stickiness off",
    what="A target group with stickiness leads to a gateway, and a route there has weights.",
    why="A client changes versions from request to request although the load balancer is sticky.",
    example=together(_EDGE % _STICKY, _SERVICE % ("web", ""), _SUBSETS, _route(_SPLIT)),
    instead=together(_EDGE % "", _SERVICE % ("web", ""), _SUBSETS, _route(_SPLIT)),
)
LOCAL_TRAFFIC = Code(
    "LG8008",
    Severity.INFO,
    "Nodes without a Pod are unhealthy targets",
    message="externalTrafficPolicy: Local makes nodes without a Pod of {service} unhealthy targets of {balancer}",
    fix="use target-type: ip, which registers the Pods themselves and keeps client addresses as well",
    what="Instance targets lead to a Service with externalTrafficPolicy: Local.",
    why="kube-proxy drops the health checks of nodes that run no Pod. That is intended, and looks like an outage: "
    "target health, alarms and the load balancer's zones count these nodes.",
    example=together(ingress(), _SERVICE % ("web", ", externalTrafficPolicy: Local")),
    instead=together(ingress(), _SERVICE % ("web", "")),
)
NO_READINESS_GATE = Code(
    "LG8009",
    Severity.INFO,
    "Rollouts that do not wait for the load balancer",
    message="Pods of {service} count as ready before {balancer} has registered them: rollouts answer 502 or 504",
    fix="label the namespace: elbv2.k8s.aws/pod-readiness-gate-inject: enabled",
    what="IP targets, in a namespace whose Pods get no readiness gate of the load balancer controller.",
    why="A Deployment may replace all Pods before the load balancer knows a new one, and has none to send requests to.",
    example=together(ingress("target-type: ip"), _SERVICE % ("web", "")),
    instead=together(
        ingress("target-type: ip"),
        _SERVICE % ("web", ""),
        """
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {elbv2.k8s.aws/pod-readiness-gate-inject: enabled}}
""",
    ),
)
NO_TIME_TO_RETRY = Code(
    "LG8012",
    Severity.WARNING,
    "Retries that the timeout leaves no time for",
    message="perTryTimeout {each} s is not shorter than the route's timeout {timeout} s: a try that times out is "
    "the last",
    fix="make the timeout longer than attempts × perTryTimeout",
    what="A VirtualService's retries have a perTryTimeout that is at least as long as the timeout of the whole route.",
    why="The timeout counts for all tries together, so a slow first try uses it up.",
    example=together(
        _SERVICE % ("web", ""),
        _route("{timeout: 2s, retries: {attempts: 3, perTryTimeout: 2s}, route: [{destination: {host: web}}]}"),
    ),
    instead=together(
        _SERVICE % ("web", ""),
        _route("{timeout: 9s, retries: {attempts: 3, perTryTimeout: 2s}, route: [{destination: {host: web}}]}"),
    ),
)
