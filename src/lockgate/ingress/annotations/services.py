"""Every annotation that the AWS Load Balancer Controller reads from a Service with a Network Load Balancer.

Source: aws-load-balancer-controller v3.5, `pkg/annotations/constants.go`, `pkg/service/`, and its guide's page "Service
annotations".
"""

from __future__ import annotations

from typing import Any, Final

from lockgate.ingress.annotations.spec import (
    BOOL,
    INT32,
    JSON,
    LIST,
    MAP,
    SERVICE,
    SERVICE_PREFIX,
    STRING,
    Annotation,
    AnyAnnotation,
    Type,
)


def _of(name: str, type_: Type[Any], effect: str, **more: Any) -> Annotation[Any]:
    return Annotation(f"aws-load-balancer-{name}", type_, effect, scope=(SERVICE,), prefix=SERVICE_PREFIX, **more)


# --- whose Service it is, and its load balancer ------------------------------------------------------------------

TYPE: Annotation[str] = _of(
    "type", STRING,
    "`nlb-ip`, or `external` with a target type: the controller makes the load balancer of a Service without a class",
    values=("external", "nlb-ip"),
)  # fmt: skip
TARGET_TYPE: Annotation[str] = _of(
    "nlb-target-type", STRING, "what is registered: nodes or Pods", default="instance", values=("instance", "ip"),
    fields="TargetGroup.TargetType",
)  # fmt: skip
NAME: Annotation[str] = _of(
    "name", STRING, "name, at most 32 characters; an existing load balancer is not renamed",
    default="`k8s-…` with a hash", fields="LoadBalancer.LoadBalancerName",
)  # fmt: skip
SCHEME: Annotation[str] = _of(
    "scheme", STRING, "reachable from the internet or from the VPC", default="internal",
    values=("internal", "internet-facing"), fields="LoadBalancer.Scheme",
)  # fmt: skip
INTERNAL: Annotation[bool] = _of(
    "internal", BOOL, "the older form of `scheme`", default="true", fields="LoadBalancer.Scheme"
)
IP_ADDRESS_TYPE: Annotation[str] = _of(
    "ip-address-type", STRING, "address families", default="ipv4", values=("ipv4", "dualstack"),
    fields="LoadBalancer.IpAddressType",
)  # fmt: skip
SUBNETS: Annotation[tuple[str, ...]] = _of(
    "subnets", LIST, "subnet ids (`subnet-…`) or Name tags", default="discovered by role tags",
    fields="LoadBalancer.SubnetMappings",
)  # fmt: skip
EIP_ALLOCATIONS: Annotation[tuple[str, ...]] = _of(
    "eip-allocations", LIST, "one Elastic IP for each subnet, if internet-facing", fields="SubnetMapping.AllocationId"
)
PRIVATE_IPV4_ADDRESSES: Annotation[tuple[str, ...]] = _of(
    "private-ipv4-addresses", LIST, "one address of each subnet, if internal", fields="SubnetMapping.PrivateIPv4Address"
)
IPV6_ADDRESSES: Annotation[tuple[str, ...]] = _of(
    "ipv6-addresses", LIST, "one address of each subnet, if dualstack", fields="SubnetMapping.IPv6Address"
)
EIP_DISCOVERY_TAGS: Annotation[str] = _of(
    "eip-allocations-discovery-tags", MAP, "Elastic IPs by their tags",
    limits="Elastic IPs are not discovered: list them in `eip-allocations`",
)  # fmt: skip
SOURCE_NAT: Annotation[str] = _of(
    "enable-prefix-for-ipv6-source-nat", STRING, "source NAT with an IPv6 prefix", values=("on", "off"), default="off",
    limits="there is no source NAT: targets see this machine",
)  # fmt: skip
SOURCE_NAT_PREFIXES: Annotation[tuple[str, ...]] = _of(
    "source-nat-ipv6-prefixes", LIST, "the prefixes for source NAT",
    limits="there is no source NAT: targets see this machine",
)  # fmt: skip
ATTRIBUTES: Annotation[Any] = _of(
    "attributes", MAP, "attributes of the load balancer", fields="LoadBalancer.Attributes"
)
CROSS_ZONE: Annotation[bool] = _of(
    "cross-zone-load-balancing-enabled", BOOL, "overrides `load_balancing.cross_zone.enabled` of `attributes`",
    default="false", fields="LoadBalancer.Attributes",
)  # fmt: skip
ACCESS_LOG_ENABLED: Annotation[bool] = _of(
    "access-log-enabled", BOOL,
    "if true, overrides `access_logs.s3.enabled` of `attributes`; connections of TLS listeners are logged",
    default="false", fields="LoadBalancer.Attributes",
)  # fmt: skip
ACCESS_LOG_BUCKET: Annotation[str] = _of(
    "access-log-s3-bucket-name", STRING, "the bucket, if `access-log-enabled` is true", fields="LoadBalancer.Attributes"
)
ACCESS_LOG_PREFIX: Annotation[str] = _of(
    "access-log-s3-bucket-prefix", STRING, "the prefix, if `access-log-enabled` is true",
    fields="LoadBalancer.Attributes",
)  # fmt: skip
TAGS: Annotation[Any] = _of("additional-resource-tags", MAP, "tags of every resource", fields="Tags")
CAPACITY: Annotation[Any] = _of(
    "minimum-load-balancer-capacity",
    MAP,
    "`CapacityUnits=N`: capacity to reserve",
    fields="MinimumLoadBalancerCapacity",
)
SHIELD: Annotation[bool] = _of("shield-advanced-protection", BOOL, "Shield Advanced", default="unchanged")
PATH_MTU: Annotation[str] = _of(
    "enable-icmp-for-path-mtu-discovery", STRING, "opens ICMP in the managed security group", values=("on", "off"),
    default="off", limits="no packets pass a security group here",
)  # fmt: skip

