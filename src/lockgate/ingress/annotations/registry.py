"""Every annotation that the AWS Load Balancer Controller reads from an ALB Ingress or its Services, with one entry
each.

The registry defines each value's parser, its conflict rule in a group, its entry in the reference page, and the
suggestions for unknown names. Source: aws-load-balancer-controller v3.5, `pkg/annotations/constants.go`,
`pkg/ingress/`, and its guide's page "Ingress annotations".
"""

from __future__ import annotations

from typing import Final

from lockgate.ingress.annotations.spec import (
    BOOL,
    INGRESS,
    INT32,
    INT64,
    JSON,
    LIST,
    MAP,
    SERVICE,
    STRING,
    Annotation,
    AnyAnnotation,
    Merge,
)

BOTH: Final = (SERVICE, INGRESS)

# --- the group and its load balancer -----------------------------------------------------------------------------

GROUP_NAME = Annotation(
    "group.name", STRING, "adds the Ingress to the group of that name", default="a group of its own", params="group"
)
GROUP_ORDER = Annotation(
    "group.order", INT32, "place in the group, -1000 to 1000, lower first; then by namespace/name", default="0"
)
LOAD_BALANCER_NAME = Annotation(
    "load-balancer-name", STRING, "name, at most 32 characters; an existing load balancer is not renamed",
    Merge.SAME, default="`k8s-…` with a hash", params="loadBalancerName", fields="LoadBalancer.LoadBalancerName",
)  # fmt: skip
SCHEME = Annotation(
    "scheme", STRING, "reachable from the internet or from the VPC", Merge.SAME, default="internal",
    values=("internal", "internet-facing"), params="scheme", fields="LoadBalancer.Scheme",
)  # fmt: skip
IP_ADDRESS_TYPE = Annotation(
    "ip-address-type", STRING, "address families", Merge.SAME, default="ipv4",
    values=("ipv4", "dualstack", "dualstack-without-public-ipv4"), params="ipAddressType",
    fields="LoadBalancer.IpAddressType",
)  # fmt: skip
SUBNETS = Annotation(
    "subnets", LIST, "subnet ids (`subnet-…`) or Name tags; order does not matter for conflicts", Merge.SAME,
    default="discovered by role tags", params="subnets", fields="LoadBalancer.Subnets",
)  # fmt: skip
SECURITY_GROUPS = Annotation(
    "security-groups", LIST, "security group ids (`sg-…`) or Name tags; order matters for conflicts", Merge.SAME,
    default="one made for the group", fields="LoadBalancer.SecurityGroups",
)  # fmt: skip
MANAGE_BACKEND_SECURITY_GROUP_RULES = Annotation(
    "manage-backend-security-group-rules", BOOL,
    "open the targets to the load balancer although `security-groups` is set", Merge.SAME, default="false",
    fields="LoadBalancer.SecurityGroups",
)  # fmt: skip
INBOUND_CIDRS = Annotation(
    "inbound-cidrs", LIST, "sources that the managed security group lets in", Merge.SAME_PER_PORT,
    default="0.0.0.0/0, ::/0", params="inboundCIDRs", fields="SecurityGroup.IpPermissions",
)  # fmt: skip
SECURITY_GROUP_PREFIX_LISTS = Annotation(
    "security-group-prefix-lists", LIST, "prefix lists that the managed security group lets in",
    Merge.SAME_PER_PORT, params="prefixListsIDs", fields="SecurityGroup.IpPermissions",
)  # fmt: skip
CUSTOMER_OWNED_IPV4_POOL = Annotation(
    "customer-owned-ipv4-pool", STRING, "address pool on an Outpost", Merge.SAME,
    fields="LoadBalancer.CustomerOwnedIpv4Pool", limits="passed on; local addresses do not come from it",
)  # fmt: skip
IPAM_IPV4_POOL_ID = Annotation(
    "ipam-ipv4-pool-id", STRING, "IPAM pool of the public addresses", Merge.SAME, params="ipamConfiguration",
    fields="LoadBalancer.IpamPools", limits="passed on; local addresses do not come from it",
)  # fmt: skip
LOAD_BALANCER_ATTRIBUTES = Annotation(
    "load-balancer-attributes", MAP, "attributes; a removed attribute is not reset", Merge.UNION,
    params="loadBalancerAttributes", fields="LoadBalancer attributes",
)  # fmt: skip
MINIMUM_LOAD_BALANCER_CAPACITY = Annotation(
    "minimum-load-balancer-capacity", MAP, "reserved capacity, `CapacityUnits=N`", Merge.UNION,
    params="minimumLoadBalancerCapacity", fields="ModifyCapacityReservation",
)  # fmt: skip
TAGS = Annotation(
    "tags", MAP, "AWS tags; rules get the Ingress's tags, target groups the Service's too", Merge.UNION,
    BOTH, params="tags", fields="Tags",
)  # fmt: skip

