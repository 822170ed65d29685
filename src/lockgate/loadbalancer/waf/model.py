"""A web ACL as a plain value, in WAFv2's nouns, together with the sets and groups that it refers to.

What cannot be evaluated here is `NotEvaluated` from the start, with the reason: a statement of that kind is neither met
nor not met.

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


# --- parts of a request that statements look at ------------------------------------------------------------------


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
    """Which headers or cookies: all, only those named, or all but those named."""

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
    """`paths` are JSON pointers, None for the whole document."""

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
    """A field and what is done to its text before it is looked at; `before_parsing` is done to a whole query string."""

    field: Field
    transformations: tuple[str, ...] = ()
    before_parsing: tuple[str, ...] = ()


# --- statements --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NotEvaluated:
    """A statement whose outcome is not known here, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class ForwardedIp:
    """Which address of a header is meant; only IP sets look at another than the first."""

    header: str
    fallback: Fallback
    position: Literal["FIRST", "LAST", "ANY"] = "FIRST"


@dataclass(frozen=True, slots=True)
class Networks:
    """Any number of networks, of which one that holds an address is found by the lengths of their prefixes."""

    by_length: tuple[tuple[int, int, frozenset[int]], ...] = ()  # IP version, host bits, what is before those

    @staticmethod
    def of(texts: Iterable[str]) -> Networks:
        """Raises `ValueError` for what is no network."""
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
    """Met by any of the patterns: the one of a RegexMatchStatement, or those of a pattern set."""

    component: Component
    patterns: tuple[Pattern[bytes], ...]


@dataclass(frozen=True, slots=True)
class SizeConstraint:
    component: Component
    operator: Literal["EQ", "NE", "LE", "LT", "GE", "GT"]
    size: int


@dataclass(frozen=True, slots=True)
class LabelMatch:
    """`key` is fully qualified where it starts with ``awswaf:``, else in the rule's own context."""

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
    """A key to count by: the client's address."""


@dataclass(frozen=True, slots=True)
class ForwardedAddress:
    """A key to count by: the first address of the statement's header."""


@dataclass(frozen=True, slots=True)
class CookieValue:
    """A key to count by: the value of one cookie."""

    name: str
    transformations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LabelNamespace:
    """A key to count by: the labels of one namespace that the request has."""

    namespace: str


AggregateKey: TypeAlias = SourceAddress | ForwardedAddress | CookieValue | LabelNamespace | Component


@dataclass(frozen=True, slots=True)
class RateBased:
    """Met by requests over `limit` in `window` seconds, counted by `keys`; without keys all are counted together."""

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
    """What a blocked client gets; without content the load balancer's own page where the status is 403."""

    status: int = 403
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = ""
    content: str = ""
    is_custom: bool = False


@dataclass(frozen=True, slots=True)
class Allow:
    """`insert` holds names with the prefix that WAF puts before them."""

    insert: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    response: Response = Response()


@dataclass(frozen=True, slots=True)
class Count:
    insert: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Unserved:
    """An action that needs a token which nobody issues here: Captcha, Challenge."""

    name: str


Action: TypeAlias = Allow | Block | Count | Unserved


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    priority: int
    statement: Statement
    action: Action
    labels: tuple[str, ...] = ()  # as in the rule: without the context before them


@dataclass(frozen=True, slots=True)
class GroupRule:
    """A rule that runs a rule group; `namespace` is the context of labels in it.

    With `counts_only` what the group decides is only counted. The actions of `rules` have been overridden already.
    """

    name: str
    priority: int
    namespace: str
    rules: tuple[Rule, ...]
    counts_only: bool = False


@dataclass(frozen=True, slots=True)
class WebAcl:
    """Rules ascend by priority."""

    name: str
    arn: str
    default_action: Allow | Block
    rules: tuple[Rule | GroupRule, ...] = ()
    namespace: str = ""


def each_statement(acl: WebAcl) -> Iterator[tuple[str, Statement]]:
    """Every statement in the web ACL, nested ones too, with the name of its rule (``GROUP/RULE`` in a group)."""
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
    """The kinds of fingerprints of the client's TLS that the web ACL looks at."""
    return frozenset(each.field.kind for each in each_component(acl) if isinstance(each.field, Fingerprint))