# --- security groups ---------------------------------------------------------------------------------------------

SECURITY_GROUPS: Annotation[tuple[str, ...]] = _of(
    "security-groups", LIST, "security group ids (`sg-…`) or Name tags", default="one made for the Service",
    fields="LoadBalancer.SecurityGroups",
)  # fmt: skip
MANAGE_RULES: Annotation[bool] = _of(
    "manage-backend-security-group-rules", BOOL, "open the targets although `security-groups` is set", default="false",
    fields="LoadBalancer.SecurityGroups",
)  # fmt: skip
DISABLE_SECURITY_GROUPS: Annotation[bool] = _of(
    "disable-nlb-sg", BOOL, "no security group at all, which cannot be changed later", default="false",
    fields="LoadBalancer.SecurityGroups",
)  # fmt: skip
PREFIX_LISTS: Annotation[tuple[str, ...]] = _of(
    "security-group-prefix-lists", LIST, "prefix lists that the managed security group lets in",
    fields="SecurityGroup.IpPermissions",
)  # fmt: skip
SOURCE_RANGES: Annotation[tuple[str, ...]] = Annotation(
    "load-balancer-source-ranges", LIST,
    "sources that the managed security group lets in, unless `spec.loadBalancerSourceRanges` lists them",
    scope=(SERVICE,), default="0.0.0.0/0, with dualstack also ::/0", fields="SecurityGroup.IpPermissions",
    prefix=SERVICE_PREFIX,
)  # fmt: skip
PRIVATE_LINK: Annotation[str] = _of(
    "inbound-sg-rules-on-private-link-traffic", STRING, "whether they count for PrivateLink", values=("on", "off"),
    limits="there is no PrivateLink here",
)  # fmt: skip

# --- listeners ---------------------------------------------------------------------------------------------------

SSL_CERT: Annotation[tuple[str, ...]] = _of(
    "ssl-cert", LIST, "ARNs, the default certificate first: TCP ports become TLS", fields="Listener.Certificates"
)
SSL_PORTS: Annotation[tuple[str, ...]] = _of(
    "ssl-ports", LIST, "the ports that become TLS, by number or name", default="all", fields="Listener.Protocol"
)
SSL_POLICY: Annotation[str] = _of(
    "ssl-negotiation-policy", STRING, "security policy", default="ELBSecurityPolicy-2016-08",
    fields="Listener.SslPolicy",
)  # fmt: skip
ALPN_POLICY: Annotation[str] = _of(
    "alpn-policy", STRING, "ALPN of TLS listeners", fields="Listener.AlpnPolicy",
    values=("HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred", "None"),
)  # fmt: skip
BACKEND_PROTOCOL: Annotation[str] = _of(
    "backend-protocol", STRING, "`ssl`: TLS to the targets of TLS ports too", default="TCP",
    fields="TargetGroup.Protocol",
)  # fmt: skip
LISTENER_ATTRIBUTES: Annotation[Any] = _of(
    "listener-attributes.{PROTOCOL-PORT}", MAP, "attributes of one listener, such as `TCP-443`",
    fields="Listener.Attributes",
)  # fmt: skip
TCP_UDP: Annotation[bool] = _of(
    "enable-tcp-udp-listener", BOOL, "one TCP_UDP listener where a TCP and a UDP port have one number", default="false",
    fields="Listener.Protocol",
)  # fmt: skip
QUIC_PORTS: Annotation[tuple[str, ...]] = _of(
    "quic-enabled-ports", LIST, "UDP ports that become QUIC", fields="Listener.Protocol",
    limits="QUIC listeners are refused: ELBv2's protocols QUIC and TCP_QUIC are not served here",
)  # fmt: skip

