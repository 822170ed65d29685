"""The gateway's policies: what each decided about a request, and how a refusal ends it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lockgate.gateway import routing
from lockgate.gateway.model import Gateway
from lockgate.gateway.policies.authenticate import Attempt, TokenRuling
from lockgate.gateway.policies.evaluate import Ruling, Unmatched
from lockgate.gateway.policies.filtering import AnyRuling, ModuleRuling
from lockgate.gateway.policies.keys import NOBODYS
from lockgate.gateway.policies.model import Rule
from lockgate.gateway.policies.tokens import UNKNOWN_ISSUER, WRONG_AUDIENCE
from lockgate.gateway.rate_limits import is_limit
from lockgate.resources.faults import Origin
from lockgate.trace.model import Ending, Fact, Hop, Verdict

FEW = 6  # rules that did not match, of each policy action


def hops(decision: routing.Decision) -> Iterator[Hop]:
    """One hop for all filters; none without policies."""
    if not decision.rulings:
        return
    last = decision.rulings[-1]
    facts = tuple(fact for each in decision.rulings for fact in _facts(each))
    if last.allowed:
        yield Hop("policy", "the policies let the request pass", where=_where(last), facts=facts, data=_data(last))
    else:
        verdict = Verdict.FAILS if isinstance(decision.outcome, routing.Closed) else Verdict.ANSWERS
        yield Hop("policy", _title(last), verdict, _where(last), facts, _data(last))


def patched(gateway: Gateway) -> Iterator[Hop]:
    """A warning: what patches change is not followed, but for rate limits."""
    found = {patch.filter: patch.origin for patch in reversed(gateway.patches) if not is_limit(patch)}
    if found:
        title = "EnvoyFilters patch this gateway, and what they change is not followed here"
        facts = tuple(Fact(f"EnvoyFilter {name}", origin) for name, origin in reversed(found.items()))
        yield Hop("patches", title, facts=facts)


def refusal(decision: routing.Decision) -> AnyRuling | None:
    """The ruling that ended the request."""
    last = decision.rulings[-1] if decision.rulings else None
    return last if last is not None and not last.allowed else None


def ending(ruling: AnyRuling) -> Ending:
    if isinstance(ruling, TokenRuling):
        cause = f"The gateway answers {ruling.code} ({ruling.status}): {_why_not_accepted(ruling)}."
        return Ending(ruling.code, "gateway", cause=cause, fix=_token_fix(ruling), where=_where(ruling))
    if isinstance(ruling, ModuleRuling):
        cause = f"The gateway answers 403 (RBAC: access denied): {_why_unloaded(ruling)}."
        return Ending(403, "gateway", cause=cause, fix=_MODULE_FIX, where=_where(ruling))
    cause = f"The gateway answers 403 (RBAC: access denied): {_why(ruling)}."
    return Ending(403, "gateway", cause=cause, fix=_fix(ruling), where=_where(ruling))


def why_closed(ruling: AnyRuling) -> tuple[str, str]:
    assert not isinstance(ruling, TokenRuling), "bytes have no tokens"
    if isinstance(ruling, ModuleRuling):
        return f"The gateway closes the connection: {_why_unloaded(ruling)}.", _MODULE_FIX
    return f"The gateway closes the connection: {_why(ruling)}.", _fix(ruling)


def _title(ruling: AnyRuling) -> str:
    if isinstance(ruling, TokenRuling):
        return f"the request's JWT is refused: {ruling.status}"
    if isinstance(ruling, ModuleRuling):
        return _why_unloaded(ruling)
    if ruling.rule:
        return f"{_named(ruling.rule)} denies the request"
    return "no ALLOW policy allows the request"


def _where(ruling: AnyRuling) -> Origin | None:
    if isinstance(ruling, TokenRuling):
        telling = _telling(ruling)
        return telling.provider.origin if telling else None
    if isinstance(ruling, ModuleRuling):
        return ruling.module.origin
    if ruling.rule:
        return ruling.rule.origin
    return ruling.unmatched[0].rule.origin if ruling.unmatched and not ruling.allowed else None


def _facts(ruling: AnyRuling) -> Iterator[Fact]:
    if isinstance(ruling, TokenRuling):
        yield from _token_facts(ruling)
        return
    if isinstance(ruling, ModuleRuling):
        title = f"the module of WasmPlugin {_plugin(ruling)} sees it, and may refuse or change it"
        yield Fact(title if ruling.allowed else _why_unloaded(ruling), ruling.module.origin)
        return
    if ruling.rule:
        does = {"DENY": "denies", "ALLOW": "allows", "AUDIT": "audits", "CUSTOM": "matches"}[ruling.filter.action]
        yield Fact(f"{_named(ruling.rule)} {does} it", ruling.rule.origin)
    if ruling.rule and ruling.filter.server:
        server = ruling.filter.server
        yield Fact(f"the gateway asks {server.provider} at {server.host}:{server.port}, which may refuse it")
    for each in ruling.unmatched[:FEW]:
        yield Fact(_skipped(ruling, each), each.rule.origin, skipped=True)
    if len(ruling.unmatched) > FEW:
        yield Fact(f"{len(ruling.unmatched) - FEW} more rules do not match", skipped=True)
    if ruling.would_refuse:
        yield Fact(f"{ruling.filter.action} policies in a dry run would refuse it")


def _data(ruling: AnyRuling) -> dict[str, Any]:
    if isinstance(ruling, TokenRuling):
        return {"action": "JWT", "status": ruling.status}
    if isinstance(ruling, ModuleRuling):
        return {"action": "WASM", "plugin": _plugin(ruling)}
    return {"action": ruling.filter.action, "rule": ruling.rule.name if ruling.rule else None}


# --- JWTs --------------------------------------------------------------------------------------------------------


def _telling(ruling: TokenRuling) -> Attempt | None:
    """The attempt that decided; none for a preflight, whose token is not read."""
    return next((each for each in ruling.attempts if each.status == ruling.status), None)


def _why_not_accepted(ruling: TokenRuling) -> str:
    telling = _telling(ruling)
    if telling is None:
        return "no RequestAuthentication accepts the token"
    provider, token = telling.provider, telling.token
    named = f"RequestAuthentication {provider.policy}"
    if ruling.status == UNKNOWN_ISSUER and token is not None:
        return f"{named} has no rule for the issuer {token.issuer or '(none)'}"
    if ruling.status == WRONG_AUDIENCE and token is not None:
        given, wanted = ", ".join(token.audiences) or "no audience", " or ".join(provider.audiences)
        return f"the token is for {given}, and {named} accepts {wanted}"
    issuer = f"of the issuer {token.issuer}" if token is not None else "of the request"
    return f"{named} refuses the token {issuer}"


def _token_fix(ruling: TokenRuling) -> str:
    if ruling.status == UNKNOWN_ISSUER:
        return "Add the issuer to `jwtRules`, or send a token of one that it names."
    if ruling.status == WRONG_AUDIENCE:
        return "Add the audience to `audiences`, or request a token for one of them."
    telling = _telling(ruling)
    if telling is not None and telling.provider.jwks == NOBODYS:
        return "Make the URL of the keys answer: until it does, every token is refused."
    return "Send a token that is valid and signed with one of the keys, or none."


def _token_facts(ruling: TokenRuling) -> Iterator[Fact]:
    for each in ruling.accepted:
        issuer = each.token.issuer if each.token else ""
        yield Fact(f"RequestAuthentication {each.provider.policy} accepts the token of {issuer}", each.provider.origin)
        if each.provider.jwks is None:
            yield Fact(f"its signature was not checked: the keys at {each.provider.uri} have not been fetched")
    if ruling.allowed and not ruling.accepted:
        yield Fact("the request has no JWT")


# --- modules -----------------------------------------------------------------------------------------------------

_MODULE_FIX = "Make `url` lead to the module, or let requests pass without it: `failStrategy: FAIL_OPEN`."


def _plugin(ruling: ModuleRuling) -> str:
    return ruling.module.name.replace(".", "/", 1)


def _why_unloaded(ruling: ModuleRuling) -> str:
    return f"the module of WasmPlugin {_plugin(ruling)} is not loaded"


# --- rules -------------------------------------------------------------------------------------------------------


def _why(ruling: Ruling) -> str:
    if ruling.rule:
        return f"{_named(ruling.rule)} denies the request"
    if len(ruling.unmatched) == 1:
        (only,) = ruling.unmatched
        return f"{_named(only.rule)} does not allow the request, because {only.reason}"
    return f"none of the {len(ruling.unmatched)} rules of ALLOW policies matches the request"


def _fix(ruling: Ruling) -> str:
    if ruling.rule:
        return "Exclude the request from this rule, or remove the rule."
    if any("the client" in each.reason for each in ruling.unmatched):
        return (
            "Allow the request in a rule. Behind a load balancer the client's address is read from X-Forwarded-For, "
            "but only with `numTrustedProxies: 1`."
        )
    if any("the peer" in each.reason for each in ruling.unmatched):
        return "Allow the request in a rule. Behind a load balancer `remoteIpBlocks` is the client, `ipBlocks` is not."
    if any("JWT claim iss (absent)" in each.reason for each in ruling.unmatched):
        return "Send a valid JWT: the rule allows only requests with one."
    return "Allow the request in a rule of an ALLOW policy."


def _skipped(ruling: Ruling, each: Unmatched) -> str:
    return f"{ruling.filter.action} {each.rule.policy}, rule {_number(each.rule)}: {each.reason}"


def _named(rule: Rule) -> str:
    return f"rule {_number(rule)} of AuthorizationPolicy {rule.policy}"


def _number(rule: Rule) -> str:
    return rule.name.rpartition("rule[")[2].partition("]")[0]
