"""A web ACL as a plain value, in WAFv2's nouns, with the sets and rule groups that it references.

A statement that Lockgate cannot evaluate is read as `NotEvaluated`, with the reason. It neither matches nor fails to
match.

Source: WAFv2 API Reference, "Data types"; AWS WAF Developer Guide for what they do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Literal, TypeAlias

from regex import Pattern

Address: TypeAlias = IPv4Address | IPv6Address
Fallback: TypeAlias = Literal["MATCH", "NO_MATCH"]
Oversize: TypeAlias = Literal["CONTINUE", "MATCH", "NO_MATCH"]
MatchScope: TypeAlias = Literal["ALL", "KEY", "VALUE"]


# --- inspected parts of a request --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Method:
    pass


@dataclass(frozen=True, slots=True)
class UriPath:
    pass


@dataclass(frozen=True, slots=True)
class QueryString:
    pass


@dataclass(frozen=True, slots=True)
class UriFragment:
    fallback: Fallback = "NO_MATCH"


@dataclass(frozen=True, slots=True)
class SingleHeader:
    name: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Which headers or cookies: all, only the named ones, or all except the named ones."""

    kind: Literal["all", "included", "excluded"] = "all"
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Headers:
    selection: Selection
    scope: MatchScope
    oversize: Oversize


@dataclass(frozen=True, slots=True)
class Cookies:
    selection: Selection
    scope: MatchScope
    oversize: Oversize


@dataclass(frozen=True, slots=True)
class HeaderOrder:
    oversize: Oversize


@dataclass(frozen=True, slots=True)
class SingleQueryArgument:
    name: str


@dataclass(frozen=True, slots=True)
class AllQueryArguments:
    pass


@dataclass(frozen=True, slots=True)
class Body:
    oversize: Oversize = "CONTINUE"


@dataclass(frozen=True, slots=True)
class JsonBody:
    """`paths` are JSON pointers; None means the whole document."""

    scope: MatchScope
    paths: tuple[str, ...] | None = None
    fallback: Literal["MATCH", "NO_MATCH", "EVALUATE_AS_STRING"] | None = None
    oversize: Oversize = "CONTINUE"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    kind: Literal["ja3", "ja4"]
    fallback: Fallback


Field: TypeAlias = (
    Method
    | UriPath
    | QueryString
    | UriFragment
    | SingleHeader
    | Headers
    | Cookies
    | HeaderOrder
    | SingleQueryArgument
    | AllQueryArguments
    | Body
    | JsonBody
    | Fingerprint
)


@dataclass(frozen=True, slots=True)
class Component:
    """A field and the transformations applied to it; those in `before_parsing` apply to the whole query string."""

    field: Field
    transformations: tuple[str, ...] = ()
    before_parsing: tuple[str, ...] = ()


# --- statements --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NotEvaluated:
    """A statement that Lockgate cannot evaluate, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class ForwardedIp:
    """Which address of a header is used. Only IP sets inspect others than the first."""

    header: str
    fallback: Fallback
    position: Literal["FIRST", "LAST", "ANY"] = "FIRST"


@dataclass(frozen=True, slots=True)
class Networks:
    """Any number of networks. Lookup is by prefix length."""

    by_length: tuple[tuple[int, int, frozenset[int]], ...] = ()  # IP version, host bits, their network bits

    @staticmethod
    def of(texts: Iterable[str]) -> Networks:
        """Raises `ValueError` for text that is not a network."""
        found: dict[tuple[int, int], set[int]] = {}
        for text in texts:
            network = ip_network(text, strict=False)
            bits = network.max_prefixlen - network.prefixlen
            found.setdefault((network.version, bits), set()).add(int(network.network_address) >> bits)
        return Networks(tuple((*key, frozenset(found[key])) for key in sorted(found)))

    def __contains__(self, address: Address) -> bool:
        number = int(address)
        return any(version == address.version and number >> bits in starts for version, bits, starts in self.by_length)


@dataclass(frozen=True, slots=True)
class IpSet:
    arn: str
    networks: Networks
    forwarded: ForwardedIp | None = None


@dataclass(frozen=True, slots=True)
class Geo:
    countries: tuple[str, ...]
    forwarded: ForwardedIp | None = None


@dataclass(frozen=True, slots=True)
class ByteMatch:
    component: Component
    search: bytes
    position: Literal["EXACTLY", "STARTS_WITH", "ENDS_WITH", "CONTAINS", "CONTAINS_WORD"]


@dataclass(frozen=True, slots=True)
class RegexMatch:
    """Matches if any pattern does: the pattern of a RegexMatchStatement, or those of a pattern set."""

    component: Component
    patterns: tuple[Pattern[bytes], ...]


@dataclass(frozen=True, slots=True)
class SizeConstraint:
    component: Component
    operator: Literal["EQ", "NE", "LE", "LT", "GE", "GT"]
    size: int


@dataclass(frozen=True, slots=True)
class LabelMatch:
    """`key` is fully qualified if it starts with ``awswaf:``, else relative to the rule's context."""

    scope: Literal["LABEL", "NAMESPACE"]
    key: str


