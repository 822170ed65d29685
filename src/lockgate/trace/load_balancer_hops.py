"""The application load balancer's hops: listener, certificate, web ACL, rule and action."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lockgate.edge.edge import Edge
from lockgate.loadbalancer import routing
from lockgate.loadbalancer.conditions import field_of
from lockgate.loadbalancer.model import (
    AuthenticateCognito,
    AuthenticateOidc,
    Condition,
    HostHeader,
    HttpHeader,
    HttpRequestMethod,
    JwtValidation,
    LoadBalancer,
    PathPattern,
    QueryString,
    Rule,
    SourceIp,
)
from lockgate.loadbalancer.request import Request as AlbRequest
from lockgate.trace.model import Ending, Fact, Hop, Request, Verdict, place

BY = "load balancer"


@dataclass(frozen=True, slots=True)
class ToTargets:
    """The request as sent to a target of one of `shares`."""

    balancer: LoadBalancer
    shares: tuple[routing.Share, ...]
    request: AlbRequest


def decide(edge: Edge, balancer: LoadBalancer, request: Request) -> tuple[tuple[Hop, ...], ToTargets | Ending]:
    """What the load balancer does with a request on one of its ports."""
    asked = alb_request(request)
    decision = routing.decide(balancer, asked, names=edge.certificate_names())
    hops = [_listener(balancer, request, decision)]
    if decision.listener is None:
        return tuple(hops), _refused_connection(balancer, request)
    if decision.listener.protocol != ("HTTPS" if request.scheme == "https" else "HTTP"):
        return tuple(hops), _wrong_protocol(decision, request)
    if decision.certificate is not None:
        hops.append(certificate_hop(edge, decision.certificate, request))
    hops += _web_acl(edge, balancer, decision)
    if decision.action is not None:
        hops.append(_rule(decision))
        hops += [_authentication(each) for each in decision.authentication]
    outcome = decision.outcome
    if isinstance(outcome, routing.Forwarded):
        return tuple(hops), ToTargets(balancer, outcome.shares, outcome.request)
    return tuple(hops), _ending(balancer, decision)


def alb_request(request: Request) -> AlbRequest:
    kept = tuple(pair for pair in request.headers if pair[0].lower() != "host")
    return AlbRequest(
        method=request.method,
        target=request.target,
        host=request.authority,
        headers=kept,
        port=request.port,
        protocol=request.protocol,
        server_name=request.host if request.scheme == "https" else None,
        source=request.source,
    )


# --- hops --------------------------------------------------------------------------------------------------------


def _listener(balancer: LoadBalancer, request: Request, decision: routing.Decision) -> Hop:
    listener = decision.listener
    if listener is None:
        ports = ", ".join(f"{each.protocol} {each.port}" for each in balancer.listeners) or "no port"
        title = f"{balancer.name} does not listen on {request.port}; it listens on {ports}"
        return Hop("listener", title, Verdict.FAILS, balancer.origin, data={"load_balancer": balancer.name})
    title = f"{listener.protocol} {listener.port} of {balancer.name}"
    data = {"load_balancer": balancer.name, "port": listener.port, "protocol": listener.protocol}
    facts = (Fact(f"security policy {listener.ssl_policy}"),) if listener.ssl_policy else ()
    return Hop("listener", title, where=place(listener, balancer), facts=facts, data=data)


def certificate_hop(edge: Edge, arn: str, request: Request) -> Hop:
    """The certificate that a listener presents."""
    known = edge.certificates.get(arn)
    short = arn.rpartition("/")[2]
    if known is None or not known.names:
        return Hop("certificate", f"{short}: its names are not known here", Verdict.UNDECIDED, data={"arn": arn})
    named = f"{known.names[0]}" + (f" +{len(known.names) - 1}" if len(known.names) > 1 else "")
    data = {"arn": arn, "names": list(known.names), "covers": known.covers(request.host)}
    if known.covers(request.host):
        return Hop("certificate", f"acm {named} covers {request.host}", data=data)
    title = f"acm {named} does not cover {request.host}: clients that verify it refuse the connection"
    return Hop("certificate", title, Verdict.FAILS, data=data)


def _web_acl(edge: Edge, balancer: LoadBalancer, decision: routing.Decision) -> Iterator[Hop]:
    if arn := edge.unseen.get(balancer.name):
        title = f"web ACL {arn.split('/')[-2] if '/' in arn else arn}: its rules are in the account only"
        yield Hop("waf", title, Verdict.UNDECIDED, balancer.origin, data={"web_acl": arn})
    verdict = decision.waf
    if verdict is None or balancer.web_acl is None:
        return
    facts = [Fact(f"{rule} is met and only counts") for rule in verdict.counted]
    facts += [Fact(f"{spot.rule} cannot be evaluated here: {spot.why}") for spot in verdict.blind_spots]
    by = verdict.rule or "the default action"
    if verdict.blocked is not None:
        title, state = f"web ACL {balancer.web_acl.name}: blocked by {by}", Verdict.ANSWERS
    else:
        title = f"web ACL {balancer.web_acl.name}: allowed by {by}"
        state = Verdict.UNDECIDED if verdict.blind_spots else Verdict.PASSES
    yield Hop(
        "waf", title, state, balancer.origin, tuple(facts), {"web_acl": balancer.web_acl.name, "rule": verdict.rule}
    )


def _rule(decision: routing.Decision) -> Hop:
    rule = decision.rule
    skipped = tuple(Fact(f"{_rule_name(each)}: {why}", each.origin, skipped=True) for each, why in decision.earlier)
    data = {"priority": decision.priority, "action": type(decision.action).__name__}
    where = place(rule, decision.listener)
    if rule is None:
        return Hop("rule", "default rule", where=where, facts=skipped, data=data)
    title = f"rule {rule.priority}" + (f": {conditions_text(rule)}" if rule.conditions else "")
    return Hop("rule", title, where=where, facts=skipped, data=data)


def _authentication(action: AuthenticateOidc | AuthenticateCognito | JwtValidation) -> Hop:
    match action:
        case AuthenticateOidc():
            needed = f"a login at {action.issuer}"
        case AuthenticateCognito():
            needed = f"a login at the user pool {action.user_pool_domain}"
        case JwtValidation():
            needed = f"a valid JWT of {action.issuer}"
    return Hop("authentication", f"needs {needed}; what follows is for a client that has it", Verdict.UNDECIDED)


def _rule_name(rule: Rule) -> str:
    return f"rule {rule.priority}"


def conditions_text(rule: Rule) -> str:
    return " and ".join(f"{field_of(each)} {' | '.join(_values(each))}" for each in rule.conditions)


def _values(condition: Condition) -> tuple[str, ...]:
    match condition:
        case HostHeader() | PathPattern() | HttpHeader():
            return condition.values + tuple(f"regex {each}" for each in condition.regex_values)
        case HttpRequestMethod() | SourceIp():
            return condition.values
        case QueryString():
            return tuple(f"{pair.key or '*'}={pair.value}" for pair in condition.values)


# --- endings -----------------------------------------------------------------------------------------------------


def _refused_connection(balancer: LoadBalancer, request: Request) -> Ending:
    ports = ", ".join(str(each.port) for each in balancer.listeners) or "none"
    return Ending(
        None,
        BY,
        cause=f"The connection times out: {balancer.name} has no listener on port {request.port} (it has {ports}).",
        fix="Add the port to `alb.ingress.kubernetes.io/listen-ports`.",
        where=balancer.origin,
    )


def _wrong_protocol(decision: routing.Decision, request: Request) -> Ending:
    listener = decision.listener
    assert listener is not None
    if request.scheme == "http":
        cause = (
            f"Port {listener.port} speaks HTTPS, and the request comes in plain HTTP: the load balancer answers 400."
        )
        return Ending(400, BY, cause=cause, fix="Use https:// for this port.", where=listener.origin)
    cause = f"Port {listener.port} speaks plain HTTP: the TLS handshake fails."
    fix = "Use http:// for this port, or make it HTTPS in `listen-ports` with a certificate."
    return Ending(None, BY, cause=cause, fix=fix, where=listener.origin)


def _ending(balancer: LoadBalancer, decision: routing.Decision) -> Ending:
    where = place(decision.rule, decision.listener)
    match decision.outcome:
        case routing.Redirected(status, location):
            return Ending(status, BY, location=location, where=where)
        case routing.Answered(status, content_type):
            cause = fix = ""
            if status >= 400:
                rule = f"rule {decision.rule.priority}" if decision.rule else "the default rule"
                cause = f"The fixed response of {rule} answers {status}."
                fix = _why_fixed(decision)
            return Ending(status, BY, headers=(("Content-Type", content_type),), cause=cause, fix=fix, where=where)
        case routing.Blocked(response, rule):
            by = f"rule {rule}" if rule else "the default action"
            cause = f"The web ACL blocks the request by {by}."
            return Ending(response.status, BY, cause=cause, fix="Change the web ACL.", where=balancer.origin)
        case routing.Refused(status, why):
            cause = f"The load balancer answers {status}: {why}."
            return Ending(status, BY, cause=cause, fix=_FIXES.get(status, ""), where=where)
        case routing.LoginReturns():
            return Ending(302, BY, where=where)
        case other:
            raise AssertionError(other)


def _why_fixed(decision: routing.Decision) -> str:
    """The controller answers 404 where no rule matches, and 503 where a backend does not exist."""
    if decision.rule is None:
        return "Add a rule for this host and path to the Ingress, or a `defaultBackend`."
    return "Check the Service and port that the rule names."


_FIXES = {
    464: "Change `alb.ingress.kubernetes.io/backend-protocol-version`, or the protocol that the client speaks.",
    503: "Give a target group of the rule a weight above 0.",
    463: "Remove addresses from X-Forwarded-For, or set `routing.http.xff_header_processing.mode=remove`.",
}