# --- listeners ---------------------------------------------------------------------------------------------------

LISTEN_PORTS = Annotation(
    "listen-ports", JSON, '`[{"HTTP": 80}, {"HTTPS": 443}]`; a group listens on all members’ ports', Merge.UNION,
    default="HTTP 80, or HTTPS 443 alone when certificates are given", fields="Listener.Port, Listener.Protocol",
)  # fmt: skip
SSL_REDIRECT = Annotation(
    "ssl-redirect", INT32, "every HTTP listener of the group redirects to this HTTPS port and has no rules",
    Merge.SAME, params="sslRedirectPort", fields="Listener.DefaultActions",
)  # fmt: skip
CERTIFICATE_ARN = Annotation(
    "certificate-arn", LIST, "certificates of HTTPS ports, the default first", Merge.UNION,
    default="discovered in ACM by host", params="certificateArn", fields="Listener.Certificates",
)  # fmt: skip
CREATE_ACM_CERT = Annotation(
    "create-acm-cert", BOOL, "request an ACM certificate for the Ingress’s hosts", default="false",
    fields="Listener.Certificates", limits="needs the gate EnableCertificateManagement, which is off by default",
)  # fmt: skip
ACM_PCA_ARN = Annotation(
    "acm-pca-arn", STRING, "private CA for `create-acm-cert`", fields="ACM CertificateAuthorityArn",
    limits="needs the gate EnableCertificateManagement, which is off by default",
)  # fmt: skip
SSL_POLICY = Annotation(
    "ssl-policy", STRING, "TLS versions and ciphers of HTTPS ports", Merge.SAME_PER_PORT,
    default="ELBSecurityPolicy-2016-08", params="sslPolicy", fields="Listener.SslPolicy",
)  # fmt: skip
MUTUAL_AUTHENTICATION = Annotation(
    "mutual-authentication", JSON, "client certificates by port: `[{port, mode, trustStore, …}]`",
    Merge.SAME_PER_PORT, fields="Listener.MutualAuthentication",
)  # fmt: skip
LISTENER_ATTRIBUTES = Annotation(
    "listener-attributes.{protocol}-{port}", MAP, "attributes of a listener, as `listener-attributes.HTTPS-443`",
    Merge.UNION, params="listeners", fields="Listener attributes",
)  # fmt: skip

# --- target groups -----------------------------------------------------------------------------------------------

