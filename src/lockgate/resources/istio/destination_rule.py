"""DestinationRule: how a gateway talks to a service once it is chosen (istio/api `destination_rule.proto`)."""

from typing import ClassVar, Literal

from pydantic import Field

from lockgate.resources.istio.versions import CATEGORIES, NETWORKING_VERSIONS
from lockgate.resources.istio.virtual_service import PortSelector
from lockgate.resources.meta import AGE
from lockgate.resources.model import Column, Flag, Integer, JsonObject, Kind, Model, Number, Resource, register


class HTTPCookieAttribute(Model):
    name: str = ""
    value: str = ""


class HTTPCookie(Model):
    """Without `ttl` the client sets the cookie; none is generated."""

    name: str
    path: str = ""
    ttl: str | None = None
    attributes: tuple[HTTPCookieAttribute, ...] = ()


class RingHash(Model):
    minimum_ring_size: Integer = 0


class MagLev(Model):
    table_size: Integer = 0


class ConsistentHash(Model):
    AT_MOST_ONE: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"),
        ("ringHash", "maglev"),
    )

    http_header_name: str | None = None
    http_cookie: HTTPCookie | None = None
    use_source_ip: Flag | None = Field(default=None, alias="useSourceIp")
    http_query_parameter_name: str | None = None
    ring_hash: RingHash | None = None
    maglev: MagLev | None = None
    minimum_ring_size: Integer = 0


class LocalityDistribute(Model):
    from_: str = ""
    to: dict[str, Integer] = Field(default_factory=dict)


class LocalityFailover(Model):
    from_: str = ""
    to: str = ""


class LocalityLoadBalancerSetting(Model):
    distribute: tuple[LocalityDistribute, ...] = ()
    failover: tuple[LocalityFailover, ...] = ()
    failover_priority: tuple[str, ...] = ()
    enabled: Flag | None = None


class Warmup(Model):
    duration: str
    minimum_percent: Number | None = None
    aggression: Number | None = None


class LoadBalancerSettings(Model):
    AT_MOST_ONE: ClassVar[tuple[tuple[str, ...], ...]] = (("simple", "consistentHash"),)

    simple: Literal["UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST"] | None = None
    consistent_hash: ConsistentHash | None = None
    locality_lb_setting: LocalityLoadBalancerSetting | None = None
    warmup_duration_secs: str | None = None
    warmup: Warmup | None = None


class TCPKeepalive(Model):
    probes: Integer = 0
    time: str | None = None
    interval: str | None = None


class TCPSettings(Model):
    max_connections: Integer = 0
    connect_timeout: str | None = None
    tcp_keepalive: TCPKeepalive | None = None
    max_connection_duration: str | None = None
    idle_timeout: str | None = None


class HTTP2KeepAlive(Model):
    interval: str | None = None
    timeout: str | None = None


class HTTPSettings(Model):
    http1_max_pending_requests: Integer = 0
    http2_max_requests: Integer = 0
    max_requests_per_connection: Integer = 0
    max_retries: Integer = 0
    idle_timeout: str | None = None
    h2_upgrade_policy: Literal["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"] | None = None
    use_client_protocol: Flag = False
    max_concurrent_streams: Integer = 0
    http2_keep_alive: HTTP2KeepAlive | None = None


class ConnectionPoolSettings(Model):
    tcp: TCPSettings | None = None
    http: HTTPSettings | None = None


class OutlierDetection(Model):
    consecutive_errors: Integer = 0
    split_external_local_origin_errors: Flag = False
    consecutive_local_origin_failures: Integer | None = None
    consecutive_gateway_errors: Integer | None = None
    consecutive_5xx_errors: Integer | None = None
    interval: str | None = None
    base_ejection_time: str | None = None
    max_ejection_percent: Integer = 0
    min_health_percent: Integer = 0


class ClientTLSSettings(Model):
    mode: Literal["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"] | None = None
    client_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    ca_crl: str = Field(default="", alias="caCrl")
    credential_name: str = ""
    subject_alt_names: tuple[str, ...] = ()
    sni: str = ""
    insecure_skip_verify: Flag | None = None


class PortTrafficPolicy(Model):
    port: PortSelector | None = None
    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None


class TunnelSettings(Model):
    protocol: str = ""
    target_host: str
    target_port: Integer


class ProxyProtocol(Model):
    version: Literal["V1", "V2"] | None = None


class RetryBudget(Model):
    percent: Number | None = None
    min_retry_concurrency: Integer = 0


class TrafficPolicy(Model):
    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None
    port_level_settings: tuple[PortTrafficPolicy, ...] = ()
    tunnel: TunnelSettings | None = None
    proxy_protocol: ProxyProtocol | None = None
    retry_budget: RetryBudget | None = None


class Subset(Model):
    name: str
    labels: dict[str, str] = Field(default_factory=dict)
    traffic_policy: TrafficPolicy | None = None


class WorkloadSelector(Model):
    match_labels: dict[str, str] = Field(default_factory=dict)


class DestinationRuleSpec(Model):
    host: str
    traffic_policy: TrafficPolicy | None = None
    subsets: tuple[Subset, ...] = ()
    export_to: tuple[str, ...] = ()
    workload_selector: WorkloadSelector | None = None


@register
class DestinationRule(Resource):
    KIND: ClassVar[Kind] = Kind(
        "networking.istio.io",
        NETWORKING_VERSIONS,
        "DestinationRule",
        "destinationrules",
        short_names=("dr",),
        categories=CATEGORIES,
        columns=(Column("Host", ".spec.host"), AGE),
    )

    spec: DestinationRuleSpec
    status: JsonObject = Field(default_factory=dict)