WEIGHTED: Annotation[str] = Annotation(
    "actions.{PROTOCOL-PORT}", JSON,
    "target groups of several Services for one port, with weights; of a UDP listener, the largest weight gets all",
    scope=(SERVICE,), prefix=SERVICE_PREFIX, fields="Listener.DefaultActions",
)  # fmt: skip

# --- target groups -----------------------------------------------------------------------------------------------

PROXY_PROTOCOL: Annotation[str] = _of(
    "proxy-protocol", STRING, "PROXY protocol v2 to all targets", values=("*",), fields="TargetGroup.Attributes"
)
PROXY_PROTOCOL_PORTS: Annotation[str] = _of(
    "proxy-protocol-per-target-group", STRING, "the ports with PROXY protocol v2", fields="TargetGroup.Attributes"
)
TARGET_GROUP_ATTRIBUTES: Annotation[Any] = _of(
    "target-group-attributes", MAP, "attributes of all target groups", fields="TargetGroup.Attributes"
)
TARGET_GROUP_ATTRIBUTES_OF: Annotation[Any] = _of(
    "target-group-attributes.{PORT}", MAP, "those of one port, which override", fields="TargetGroup.Attributes"
)
TARGET_NODE_LABELS: Annotation[Any] = _of(
    "target-node-labels", MAP, "the nodes to register", default="all", fields="TargetGroupBinding.nodeSelector"
)
MULTI_CLUSTER: Annotation[bool] = _of(
    "multi-cluster-target-group", BOOL, "other clusters register targets too", default="false",
    fields="TargetGroupBinding.multiClusterTargetGroup",
)  # fmt: skip
HC_PROTOCOL: Annotation[str] = _of(
    "healthcheck-protocol", STRING, "in any case", default="TCP; HTTP for nodes with externalTrafficPolicy Local",
    values=("TCP", "HTTP", "HTTPS"), fields="TargetGroup.HealthCheckProtocol",
)  # fmt: skip
HC_PORT: Annotation[str] = _of(
    "healthcheck-port", STRING, "a number, `traffic-port` or the name of a port",
    default="traffic-port; healthCheckNodePort for nodes with externalTrafficPolicy Local",
    fields="TargetGroup.HealthCheckPort",
)  # fmt: skip
HC_PATH: Annotation[str] = _of(
    "healthcheck-path", STRING, "", default="/; /healthz for nodes with externalTrafficPolicy Local",
    fields="TargetGroup.HealthCheckPath",
)  # fmt: skip
HC_INTERVAL: Annotation[int] = _of(
    "healthcheck-interval", INT32, "seconds", default="10", fields="TargetGroup.HealthCheckIntervalSeconds"
)
HC_TIMEOUT: Annotation[int] = _of(
    "healthcheck-timeout", INT32, "seconds", default="10; 6 for nodes with externalTrafficPolicy Local",
    fields="TargetGroup.HealthCheckTimeoutSeconds",
)  # fmt: skip
HC_HEALTHY: Annotation[int] = _of(
    "healthcheck-healthy-threshold", INT32, "", default="3; 2 for nodes with externalTrafficPolicy Local",
    fields="TargetGroup.HealthyThresholdCount",
)  # fmt: skip
HC_UNHEALTHY: Annotation[int] = _of(
    "healthcheck-unhealthy-threshold", INT32, "", default="3; 2 for nodes with externalTrafficPolicy Local",
    fields="TargetGroup.UnhealthyThresholdCount",
)  # fmt: skip
HC_CODES: Annotation[str] = _of(
    "healthcheck-success-codes", STRING, "of HTTP and HTTPS checks", default="200-399", fields="TargetGroup.Matcher"
)

SERVICES: Final[dict[str, AnyAnnotation]] = {
    value.name: value for value in list(globals().values()) if isinstance(value, Annotation)
}
"""By name without prefix, in the order above."""
