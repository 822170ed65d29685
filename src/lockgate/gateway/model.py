"""An Istio ingress gateway as a plain value, in Istio's and Envoy's nouns.

`build` makes it from Istio resources. Everything else reads it: `xds.gateway` turns it into Envoy's configuration,
`routing` predicts decisions, and the checks analyse it. Ports are the ones that Istio sees (8443, not the local port
that Envoy binds on this machine), and names are istiod's, so that they agree with `istioctl proxy-config` on a cluster.
Durations are seconds.

Source: istio/istio `pilot/pkg/networking/core`, and Envoy's v3 API for what each field means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from lockgate.gateway.mesh import ISTIO_DEFAULTS, HttpSettings
from lockgate.gateway.telemetry.model import NO_TELEMETRY, Telemetry
from lockgate.resources.faults import Origin
from lockgate.resources.model import ObjectKey

if TYPE_CHECKING:
    from lockgate.gateway.patches import Patch
    from lockgate.gateway.policies.model import Filters

# --- conditions on a request -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Exact:
    value: str
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class Prefix:
    """The text starts with `value`. As in Istio, ``/api`` matches ``/apiary`` too."""

    value: str
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class Suffix:
    value: str
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class Regex:
    """An RE2 expression that must match the whole text."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Present:
    """The header or parameter exists, with any value."""


TextMatch: TypeAlias = Exact | Prefix | Suffix | Regex
ValueMatch: TypeAlias = TextMatch | Present


@dataclass(frozen=True, slots=True)
class HeaderMatch:
    """`name` is lower-case, or one of ``:method``, ``:authority`` and ``:scheme``."""

    name: str
    value: ValueMatch
    invert: bool = False  # withoutHeaders: an absent header counts as empty


@dataclass(frozen=True, slots=True)
class QueryMatch:
    name: str
    value: ValueMatch


@dataclass(frozen=True, slots=True)
class ClaimMatch:
    """A claim of the request's JWT, by the names that lead to it: a text, or one in a list."""

    path: tuple[str, ...]
    value: TextMatch
    invert: bool = False


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """All parts must match. The path is compared without its query."""

    path: TextMatch
    headers: tuple[HeaderMatch, ...] = ()
    query: tuple[QueryMatch, ...] = ()
    claims: tuple[ClaimMatch, ...] = ()

    @property
    def catches_all(self) -> bool:
        if self.headers or self.query or self.claims:
            return False
        return self.path in _EVERYTHING


_EVERYTHING = (Prefix("/"), Prefix("/", True), Regex(".*"))


# --- actions -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SetHeader:
    """Replaces the header, or adds it."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class AddHeader:
    """Appends a value to the header."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class HeaderChanges:
    """`put` is in the order of istiod's configuration; Envoy removes first, then replaces, then appends. Names are
    lower-case."""

    put: tuple[SetHeader | AddHeader, ...] = ()
    remove: tuple[str, ...] = ()

    def then(self, other: HeaderChanges) -> HeaderChanges:
        if self == UNCHANGED or other == UNCHANGED:  # as most are: they share the one value
            return other if self == UNCHANGED else self
        return HeaderChanges(self.put + other.put, self.remove + other.remove)


UNCHANGED = HeaderChanges()


@dataclass(frozen=True, slots=True)
class RegexRewrite:
    pattern: str
    substitution: str  # \1 refers to a group


PathRewrite: TypeAlias = str | RegexRewrite  # a str replaces the part that the path match consumed


@dataclass(frozen=True, slots=True)
class HashHeader:
    name: str


@dataclass(frozen=True, slots=True)
class HashCookie:
    """With `ttl` None the cookie is only read. With a number, a missing cookie is set; 0 makes a session cookie."""

    name: str
    path: str = ""
    ttl: float | None = None
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class HashQuery:
    name: str


@dataclass(frozen=True, slots=True)
class HashSourceIp:
    pass


HashPolicy: TypeAlias = HashHeader | HashCookie | HashQuery | HashSourceIp


@dataclass(frozen=True, slots=True)
class Retry:
    attempts: int
    retry_on: str
    retriable_statuses: tuple[int, ...] = ()
    per_try_timeout: float | None = None
    backoff: float | None = None
    previous_hosts: bool = True  # retries avoid endpoints that failed
    previous_priorities: bool = False


@dataclass(frozen=True, slots=True)
class Mirror:
    cluster: str
    percent: float = 100.0


@dataclass(frozen=True, slots=True)
class WeightedCluster:
    cluster: str
    weight: int = 1
    request_headers: HeaderChanges = UNCHANGED
    response_headers: HeaderChanges = UNCHANGED
    host_rewrite: str = ""


@dataclass(frozen=True, slots=True)
class Forward:
    """The weight of a single cluster has no effect. `timeout` None means no timeout."""

    clusters: tuple[WeightedCluster, ...]
    timeout: float | None = None
    retry: Retry | None = None
    rewrite: PathRewrite | None = None
    host_rewrite: str = ""
    mirrors: tuple[Mirror, ...] = ()
    hash_policies: tuple[HashPolicy, ...] = ()


