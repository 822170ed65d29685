"""Predicts what a load balancer does with a request: the decision that Envoy is programmed to make, without Envoy.

`decide` evaluates listener, certificate, web ACL, rules in priority order, and the final action. For each earlier rule
it gives the condition that did not match. It does no I/O: it does not choose a target of the group and does not predict
the target's response.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, assert_never

from lockgate.loadbalancer.conditions import Mismatch, mismatches
from lockgate.loadbalancer.desync import suspicion
from lockgate.loadbalancer.forwarding import MOST_FORWARDED, TRACE_ID, desync_mode, received, towards_target
from lockgate.loadbalancer.model import (
    AuthenticateOidc,
    FinalAction,
    FixedResponse,
    Forward,
    Listener,
    LoadBalancer,
    PreAction,
    Redirect,
    Rule,
)
from lockgate.loadbalancer.network import NetworkListener
from lockgate.loadbalancer.pages import fixed_content_type, page
from lockgate.loadbalancer.request import Request
from lockgate.loadbalancer.rewrites import RewriteFailed, rewritten
from lockgate.loadbalancer.sessions import CALLBACK

if TYPE_CHECKING:
    from lockgate.loadbalancer.waf.evaluate import Verdict
    from lockgate.loadbalancer.waf.model import Response
    from lockgate.loadbalancer.waf.statements import Countries

__all__ = [
    "Answered",
    "Blocked",
    "Decision",
    "Forwarded",
    "LoginReturns",
    "Mismatch",
    "NoListener",
    "Outcome",
    "Redirected",
    "Refused",
    "Request",
    "Share",
    "certificate_for",
    "decide",
]


# --- outcomes ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NoListener:
    """No listener has this port: the connection is refused."""

    port: int


@dataclass(frozen=True, slots=True)
class Refused:
    """An error page of the load balancer, and why."""

    status: int
    why: str

    @property
    def body(self) -> str:
        return page(self.status)


@dataclass(frozen=True, slots=True)
class Blocked:
    """WAF's response, from a rule of the web ACL (``GROUP/RULE`` for a rule group's) or from its default action."""

    response: Response
    rule: str | None

    @property
    def body(self) -> str:
        return self.response.content if self.response.is_custom else page(self.response.status)


@dataclass(frozen=True, slots=True)
class Redirected:
    status: int
    location: str

    @property
    def body(self) -> str:
        return page(self.status)


@dataclass(frozen=True, slots=True)
class Answered:
    """A fixed response."""

    status: int
    content_type: str
    body: str


@dataclass(frozen=True, slots=True)
class LoginReturns:
    """The callback from an identity provider. The load balancer handles the request itself, before any rule, and
    redirects the client to the URL that it first requested.
    """


@dataclass(frozen=True, slots=True)
class Share:
    """A target group that may get the request, with its probability: `weight` divided by the sum of all shares."""

    target_group: str
    weight: int


@dataclass(frozen=True, slots=True)
class Forwarded:
    """`request` is the request as the target receives it, with the trace ID that was passed to `decide`."""

    shares: tuple[Share, ...]
    request: Request


Outcome: TypeAlias = NoListener | Refused | Blocked | Redirected | Answered | LoginReturns | Forwarded


@dataclass(frozen=True, slots=True)
class Decision:
    """`rule` is None for the default rule; `earlier` has the mismatch of each rule before it.

    `authentication` must succeed before `outcome` applies. `waf` is the web ACL's verdict, if there is a web ACL: if it
    has blind spots, `outcome` applies only if none of those rules matches.
    """

    outcome: Outcome
    listener: Listener | None = None
    certificate: str | None = None
    rule: Rule | None = None
    action: FinalAction | None = None
    earlier: tuple[tuple[Rule, Mismatch], ...] = ()
    authentication: tuple[PreAction, ...] = ()
    waf: Verdict | None = None

    @property
    def priority(self) -> int | Literal["default"] | None:
        """As listings show it; None if no rule was evaluated."""
        if self.action is None:
            return None
        return self.rule.priority if self.rule else "default"


def decide(
    balancer: LoadBalancer,
    request: Request,
    *,
    names: Mapping[str, tuple[str, ...]] | None = None,
    trace_id: str = TRACE_ID,
    body: bytes = b"",
    country: Countries | None = None,
) -> Decision:
    """`names` maps certificate ARNs to DNS names, for selection by SNI; `trace_id` is a new trace ID.

    `body` is the request's; `country` maps an address to its country. Rate-based rules see no earlier requests.
    """
    listener = next((each for each in balancer.listeners if each.port == request.port), None)
    if listener is None:
        return Decision(NoListener(request.port))
    certificate = certificate_for(listener, request.server_name, names or {})
    if refusal := _malformed(request):
        return Decision(refusal, listener, certificate)
    waf = _verdict(balancer, request, body, country)
    if waf is not None and waf.blocked is not None:
        return Decision(Blocked(waf.blocked, waf.rule), listener, certificate, waf=waf)
    if refusal := _too_much(request, desync_mode(balancer)):
        return Decision(refusal, listener, certificate, waf=waf)
    if request.path == CALLBACK and _logs_in(listener):
        return Decision(LoginReturns(), listener, certificate, waf=waf)
    rule, earlier = _rule(listener, request)
    actions = rule.actions if rule else listener.default_actions
    action = actions[-1]
    assert isinstance(action, Forward | Redirect | FixedResponse), "the API allows no other final action"
    return Decision(
        outcome=_outcome(balancer, listener, rule, action, _with_inserted(request, waf), trace_id),
        listener=listener,
        certificate=certificate,
        rule=rule,
        action=action,
        earlier=earlier,
        authentication=tuple(each for each in actions[:-1] if not isinstance(each, Forward | Redirect | FixedResponse)),
        waf=waf,
    )


LONGEST_TARGET = 16384
LONGEST_LINE = 16383  # bytes of one header line
MOST_BYTES = 65536  # bytes of all headers


def _malformed(request: Request) -> Refused | None:
    """Requests that are refused before WAF and rules are evaluated."""
    if request.method == "TRACE":
        return Refused(405, "the method TRACE is not allowed")
    if request.protocol == "HTTP/1.1" and not request.host:
        return Refused(400, "HTTP/1.1 without a Host header")
    if sum(len(name) + len(value) for name, value in request.headers) > MOST_BYTES:
        return Refused(400, f"the request's headers are longer than {MOST_BYTES} bytes")
    return None


def _verdict(balancer: LoadBalancer, request: Request, body: bytes, country: Countries | None) -> Verdict | None:
    if balancer.web_acl is None:
        return None
    from lockgate.loadbalancer.waf.evaluate import evaluate
    from lockgate.loadbalancer.waf.fields import Inspected

    grpc = request.is_http2 and (request.first("content-type") or "").startswith("application/grpc")
    return evaluate(balancer.web_acl, Inspected(request, None if grpc else body), country=country)


def _with_inserted(request: Request, waf: Verdict | None) -> Request:
    if waf is None or not waf.insert:
        return request
    names = {name for name, _ in waf.insert}
    kept = (pair for pair in request.headers if pair[0].lower() not in names)
    return replace(request, headers=(*kept, *waf.insert))


def _too_much(request: Request, mode: str) -> Refused | None:
    """Requests that are refused after WAF and before any rule. `mode` is the desync mitigation mode."""
    forwarded = request.all("x-forwarded-for")
    if len(request.target) > LONGEST_TARGET:
        return Refused(414, f"the request's target is longer than {LONGEST_TARGET} bytes")
    if any(len(name) + len(": ") + len(value) > LONGEST_LINE for name, value in request.headers):
        return Refused(400, f"a header line is longer than {LONGEST_LINE} bytes")
    if sum(1 + value.count(",") for value in forwarded) > MOST_FORWARDED:
        return Refused(463, f"X-Forwarded-For has more than {MOST_FORWARDED} addresses")
    if mode == "strictest" and (found := suspicion(request, mode)):
        return Refused(400, f"{found.kind}: {found.reason}, which the strictest desync mitigation mode refuses")
    return None


def _logs_in(listener: Listener) -> bool:
    every = (listener.default_actions, *(rule.actions for rule in listener.rules))
    return any(isinstance(action, AuthenticateOidc) for actions in every for action in actions)


def _rule(listener: Listener, request: Request) -> tuple[Rule | None, tuple[tuple[Rule, Mismatch], ...]]:
    earlier: list[tuple[Rule, Mismatch]] = []
    for rule in listener.rules:
        mismatch = next(iter(mismatches(rule, request)), None)
        if mismatch is None:
            return rule, tuple(earlier)
        earlier.append((rule, mismatch))
    return None, tuple(earlier)


def _outcome(
    balancer: LoadBalancer,
    listener: Listener,
    rule: Rule | None,
    action: FinalAction,
    request: Request,
    trace_id: str,
) -> Outcome:
    match action:
        case Forward():
            return _forwarded(balancer, listener, rule, action, request, trace_id)
        case Redirect():
            return Redirected(int(action.status_code.removeprefix("HTTP_")), location(action, listener, request))
        case FixedResponse():
            body = action.message_body or ""
            return Answered(int(action.status_code), fixed_content_type(action.content_type, body), body)
    assert_never(action)


def _forwarded(
    balancer: LoadBalancer,
    listener: Listener,
    rule: Rule | None,
    action: Forward,
    request: Request,
    trace_id: str,
) -> Outcome:
    shares = tuple(
        Share(each.target_group, each.weight)
        for each in action.target_groups
        if each.weight > 0 and each.target_group in balancer.target_groups
    )
    if not shares:
        return Refused(503, "no target group of the rule has a weight above 0")
    versions = {balancer.target_groups[share.target_group].protocol_version for share in shares}
    for version in sorted(versions):
        if why := _incompatible(version, request):
            return Refused(464, why)
    try:
        changed = rewritten(rule.transforms if rule else (), received(balancer, listener, request))
    except RewriteFailed as failure:
        return Refused(500, str(failure))
    return Forwarded(shares, towards_target(balancer, listener, changed, trace_id))


def _incompatible(version: str, request: Request) -> str | None:
    """Source: "HTTP 464" in the troubleshooting page."""
    grpc = (request.first("content-type") or "").startswith("application/grpc")
    if version == "HTTP1":
        return "gRPC to a target group of protocol version HTTP1" if grpc and request.is_http2 else None
    if not request.is_http2:
        return f"{request.protocol} to a target group of protocol version {version}"
    if version == "GRPC" and request.method != "POST":
        return f"{request.method} to a target group of protocol version GRPC, which takes POST only"
    return None


def location(redirect: Redirect, listener: Listener, request: Request) -> str:
    """The Location of a redirect. It always has a port; it has no ``?`` if the query is empty."""
    path, _, query = request.target.partition("?")
    values = {
        "#{protocol}": listener.protocol.lower(),
        "#{host}": request.host_name,
        "#{port}": str(listener.port),
        "#{path}": path.removeprefix("/"),
        "#{query}": query,
    }
    filled = _fill(redirect.query, values)
    bare = redirect.query == "#{query}" and request.query == ""  # an unchanged query keeps its bare "?"
    return (
        f"{_fill(redirect.protocol, values).lower()}://{_fill(redirect.host, values)}"
        f":{_fill(redirect.port, values)}{_fill(redirect.path, values)}" + (f"?{filled}" if filled or bare else "")
    )


def _fill(template: str, values: Mapping[str, str]) -> str:
    """Replaces placeholders once: values from the request are not expanded again."""
    made, rest = "", template
    while rest:
        start = rest.find("#{")
        if start < 0:
            return made + rest
        made += rest[:start]
        rest = rest[start:]
        name = next((each for each in values if rest.startswith(each)), None)
        made += values[name] if name else "#{"
        rest = rest[len(name) if name else 2 :]
    return made


def certificate_for(
    listener: Listener | NetworkListener, server_name: str | None, names: Mapping[str, tuple[str, ...]]
) -> str | None:
    """The first certificate whose name equals the server name, else the first with a matching wildcard, else the
    default certificate. A load balancer never rejects a server name.
    """
    if listener.protocol not in ("HTTPS", "TLS") or not listener.certificates:
        return None
    desired = (server_name or "").lower()
    for pattern in (desired, f"*.{desired.partition('.')[2]}"):
        for arn in listener.certificates:
            if desired and pattern in (name.lower() for name in names.get(arn, ())):
                return arn
    return listener.certificates[0]
