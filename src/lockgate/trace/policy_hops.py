"""The gateway's policies: what each decided about a request, and how a refusal ends it."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.gateway import routing
from lockgate.gateway.policies.evaluate import Ruling, Unmatched
from lockgate.gateway.policies.model import Rule
from lockgate.resources.faults import Origin
from lockgate.trace.model import Ending, Fact, Hop, Verdict

FEW = 6  # rules that did not match, of each policy action


def hops(decision: routing.Decision) -> Iterator[Hop]:
    """One hop for all filters; none without policies."""
    if not decision.rulings:
        return
    last = decision.rulings[-1]
    facts = tuple(fact for each in decision.rulings for fact in _facts(each))
    data = {"action": last.filter.action, "rule": last.rule.name if last.rule else None}
    if last.allowed:
        yield Hop("policy", "the policies let the request pass", where=_decided(last), facts=facts, data=data)
    else:
        verdict = Verdict.FAILS if isinstance(decision.outcome, routing.Closed) else Verdict.ANSWERS
        yield Hop("policy", _title(last), verdict, _where(last), facts, data)


def refusal(decision: routing.Decision) -> Ruling | None:
    """The ruling that ended the request."""
    last = decision.rulings[-1] if decision.rulings else None
    return last if last is not None and not last.allowed else None


def ending(ruling: Ruling) -> Ending:
    cause, fix = f"The gateway answers 403 (RBAC: access denied): {_why(ruling)}.", _fix(ruling)
    return Ending(403, "gateway", cause=cause, fix=fix, where=_where(ruling))


def why_closed(ruling: Ruling) -> tuple[str, str]:
    return f"The gateway closes the connection: {_why(ruling)}.", _fix(ruling)


def _title(ruling: Ruling) -> str:
    if ruling.rule:
        return f"{_named(ruling.rule)} denies the request"
    return "no ALLOW policy allows the request"


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
    return "Allow the request in a rule of an ALLOW policy."


def _facts(ruling: Ruling) -> Iterator[Fact]:
    if ruling.rule:
        does = {"DENY": "denies", "ALLOW": "allows", "AUDIT": "audits"}[ruling.filter.action]
        yield Fact(f"{_named(ruling.rule)} {does} it", ruling.rule.origin)
    for each in ruling.unmatched[:FEW]:
        yield Fact(_skipped(ruling, each), each.rule.origin, skipped=True)
    if len(ruling.unmatched) > FEW:
        yield Fact(f"{len(ruling.unmatched) - FEW} more rules do not match", skipped=True)
    if ruling.would_refuse:
        yield Fact(f"{ruling.filter.action} policies in a dry run would refuse it")


def _skipped(ruling: Ruling, each: Unmatched) -> str:
    return f"{ruling.filter.action} {each.rule.policy}, rule {_number(each.rule)}: {each.reason}"


def _decided(ruling: Ruling) -> Origin | None:
    return ruling.rule.origin if ruling.rule else None


def _where(ruling: Ruling) -> Origin | None:
    if ruling.rule:
        return ruling.rule.origin
    return ruling.unmatched[0].rule.origin if ruling.unmatched else None


def _named(rule: Rule) -> str:
    return f"rule {_number(rule)} of AuthorizationPolicy {rule.policy}"


def _number(rule: Rule) -> str:
    return rule.name.rpartition("rule[")[2].removesuffix("]")