@dataclass(frozen=True, slots=True)
class Redirect:
    """Empty parts keep the request's value. `prefix` replaces the matched prefix, `path` the whole path."""

    status: Literal[301, 302, 303, 307, 308] = 301
    scheme: str = ""
    host: str = ""
    port: int | None = None
    path: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class DirectResponse:
    status: int
    body: bytes = b""


Action: TypeAlias = Forward | Redirect | DirectResponse


@dataclass(frozen=True, slots=True)
class Delay:
    seconds: float
    percent: float


@dataclass(frozen=True, slots=True)
class Abort:
    percent: float
    http_status: int | None = None
    grpc_status: int | None = None


@dataclass(frozen=True, slots=True)
class Cors:
    """`max_age` in seconds. Preflights that match no origin go on to the backend unless `answer_all`."""

    allow_origins: tuple[TextMatch, ...] = ()
    allow_methods: str = ""
    allow_headers: str = ""
    expose_headers: str = ""
    max_age: str = ""
    allow_credentials: bool | None = None
    answer_all: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    match: RouteMatch
    action: Action
    name: str = ""
    request_headers: HeaderChanges = UNCHANGED
    response_headers: HeaderChanges = UNCHANGED
    delay: Delay | None = None
    abort: Abort | None = None
    cors: Cors | None = None
    stat_prefix: str = ""
    origin: Origin | None = field(default=None, compare=False)
    virtual_service: ObjectKey | None = field(default=None, compare=False)  # the root, if a delegate has the rule


@dataclass(frozen=True, slots=True)
class VirtualHost:
    """`domains` are exact names, ``*.suffix`` or ``*``. `require_tls` redirects plain requests to https."""

    name: str
    domains: tuple[str, ...]
    routes: tuple[Route, ...] = ()
    require_tls: bool = False


@dataclass(frozen=True, slots=True)
class RouteConfiguration:
    """`port` is the Gateway's port, 443 where the listener has 8443."""

    name: str
    virtual_hosts: tuple[VirtualHost, ...]
    port: int = 0
    origin: Origin | None = field(default=None, compare=False)


# --- listeners ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClientValidation:
    """Client certificates: `credential` names the secret with the CA; `required` rejects clients without one."""

    credential: str
    required: bool
    subject_alt_names: tuple[str, ...] = ()
    spki: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DownstreamTls:
    """`credentials` are SDS names such as ``kubernetes://tidewater-cert``; empty versions are Envoy's defaults."""

    credentials: tuple[str, ...]
    validation: ClientValidation | None = None
    min_version: str = ""
    max_version: str = ""
    cipher_suites: tuple[str, ...] = ()
    ecdh_curves: tuple[str, ...] = ()
    alpn: tuple[str, ...] = ("h2", "http/1.1")


@dataclass(frozen=True, slots=True)
class Http:
    """An HTTP chain; `routes` names its route configuration."""

    routes: str
    grpc_web: bool = False


@dataclass(frozen=True, slots=True)
class Tunnel:
    """Connections go through an HTTP proxy, by CONNECT or POST, to this host and port."""

    host: str
    port: int
    post: bool = False


@dataclass(frozen=True, slots=True)
class Tcp:
    """`hash_source` balances connections by the client's address. `idle_timeout` None is the gateway's, else Envoy's
    default of an hour."""

    clusters: tuple[WeightedCluster, ...]
    idle_timeout: float | None = None
    max_duration: float | None = None
    hash_source: bool = False
    tunnel: Tunnel | None = None


@dataclass(frozen=True, slots=True)
class FilterChain:
    """Without `server_names` the chain matches any SNI and none."""

    filter: Http | Tcp
    server_names: tuple[str, ...] = ()
    tls: DownstreamTls | None = None
    stat_prefix: str = ""
    passthrough: bool = False  # the chain carries TLS that the backend ends
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Listener:
    """`name` is Istio's, such as ``0.0.0.0_8443``; `port` is the workload's port."""

    name: str
    bind: str
    port: int
    filter_chains: tuple[FilterChain, ...]
    origin: Origin | None = field(default=None, compare=False)


# --- clusters ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Locality:
    """Where a workload runs; empty parts are unknown."""

    region: str = ""
    zone: str = ""
    subzone: str = ""


NOWHERE = Locality()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Requests go to `priority` 0 as long as enough of its endpoints are healthy. `share` is the weight of its
    locality; None is the sum of its endpoints' weights."""

    address: str
    port: int
    weight: int = 1
    locality: Locality = NOWHERE
    priority: int = 0
    share: int | None = None


@dataclass(frozen=True, slots=True)
class Warmup:
    """A new endpoint gets its full share after `seconds`, starting with `minimum_percent` of it."""

    seconds: float
    minimum_percent: float = 10.0
    aggression: float = 1.0


