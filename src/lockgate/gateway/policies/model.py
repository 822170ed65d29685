"""The filters that decide about a request before it is routed, as plain values.

They have the shape of Envoy's filters: a rule of role-based access control holds if one of its permissions (what is
done) and one of its principals (who does it) hold. Both are built from the same small algebra of predicates.

Source: Envoy's v3 API, `config/rbac/v3/rbac.proto`, `extensions/filters/http/jwt_authn/v3/config.proto`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from lockgate.gateway.model import TextMatch, ValueMatch
from lockgate.resources.faults import Origin

# --- predicates --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class All:
    """Without parts it always holds."""

    of: tuple[Predicate, ...] = ()


@dataclass(frozen=True, slots=True)
class OneOf:
    of: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Not:
    of: Predicate


@dataclass(frozen=True, slots=True)
class DirectRemoteIp:
    """The address of the peer of the connection, such as the load balancer."""

    block: str


@dataclass(frozen=True, slots=True)
class RemoteIp:
    """The address of the client, from X-Forwarded-For if proxies are trusted."""

    block: str


@dataclass(frozen=True, slots=True)
class DestinationIp:
    block: str


@dataclass(frozen=True, slots=True)
class DestinationPort:
    """The port on which the workload listens, 8443 where a Gateway has 443."""

    port: int


@dataclass(frozen=True, slots=True)
class ServerName:
    match: TextMatch


@dataclass(frozen=True, slots=True)
class RequestHeader:
    """`name` is lower-case, or a pseudo header such as ``:method``."""

    name: str
    match: ValueMatch


@dataclass(frozen=True, slots=True)
class UrlPath:
    """The path without its query."""

    match: TextMatch


@dataclass(frozen=True, slots=True)
class UriTemplate:
    """In Envoy's syntax: ``*`` stands for one segment, ``**`` for any number of characters."""

    template: str


@dataclass(frozen=True, slots=True)
class Authenticated:
    """A name of the client's certificate."""

    match: TextMatch


@dataclass(frozen=True, slots=True)
class Metadata:
    """A value that an earlier filter stored: a text or, with `lists`, a text in a list; `only_lists` excludes the text
    itself."""

    filter: str
    path: tuple[str, ...]
    match: TextMatch
    lists: bool = False
    only_lists: bool = False


Leaf: TypeAlias = (
    DirectRemoteIp
    | RemoteIp
    | DestinationIp
    | DestinationPort
    | ServerName
    | RequestHeader
    | UrlPath
    | UriTemplate
    | Authenticated
    | Metadata
)
Predicate: TypeAlias = All | OneOf | Not | Leaf

NEVER = Not(All())


# --- role-based access control -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of an AuthorizationPolicy. `name` is istiod's: ``ns[a]-policy[b]-rule[0]``."""

    name: str
    permissions: tuple[Predicate, ...]
    principals: tuple[Predicate, ...]
    policy: str = field(default="", compare=False)  # namespace/name
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class CheckedBody:
    """How much of a request's body a server of external authorization gets."""

    most: int
    partial: bool = False
    as_bytes: bool = False


@dataclass(frozen=True, slots=True)
class AuthServer:
    """A server of external authorization: over gRPC, or over HTTP with the request's path behind `path_prefix`."""

    provider: str
    host: str
    port: int
    grpc: bool = False
    timeout: float = 600.0
    fail_open: bool = False
    status_on_error: int | None = None
    clear_route_cache: bool = False
    body: CheckedBody | None = None
    path_prefix: str = ""
    sent: tuple[TextMatch, ...] = ()  # headers of the request
    added: tuple[tuple[str, str], ...] = ()
    to_backend: tuple[TextMatch, ...] = ()  # headers of the server's answer
    to_client_on_deny: tuple[TextMatch, ...] = ()
    to_client_on_allow: tuple[TextMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class Rbac:
    """DENY refuses what a rule matches, ALLOW what no rule matches, AUDIT nothing. CUSTOM asks `server` about it.

    `shadow` are the rules of dry runs, which only count. Without enforced policies `rules` is None.
    """

    action: Literal["ALLOW", "DENY", "AUDIT", "CUSTOM"]
    rules: tuple[Rule, ...] | None
    shadow: tuple[Rule, ...] | None = None
    server: AuthServer | None = None


# --- JSON web tokens ---------------------------------------------------------------------------------------------

JWT_FILTER = "envoy.filters.http.jwt_authn"
JWT_PAYLOAD = "payload"


@dataclass(frozen=True, slots=True)
class TokenHeader:
    name: str
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class JwtProvider:
    """A JWT rule. `jwks` None means that the keys at `uri` have not been fetched: signatures count as valid then.

    Without an `issuer` it accepts any. Without locations the token is in Authorization, or in ``access_token``.
    """

    issuer: str
    jwks: str | None
    uri: str = ""
    audiences: tuple[str, ...] = ()
    headers: tuple[TokenHeader, ...] = ()
    params: tuple[str, ...] = ()
    cookies: tuple[str, ...] = ()
    payload_header: str = ""
    claim_headers: tuple[tuple[str, str], ...] = ()  # header, claim
    forward: bool = False
    space_delimited: tuple[str, ...] = ("permission", "scope")
    policy: str = field(default="", compare=False)
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Jwt:
    """A request without a token passes; one with a token that no provider accepts does not."""

    providers: tuple[JwtProvider, ...]


# --- WebAssembly -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wasm:
    """A WebAssembly module. What it does with a request is not known.

    `module` is its file: empty if it cannot be loaded, None if nothing has tried. On failure it refuses all (CLOSE, and
    RELOAD, which then tries again), or lets all pass (OPEN). `ports` are the listeners that have it; None is all.
    """

    name: str  # namespace.name of the WasmPlugin
    url: str
    module: str | None = None
    sha256: str = ""
    root: str = ""
    config: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    on_failure: Literal["CLOSE", "OPEN", "RELOAD"] = "CLOSE"
    ports: tuple[int, ...] | None = None
    origin: Origin | None = field(default=None, compare=False)

    def on(self, port: int) -> bool:
        """Whether the listener at this port, as Istio sees it, has the module in its chains."""
        open_without = self.module == "" and self.on_failure == "OPEN"
        return not open_without and (self.ports is None or port in self.ports)


HttpFilter: TypeAlias = Jwt | Rbac | Wasm
NetworkFilter: TypeAlias = Rbac | Wasm


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of a chain in order: of those that parse HTTP, and of those that carry bytes."""

    http: tuple[HttpFilter, ...] = ()
    network: tuple[NetworkFilter, ...] = ()

    @property
    def access_control(self) -> tuple[Rbac, ...]:
        """Those of chains that parse HTTP."""
        return tuple(each for each in self.http if isinstance(each, Rbac))

    @property
    def servers(self) -> tuple[tuple[AuthServer, Origin | None], ...]:
        """Those that are asked about requests, with a rule that does."""
        asked = (each for each in (*self.http, *self.network) if isinstance(each, Rbac) and each.server)
        return tuple((each.server, each.rules[0].origin if each.rules else None) for each in asked if each.server)

    @property
    def modules(self) -> tuple[Wasm, ...]:
        return tuple(each for each in (*self.http, *self.network) if isinstance(each, Wasm))

    def without(self, module: Wasm) -> Filters:
        """The filters if a module cannot be loaded."""
        unloaded = replace(module, module="")
        return Filters(
            tuple(unloaded if each == module else each for each in self.http),
            tuple(unloaded if each == module else each for each in self.network),
        )
