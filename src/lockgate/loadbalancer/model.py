"""An Application Load Balancer as a plain value, in ELBv2's nouns. `network` has Network Load Balancers.

`ingress` builds it from an IngressGroup, `elbv2` from API state. Everything else reads it: Envoy's configuration,
`routing`, the checks and the deploy plan. Target groups have a reference string: their ARN if read from the API, the
controller's resource ID (``ns/ingress-service:port``) if built from Ingresses.

Source: ELBv2 API reference, and AWS's ALB user guide for ranges and defaults.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from lockgate.resources.faults import Origin

if TYPE_CHECKING:  # few load balancers have a web ACL, and its classes are slow to import
    from lockgate.loadbalancer.waf.model import WebAcl


class _NoEntries(Mapping[str, str]):
    """The empty mapping, hashable: Python 3.11 rejects a MappingProxyType as a dataclass default."""

    def __getitem__(self, key: str) -> str:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "{}"


EMPTY: Mapping[str, str] = _NoEntries()

Protocol: TypeAlias = Literal["HTTP", "HTTPS"]
ProtocolVersion: TypeAlias = Literal["HTTP1", "HTTP2", "GRPC"]
Scheme: TypeAlias = Literal["internal", "internet-facing"]
IpAddressType: TypeAlias = Literal["ipv4", "dualstack", "dualstack-without-public-ipv4"]
NetworkProtocol: TypeAlias = Literal["TCP", "TLS", "UDP", "TCP_UDP"]  # of Network Load Balancers
TargetProtocol: TypeAlias = Literal["HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP"]
TargetType: TypeAlias = Literal["instance", "ip", "lambda", "alb"]


# --- conditions: all of a rule's conditions must match; any value of a condition is enough -----------------------


@dataclass(frozen=True, slots=True)
class HostHeader:
    values: tuple[str, ...] = ()
    regex_values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PathPattern:
    values: tuple[str, ...] = ()
    regex_values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HttpHeader:
    name: str
    values: tuple[str, ...] = ()
    regex_values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HttpRequestMethod:
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QueryPair:
    value: str
    key: str | None = None  # None matches any key


@dataclass(frozen=True, slots=True)
class QueryString:
    values: tuple[QueryPair, ...]


@dataclass(frozen=True, slots=True)
class SourceIp:
    values: tuple[str, ...]  # CIDRs; compared with the TCP peer


Condition: TypeAlias = HostHeader | PathPattern | HttpHeader | HttpRequestMethod | QueryString | SourceIp


# --- actions -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WeightedTargetGroup:
    target_group: str  # a reference, as described above
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Forward:
    target_groups: tuple[WeightedTargetGroup, ...]
    stickiness_seconds: int | None = None  # TargetGroupStickinessConfig: None means disabled


@dataclass(frozen=True, slots=True)
class Redirect:
    """Parts that the API's RedirectConfig omits are placeholders: they keep the request's value."""

    status_code: Literal["HTTP_301", "HTTP_302"]
    protocol: str = "#{protocol}"
    host: str = "#{host}"
    port: str = "#{port}"
    path: str = "/#{path}"
    query: str = "#{query}"


@dataclass(frozen=True, slots=True)
class FixedResponse:
    status_code: str
    content_type: str | None = None
    message_body: str | None = None


@dataclass(frozen=True, slots=True)
class AuthenticateOidc:
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    user_info_endpoint: str
    client_id: str
    client_secret: str = field(repr=False, default="")
    session_cookie_name: str = "AWSELBAuthSessionCookie"
    scope: str = "openid"
    session_timeout: int = 604800
    extra_parameters: Mapping[str, str] = EMPTY
    on_unauthenticated_request: Literal["authenticate", "deny", "allow"] = "authenticate"


@dataclass(frozen=True, slots=True)
class AuthenticateCognito:
    user_pool_arn: str
    user_pool_client_id: str
    user_pool_domain: str
    session_cookie_name: str = "AWSELBAuthSessionCookie"
    scope: str = "openid"
    session_timeout: int = 604800
    extra_parameters: Mapping[str, str] = EMPTY
    on_unauthenticated_request: Literal["authenticate", "deny", "allow"] = "authenticate"


@dataclass(frozen=True, slots=True)
class JwtClaim:
    name: str
    format: Literal["single-string", "string-array", "space-separated-values"]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JwtValidation:
    jwks_endpoint: str
    issuer: str
    additional_claims: tuple[JwtClaim, ...] = ()


FinalAction: TypeAlias = Forward | Redirect | FixedResponse
PreAction: TypeAlias = AuthenticateOidc | AuthenticateCognito | JwtValidation
Action: TypeAlias = FinalAction | PreAction


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One rewrite of the rule's transform number `transform`. `target` is the rewritten part: the Host header, or path
    and query."""

    target: Literal["host-header", "url"]
    regex: str
    replace: str
    transform: int = 0