TARGET_TYPE = Annotation(
    "target-type", STRING, "targets are nodes at the Service’s node port, or pods", scope=BOTH, default="instance",
    values=("instance", "ip"), params="targetType", fields="TargetGroup.TargetType",
)  # fmt: skip
TARGET_NODE_LABELS = Annotation(
    "target-node-labels", MAP, "only nodes with these labels become targets", scope=BOTH,
    fields="TargetGroupBinding.spec.nodeSelector",
)  # fmt: skip
BACKEND_PROTOCOL = Annotation(
    "backend-protocol", STRING, "to targets", scope=BOTH, default="HTTP", values=("HTTP", "HTTPS"),
    fields="TargetGroup.Protocol",
)  # fmt: skip
BACKEND_PROTOCOL_VERSION = Annotation(
    "backend-protocol-version", STRING, "to targets", scope=BOTH, default="HTTP1",
    values=("HTTP1", "HTTP2", "GRPC"), fields="TargetGroup.ProtocolVersion",
)  # fmt: skip
TARGET_GROUP_ATTRIBUTES = Annotation(
    "target-group-attributes", MAP, "attributes; a removed attribute is not reset", scope=BOTH,
    fields="TargetGroup attributes",
)  # fmt: skip
MULTI_CLUSTER_TARGET_GROUP = Annotation(
    "multi-cluster-target-group", BOOL, "other clusters register targets too; true on either kind counts",
    scope=(INGRESS, SERVICE), default="false", fields="TargetGroupBinding.spec.multiClusterTargetGroup",
)  # fmt: skip
TARGET_CONTROL_PORT = Annotation(
    "target-control-port.{service}.{port}", INT32, "port on which targets report their capacity", scope=BOTH,
    fields="TargetGroup.TargetControlPort", limits="passed on; targets are not asked for their capacity",
)  # fmt: skip
HEALTHCHECK_PORT = Annotation(
    "healthcheck-port", STRING, "`traffic-port`, a number, or the name of a port of the Service", scope=BOTH,
    default="traffic-port", fields="TargetGroup.HealthCheckPort",
)  # fmt: skip
HEALTHCHECK_PROTOCOL = Annotation(
    "healthcheck-protocol", STRING, "of health checks", scope=BOTH, default="that of `backend-protocol`",
    values=("HTTP", "HTTPS"), fields="TargetGroup.HealthCheckProtocol",
)  # fmt: skip
HEALTHCHECK_PATH = Annotation(
    "healthcheck-path", STRING, "of health checks", scope=BOTH, default="/, for GRPC /AWS.ALB/healthcheck",
    fields="TargetGroup.HealthCheckPath",
)  # fmt: skip
HEALTHCHECK_INTERVAL = Annotation(
    "healthcheck-interval-seconds", INT32, "between two checks of a target", scope=BOTH, default="15",
    fields="TargetGroup.HealthCheckIntervalSeconds",
)  # fmt: skip
HEALTHCHECK_TIMEOUT = Annotation(
    "healthcheck-timeout-seconds", INT32, "without an answer fail a check", scope=BOTH, default="5",
    fields="TargetGroup.HealthCheckTimeoutSeconds",
)  # fmt: skip
HEALTHY_THRESHOLD = Annotation(
    "healthy-threshold-count", INT32, "successes that make a target healthy", scope=BOTH, default="2",
    fields="TargetGroup.HealthyThresholdCount",
)  # fmt: skip
UNHEALTHY_THRESHOLD = Annotation(
    "unhealthy-threshold-count", INT32, "failures that make a target unhealthy", scope=BOTH, default="2",
    fields="TargetGroup.UnhealthyThresholdCount",
)  # fmt: skip
SUCCESS_CODES = Annotation(
    "success-codes", STRING, "of health checks: `200`, `200,301`, `200-299`", scope=BOTH,
    default="200, for GRPC 12", fields="TargetGroup.Matcher",
)  # fmt: skip

# --- rules -------------------------------------------------------------------------------------------------------

