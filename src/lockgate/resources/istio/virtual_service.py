"""VirtualService: the routes of a gateway's requests (istio/api `virtual_service.proto`).

Durations are in protobuf's format (``1.5s``) or Go's (``1m30s``); they stay strings here.
"""

from typing import ClassVar, Literal

from pydantic import Field

from lockgate.resources.istio.versions import CATEGORIES, NETWORKING_VERSIONS
from lockgate.resources.meta import AGE
from lockgate.resources.model import Column, Flag, Integer, JsonObject, Kind, Model, Number, Resource, register


class StringMatch(Model):
    """At most one of the three. An empty match of a header or query parameter only requires that it exists."""

    AT_MOST_ONE: ClassVar[tuple[tuple[str, ...], ...]] = (("exact", "prefix", "regex"),)

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None


class PortSelector(Model):
    number: Integer


class Destination(Model):
    host: str
    subset: str = ""
    port: PortSelector | None = None


class HeaderOperations(Model):
    set: dict[str, str] = Field(default_factory=dict)
    add: dict[str, str] = Field(default_factory=dict)
    remove: tuple[str, ...] = ()


class Headers(Model):
    request: HeaderOperations | None = None
    response: HeaderOperations | None = None


class HTTPMatchRequest(Model):
    name: str = ""
    uri: StringMatch | None = None
    scheme: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: dict[str, StringMatch] = Field(default_factory=dict)
    port: Integer = 0
    source_labels: dict[str, str] = Field(default_factory=dict)
    gateways: tuple[str, ...] = ()
    query_params: dict[str, StringMatch] = Field(default_factory=dict)
    ignore_uri_case: Flag = False
    without_headers: dict[str, StringMatch] = Field(default_factory=dict)
    source_namespace: str = ""
    stat_prefix: str = ""


class HTTPRouteDestination(Model):
    destination: Destination
    weight: Integer = 0
    headers: Headers | None = None


class HTTPRedirect(Model):
    AT_MOST_ONE: ClassVar[tuple[tuple[str, ...], ...]] = (("port", "derivePort"),)

    uri: str = ""
    prefix_rewrite: str = ""
    authority: str = ""
    port: Integer | None = None
    derive_port: Literal["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"] | None = None
    scheme: str = ""
    redirect_code: Integer = 0


class HTTPBody(Model):
    """`bytes_` is base64."""

    AT_MOST_ONE: ClassVar[tuple[tuple[str, ...], ...]] = (("string", "bytes"),)

    string: str | None = None
    bytes_: str | None = None


class HTTPDirectResponse(Model):
    status: Integer
    body: HTTPBody | None = None


class Delegate(Model):
    name: str = ""
    namespace: str = ""


class RegexRewrite(Model):
    match: str = ""
    rewrite: str = ""


class HTTPRewrite(Model):
    uri: str = ""
    authority: str = ""
    uri_regex_rewrite: RegexRewrite | None = None


class HTTPRetry(Model):
    attempts: Integer = 0
    per_try_timeout: str | None = None
    retry_on: str = ""
    retry_remote_localities: Flag | None = None
    retry_ignore_previous_hosts: Flag | None = None
    backoff: str | None = None


class Percent(Model):
    value: Number = 0.0


class FaultDelay(Model):
    AT_MOST_ONE: ClassVar[tuple[tuple[str, ...], ...]] = (("fixedDelay", "exponentialDelay"),)

    percent: Integer = 0
    fixed_delay: str | None = None
    exponential_delay: str | None = None
    percentage: Percent | None = None


class FaultAbort(Model):
    AT_MOST_ONE: ClassVar[tuple[tuple[str, ...], ...]] = (("httpStatus", "grpcStatus", "http2Error"),)

    http_status: Integer | None = None
    grpc_status: str | None = None
    http2_error: str | None = None
    percentage: Percent | None = None


class HTTPFaultInjection(Model):
    delay: FaultDelay | None = None
    abort: FaultAbort | None = None


class HTTPMirrorPolicy(Model):
    destination: Destination
    percentage: Percent | None = None


class CorsPolicy(Model):
    allow_origin: tuple[str, ...] = ()
    allow_origins: tuple[StringMatch, ...] = ()
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: str | None = None
    allow_credentials: Flag | None = None
    unmatched_preflights: Literal["UNSPECIFIED", "FORWARD", "IGNORE"] | None = None


class HTTPRoute(Model):
    name: str = ""
    match: tuple[HTTPMatchRequest, ...] = ()
    route: tuple[HTTPRouteDestination, ...] = ()
    redirect: HTTPRedirect | None = None
    direct_response: HTTPDirectResponse | None = None
    delegate: Delegate | None = None
    rewrite: HTTPRewrite | None = None
    timeout: str | None = None
    retries: HTTPRetry | None = None
    fault: HTTPFaultInjection | None = None
    mirror: Destination | None = None
    mirrors: tuple[HTTPMirrorPolicy, ...] = ()
    mirror_percent: Integer | None = None
    mirror_percentage: Percent | None = None
    cors_policy: CorsPolicy | None = None
    headers: Headers | None = None


class L4MatchAttributes(Model):
    destination_subnets: tuple[str, ...] = ()
    port: Integer = 0
    source_subnet: str = ""
    source_labels: dict[str, str] = Field(default_factory=dict)
    gateways: tuple[str, ...] = ()
    source_namespace: str = ""


class TLSMatchAttributes(Model):
    sni_hosts: tuple[str, ...]
    destination_subnets: tuple[str, ...] = ()
    port: Integer = 0
    source_labels: dict[str, str] = Field(default_factory=dict)
    gateways: tuple[str, ...] = ()
    source_namespace: str = ""


class RouteDestination(Model):
    destination: Destination
    weight: Integer = 0


class TLSRoute(Model):
    match: tuple[TLSMatchAttributes, ...]
    route: tuple[RouteDestination, ...] = ()


class TCPRoute(Model):
    match: tuple[L4MatchAttributes, ...] = ()
    route: tuple[RouteDestination, ...] = ()


class VirtualServiceSpec(Model):
    """An empty `gateways` means only the mesh; an empty `export_to` means everywhere."""

    hosts: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    http: tuple[HTTPRoute, ...] = ()
    tls: tuple[TLSRoute, ...] = ()
    tcp: tuple[TCPRoute, ...] = ()
    export_to: tuple[str, ...] = ()


@register
class VirtualService(Resource):
    KIND: ClassVar[Kind] = Kind(
        "networking.istio.io",
        NETWORKING_VERSIONS,
        "VirtualService",
        "virtualservices",
        short_names=("vs",),
        categories=CATEGORIES,
        columns=(Column("Gateways", ".spec.gateways"), Column("Hosts", ".spec.hosts"), AGE),
    )

    spec: VirtualServiceSpec = Field(default_factory=VirtualServiceSpec)
    status: JsonObject = Field(default_factory=dict)