@dataclass(frozen=True, slots=True)
class Simple:
    policy: Literal["LEAST_REQUEST", "ROUND_ROBIN", "RANDOM"] = "LEAST_REQUEST"
    warmup: Warmup | None = None


@dataclass(frozen=True, slots=True)
class RingHash:
    """A `minimum_size` of None is Envoy's default, 1024."""

    minimum_size: int | None = 1024


@dataclass(frozen=True, slots=True)
class Maglev:
    table_size: int | None = None


LoadBalancing: TypeAlias = Simple | RingHash | Maglev

UNLIMITED = 4294967295


@dataclass(frozen=True, slots=True)
class TcpKeepalive:
    probes: int | None = None
    time: float | None = None
    interval: float | None = None


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """Retries may be this share of the active requests, and at least `minimum` at a time."""

    percent: float
    minimum: int


@dataclass(frozen=True, slots=True)
class Http2Keepalive:
    """PING frames on HTTP/2 connections: one each `interval`; without an answer within `timeout` it is closed."""

    interval: float | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class ConnectionPool:
    connect_timeout: float = 10.0
    max_connections: int = UNLIMITED
    max_pending_requests: int = UNLIMITED
    max_requests: int = UNLIMITED
    max_retries: int = UNLIMITED
    max_requests_per_connection: int | None = None
    max_concurrent_streams: int | None = None
    idle_timeout: float | None = None
    max_connection_duration: float | None = None
    keepalive: TcpKeepalive | None = None
    http2_keepalive: Http2Keepalive | None = None
    retry_budget: RetryBudget | None = None
    buffer: int | None = None  # bytes of one connection


@dataclass(frozen=True, slots=True)
class OutlierDetection:
    """None keeps Envoy's default; 0 for one of the two counts disables that detector."""

    consecutive_5xx: int | None = None
    consecutive_gateway: int | None = None
    split_local_origin: bool = False
    consecutive_local_origin: int | None = None
    interval: float | None = None
    base_ejection_time: float | None = None
    max_ejection_percent: int | None = None
    min_health_percent: int = 0


@dataclass(frozen=True, slots=True)
class UpstreamTls:
    """An empty `sni` takes it from the Host header. `ca` names a credential or file; empty means the system's CAs.

    With `verify_host` the certificate must be for the Host header's name. Without a name to compare, only the chain
    is verified.
    """

    sni: str = ""
    verify: bool = True
    verify_host: bool = False
    ca: str = ""
    certificate: str = ""
    subject_alt_names: tuple[str, ...] = ()
    cipher_suites: tuple[str, ...] = ()
    ecdh_curves: tuple[str, ...] = ()


# ORIGINAL_DST is a load balancer of PASSTHROUGH: a gateway's connections have no original destination, so every
# request gets 503 UH.
Discovery: TypeAlias = Literal["EDS", "STRICT_DNS", "LOGICAL_DNS", "ORIGINAL_DST"]
UpstreamProtocol: TypeAlias = Literal["HTTP1", "HTTP2", "DOWNSTREAM"]


@dataclass(frozen=True, slots=True)
class Cluster:
    """`name` is ``outbound|port|subset|host``. Endpoints of EDS clusters are in `Gateway.endpoints`."""

    name: str
    discovery: Discovery = "EDS"
    protocol: UpstreamProtocol = "HTTP1"
    load_balancing: LoadBalancing = Simple()
    pool: ConnectionPool = ConnectionPool()
    outlier_detection: OutlierDetection | None = None
    locality_weighted: bool = False  # the weights of localities count
    tls: UpstreamTls | None = None
    proxy_protocol: Literal["", "V1", "V2"] = ""
    preserve_header_case: bool = False
    dns_refresh: float = 60.0
    dns_endpoints: tuple[Endpoint, ...] = ()
    origin: Origin | None = field(default=None, compare=False)
    destination_rule: ObjectKey | None = None


# --- the gateway -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Gateway:
    """What one gateway workload serves.

    `filters` decide about requests before routes do, alike on every listener; None without policies.
    `routes` holds the route configuration of each `Http`, `clusters` the referenced clusters that exist: a route to any
    other cluster answers 503 NC, as in Istio. `credentials` are the SDS names that chains and clusters reference,
    each with the Secrets of `namespace` in which it is looked up; `status_port` serves the readiness probe.
    """

    workload: str  # namespace/name of the Pod
    namespace: str
    listeners: tuple[Listener, ...] = ()
    routes: Mapping[str, RouteConfiguration] = field(default_factory=dict)
    clusters: Mapping[str, Cluster] = field(default_factory=dict)
    endpoints: Mapping[str, tuple[Endpoint, ...]] = field(default_factory=dict)
    credentials: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    filters: Filters | None = None
    telemetry: Telemetry = NO_TELEMETRY
    patches: tuple[Patch, ...] = ()  # of EnvoyFilters
    http: HttpSettings = ISTIO_DEFAULTS
    status_port: int = 15021