@dataclass(frozen=True, slots=True)
class And:
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Or:
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Not:
    statement: Statement


@dataclass(frozen=True, slots=True)
class SourceAddress:
    """Aggregates by the client's address."""


@dataclass(frozen=True, slots=True)
class ForwardedAddress:
    """Aggregates by the first address of the statement's header."""


@dataclass(frozen=True, slots=True)
class CookieValue:
    """Aggregates by the value of one cookie."""

    name: str
    transformations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LabelNamespace:
    """Aggregates by the request's labels in one namespace."""

    namespace: str


AggregateKey: TypeAlias = SourceAddress | ForwardedAddress | CookieValue | LabelNamespace | Component


@dataclass(frozen=True, slots=True)
class RateBased:
    """Matches requests above `limit` in `window` seconds, aggregated by `keys`; without keys, by nothing."""

    limit: int
    window: int
    keys: tuple[AggregateKey, ...]
    scope_down: Statement | None = None
    forwarded: ForwardedIp | None = None


Statement: TypeAlias = (
    IpSet | Geo | ByteMatch | RegexMatch | SizeConstraint | LabelMatch | And | Or | Not | RateBased | NotEvaluated
)


# --- actions and rules -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Response:
    """The response to a blocked client. Without content, status 403 has the load balancer's page."""

    status: int = 403
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = ""
    content: str = ""
    is_custom: bool = False


@dataclass(frozen=True, slots=True)
class Allow:
    """`insert` holds header names with WAF's prefix."""

    insert: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    response: Response = Response()


@dataclass(frozen=True, slots=True)
class Count:
    insert: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Unserved:
    """An action that needs a WAF token, which Lockgate does not issue: Captcha, Challenge."""

    name: str


Action: TypeAlias = Allow | Block | Count | Unserved


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    priority: int
    statement: Statement
    action: Action
    labels: tuple[str, ...] = ()  # as in the rule, without their context


@dataclass(frozen=True, slots=True)
class GroupRule:
    """A rule that runs a rule group; `namespace` is the context of its labels.

    With `counts_only`, the group's verdict is only counted. Action overrides are already applied to `rules`.
    """

    name: str
    priority: int
    namespace: str
    rules: tuple[Rule, ...]
    counts_only: bool = False


@dataclass(frozen=True, slots=True)
class WebAcl:
    """Rules are in ascending priority."""

    name: str
    arn: str
    default_action: Allow | Block
    rules: tuple[Rule | GroupRule, ...] = ()
    namespace: str = ""


def each_statement(acl: WebAcl) -> Iterator[tuple[str, Statement]]:
    """Every statement of the web ACL, with nested ones, and the name of its rule (``GROUP/RULE`` in a rule group)."""
    for name, rule in each_rule(acl):
        pending: list[Statement] = [rule.statement]
        while pending:
            statement = pending.pop()
            yield name, statement
            match statement:
                case And(statements) | Or(statements):
                    pending += statements
                case Not(inner):
                    pending.append(inner)
                case RateBased(scope_down=inner) if inner is not None:
                    pending.append(inner)
                case _:
                    pass


def each_rule(acl: WebAcl) -> Iterator[tuple[str, Rule]]:
    for rule in acl.rules:
        match rule:
            case Rule():
                yield rule.name, rule
            case GroupRule():
                yield from ((f"{rule.name}/{each.name}", each) for each in rule.rules)


def each_component(acl: WebAcl) -> Iterator[Component]:
    for _, statement in each_statement(acl):
        match statement:
            case ByteMatch(component) | RegexMatch(component) | SizeConstraint(component):
                yield component
            case RateBased(keys=keys):
                yield from (key for key in keys if isinstance(key, Component))
            case _:
                pass


def looks_at_body(acl: WebAcl) -> bool:
    return any(isinstance(component.field, Body | JsonBody) for component in each_component(acl))


def fingerprints(acl: WebAcl) -> frozenset[str]:
    """The kinds of TLS fingerprints that the web ACL inspects."""
    return frozenset(each.field.kind for each in each_component(acl) if isinstance(each.field, Fingerprint))