ACTIONS = Annotation(
    "actions.{service}", JSON, "action of backends with that name and the port `use-annotation`",
    fields="Rule.Actions",
)  # fmt: skip
CONDITIONS = Annotation(
    "conditions.{service}", JSON, "more conditions of the rules whose backend has that name",
    fields="Rule.Conditions",
)  # fmt: skip
TRANSFORMS = Annotation(
    "transforms.{service}", JSON, "rewrites of the rules whose backend has that name", fields="Rule.Transforms"
)
USE_REGEX_PATH_MATCH = Annotation(
    "use-regex-path-match", BOOL, "paths of type ImplementationSpecific are regular expressions after their `/`",
    default="false", fields="Rule.Conditions",
)  # fmt: skip
AUTH_TYPE = Annotation(
    "auth-type", STRING, "users must log in, on HTTPS listeners only", scope=BOTH,
    default="none", values=("none", "oidc", "cognito"), fields="Rule.Actions",
)  # fmt: skip
AUTH_IDP_COGNITO = Annotation(
    "auth-idp-cognito", JSON, "`{userPoolARN, userPoolClientID, userPoolDomain}`", scope=BOTH,
    fields="AuthenticateCognitoConfig",
)  # fmt: skip
AUTH_IDP_OIDC = Annotation(
    "auth-idp-oidc", JSON,
    "`{issuer, authorizationEndpoint, tokenEndpoint, userInfoEndpoint, secretName}`; the Secret has `clientID` and "
    "`clientSecret`", scope=BOTH, fields="AuthenticateOidcConfig",
)  # fmt: skip
AUTH_ON_UNAUTHENTICATED_REQUEST = Annotation(
    "auth-on-unauthenticated-request", STRING, "action for requests without a session", scope=BOTH,
    default="authenticate", values=("authenticate", "allow", "deny"), fields="OnUnauthenticatedRequest",
)  # fmt: skip
AUTH_SCOPE = Annotation(
    "auth-scope", STRING, "OAuth scopes, separated by spaces", scope=BOTH, default="openid", fields="Scope"
)
AUTH_SESSION_COOKIE = Annotation(
    "auth-session-cookie", STRING, "name of the session cookie", scope=BOTH, default="AWSELBAuthSessionCookie",
    fields="SessionCookieName",
)  # fmt: skip
AUTH_SESSION_TIMEOUT = Annotation(
    "auth-session-timeout", INT64, "seconds that a session lasts", scope=BOTH, default="604800",
    fields="SessionTimeout",
)  # fmt: skip
JWT_VALIDATION = Annotation(
    "jwt-validation", JSON, "`{jwksEndpoint, issuer, additionalClaims}`, on HTTPS listeners only",
    fields="JwtValidationConfig",
)  # fmt: skip

# --- add-ons -----------------------------------------------------------------------------------------------------