# --- the load balancer -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rule:
    """`actions` end with exactly one final action; the actions before it authenticate."""

    priority: int
    conditions: tuple[Condition, ...]
    actions: tuple[Action, ...]
    transforms: tuple[Rewrite, ...] = ()
    tags: Mapping[str, str] = EMPTY
    arn: str = ""
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class MutualAuthentication:
    mode: Literal["off", "passthrough", "verify"] = "off"
    trust_store: str = ""
    ignore_client_certificate_expiry: bool = False
    advertise_trust_store_ca_names: bool = False


@dataclass(frozen=True, slots=True)
class Listener:
    """`certificates` are ARNs, the default first; an HTTPS listener has at least one. Rules are in ascending
    priority."""

    port: int
    protocol: Protocol
    default_actions: tuple[Action, ...]
    rules: tuple[Rule, ...] = ()
    certificates: tuple[str, ...] = ()
    ssl_policy: str = ""
    mutual_authentication: MutualAuthentication | None = None
    attributes: Mapping[str, str] = EMPTY
    tags: Mapping[str, str] = EMPTY
    arn: str = ""
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """Defaults are the API's for instance and IP targets; the controller sets its own.

    A TCP check passes if a connection is established. It has neither `path` nor `matcher`.
    """

    protocol: TargetProtocol = "HTTP"
    port: str = "traffic-port"  # or a number, as the API has it
    path: str = "/"
    interval_seconds: int = 30
    timeout_seconds: int = 5
    healthy_threshold_count: int = 5
    unhealthy_threshold_count: int = 2
    matcher: str = "200"
    enabled: bool = True  # only Lambda target groups may disable it


TargetState: TypeAlias = Literal["initial", "healthy", "unhealthy", "unused", "draining", "unavailable"]


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """A registered target. As in the API, `id` is an instance ID, an IP address or a load balancer's ARN."""

    id: str
    port: int
    availability_zone: str = ""


@dataclass(frozen=True, slots=True)
class TargetGroup:
    """`protocol_version` has no meaning behind Network Load Balancers."""

    reference: str
    name: str
    port: int
    protocol: TargetProtocol = "HTTP"
    protocol_version: ProtocolVersion = "HTTP1"
    target_type: TargetType = "instance"
    ip_address_type: Literal["ipv4", "ipv6"] = "ipv4"
    health_check: HealthCheck = HealthCheck()
    attributes: Mapping[str, str] = EMPTY
    targets: tuple[Target, ...] = ()
    tags: Mapping[str, str] = EMPTY
    vpc_id: str = ""
    control_port: int | None = None
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    """Listeners are in ascending port order; `target_groups` holds each referenced group, by its reference."""

    name: str
    listeners: tuple[Listener, ...]
    target_groups: Mapping[str, TargetGroup]
    scheme: Scheme = "internal"
    ip_address_type: IpAddressType = "ipv4"
    security_groups: tuple[str, ...] = ()
    subnets: tuple[str, ...] = ()
    attributes: Mapping[str, str] = EMPTY
    tags: Mapping[str, str] = EMPTY
    arn: str = ""
    dns_name: str = ""
    canonical_hosted_zone_id: str = ""
    web_acl: WebAcl | None = None  # the associated web ACL
    origin: Origin | None = None