WAFV2_ACL_ARN = Annotation(
    "wafv2-acl-arn", STRING, "web ACL of the load balancer; `none` removes the association", Merge.SAME,
    default="unchanged", params="wafv2AclArn", fields="WAFv2 association",
)  # fmt: skip
WAFV2_ACL_NAME = Annotation(
    "wafv2-acl-name", STRING, "the same by name; overrides the ARN", Merge.SAME, params="wafv2AclName",
    fields="WAFv2 association",
)  # fmt: skip
WAF_ACL_ID = Annotation(
    "waf-acl-id", STRING, "web ACL of WAF Classic", Merge.SAME, fields="WAF Classic association",
    limits="not associated, because AWS has retired WAF Classic",
)  # fmt: skip
WEB_ACL_ID = Annotation(
    "web-acl-id", STRING, "older name of `waf-acl-id`", Merge.SAME, fields="WAF Classic association",
    limits="not associated, because AWS has retired WAF Classic",
)  # fmt: skip
SHIELD_ADVANCED_PROTECTION = Annotation(
    "shield-advanced-protection", BOOL,
    "Shield Advanced for the load balancer, if the account has a subscription", Merge.SAME,
    default="unchanged", fields="Shield protection",
)  # fmt: skip
ENABLE_FRONTEND_NLB = Annotation(
    "enable-frontend-nlb", BOOL, "a Network Load Balancer in front of the load balancer", Merge.SAME, default="false",
    fields="LoadBalancer of type network",
)  # fmt: skip
FRONTEND_NLB_SCHEME = Annotation(
    "frontend-nlb-scheme", STRING, "`internal` or `internet-facing`", Merge.SAME, default="internal",
    values=("internal", "internet-facing"), fields="Scheme",
)  # fmt: skip
FRONTEND_NLB_SUBNETS = Annotation(
    "frontend-nlb-subnets", LIST, "its subnets, by id or Name tag", Merge.SAME, default="discovered by tags",
    fields="SubnetMappings",
)  # fmt: skip
FRONTEND_NLB_SECURITY_GROUPS = Annotation(
    "frontend-nlb-security-groups", LIST, "its security groups, by id or Name tag", Merge.SAME,
    default="the load balancer’s own", fields="SecurityGroups",
)  # fmt: skip
FRONTEND_NLB_EIP_ALLOCATIONS = Annotation(
    "frontend-nlb-eip-allocations", LIST, "its Elastic IPs, one a subnet, in the subnets’ order", Merge.SAME,
    fields="SubnetMappings.AllocationId",
)  # fmt: skip
FRONTEND_NLB_PORT_MAPPING = Annotation(
    "frontend-nlb-listener-port-mapping", MAP, "`nlb=alb`: its ports and their target ports", Merge.SAME_PER_PORT,
    default="every port to itself", fields="Listeners, Targets.Port",
)  # fmt: skip
FRONTEND_NLB_HEALTHCHECK_PORT = Annotation(
    "frontend-nlb-healthcheck-port", STRING, "a number, or `traffic-port`", Merge.SAME_PER_PORT,
    default="traffic-port", fields="HealthCheckPort",
)  # fmt: skip
FRONTEND_NLB_HEALTHCHECK_PROTOCOL = Annotation(
    "frontend-nlb-healthcheck-protocol", STRING, "how the load balancer is probed", Merge.SAME_PER_PORT,
    default="HTTP", values=("HTTP", "HTTPS"), fields="HealthCheckProtocol",
)  # fmt: skip
FRONTEND_NLB_HEALTHCHECK_PATH = Annotation(
    "frontend-nlb-healthcheck-path", STRING, "path of the probe", Merge.SAME_PER_PORT, default="/",
    fields="HealthCheckPath",
)  # fmt: skip
FRONTEND_NLB_HEALTHCHECK_INTERVAL = Annotation(
    "frontend-nlb-healthcheck-interval-seconds", INT32, "seconds between probes", Merge.SAME_PER_PORT, default="15",
    fields="HealthCheckIntervalSeconds",
)  # fmt: skip
FRONTEND_NLB_HEALTHCHECK_TIMEOUT = Annotation(
    "frontend-nlb-healthcheck-timeout-seconds", INT32, "seconds until a probe has failed", Merge.SAME_PER_PORT,
    default="5", fields="HealthCheckTimeoutSeconds",
)  # fmt: skip
FRONTEND_NLB_HEALTHY_THRESHOLD = Annotation(
    "frontend-nlb-healthcheck-healthy-threshold-count", INT32, "successes in a row that make it healthy",
    Merge.SAME_PER_PORT, default="2", fields="HealthyThresholdCount",
)  # fmt: skip
FRONTEND_NLB_UNHEALTHY_THRESHOLD = Annotation(
    "frontend-nlb-healthcheck-unhealthy-threshold-count", INT32, "failures in a row that make it unhealthy",
    Merge.SAME_PER_PORT, default="2", fields="UnhealthyThresholdCount",
)  # fmt: skip
FRONTEND_NLB_SUCCESS_CODES = Annotation(
    "frontend-nlb-healthcheck-success-codes", STRING, "status codes that are a success", Merge.SAME_PER_PORT,
    default="200", fields="Matcher",
)  # fmt: skip
FRONTEND_NLB_TAGS = Annotation(
    "frontend-nlb-tags", MAP, "its tags, in place of the load balancer’s", Merge.SAME, default="the load balancer’s",
    fields="Tags",
)  # fmt: skip
FRONTEND_NLB_ATTRIBUTES = Annotation(
    "frontend-nlb-attributes", MAP, "its attributes", Merge.SAME, fields="load balancer attributes",
)  # fmt: skip
DRY_RUN_PLAN = Annotation(
    "dry-run-plan", STRING, "written by the controller, never read", Merge.FIRST,
    limits="needs the gate IngressPlanAnnotation, which is off by default",
)  # fmt: skip

REGISTRY: Final[dict[str, AnyAnnotation]] = {
    annotation.name: annotation
    for annotation in (value for value in dict(globals()).values() if isinstance(value, Annotation))
}
"""All of them by name, in the order above."""
