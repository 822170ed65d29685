"""Evaluates a web ACL: whether a request is allowed or blocked, by which rule, and which rules cannot be evaluated.

Source: AWS WAF Developer Guide, "Using web ACLs with rules and rule groups", "Rule actions", "Rule group override".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lockgate.loadbalancer.waf.fields import Inspected
from lockgate.loadbalancer.waf.model import (
    Action,
    Allow,
    Block,
    Count,
    Geo,
    GroupRule,
    NotEvaluated,
    Response,
    Rule,
    Unserved,
    WebAcl,
    each_rule,
    each_statement,
)
from lockgate.loadbalancer.waf.rates import RateKey
from lockgate.loadbalancer.waf.statements import MATCHING_SECONDS, Context, Countries, met


@dataclass(frozen=True, slots=True)
class BlindSpot:
    """A rule that Lockgate cannot evaluate; ``GROUP/RULE`` for a rule group's."""

    rule: str
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """`blocked` is the response to a blocked client; None allows the request, with the headers `insert` added.

    `rule` is the deciding rule, None for the default action. `counted` are matching rules that only count; `rates` are
    the keys under which the request must be counted. With `blind_spots`, AWS's verdict may differ if one of those rules
    matches.
    """

    blocked: Response | None = None
    rule: str | None = None
    insert: tuple[tuple[str, str], ...] = ()
    counted: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    rates: tuple[RateKey, ...] = ()
    blind_spots: tuple[BlindSpot, ...] = ()


def evaluate(
    acl: WebAcl,
    inspected: Inspected,
    *,
    counts: Callable[[RateKey], int] = lambda _: 0,
    country: Countries | None = None,
    left: Callable[[], float] = lambda: MATCHING_SECONDS,
) -> Verdict:
    """`counts` returns the number of earlier requests in a key's window, `country` an address's country, `left` the
    seconds left for regular expressions."""
    course = _Course(Context(inspected, counts, country, left))
    for rule in acl.rules:
        match rule:
            case Rule():
                decided = course.take(rule, rule.name, acl.namespace)
                if decided is not None:
                    return course.verdict(decided, rule.name)
            case GroupRule():
                inside = course.group(rule)
                if inside is not None:
                    return course.verdict(*inside)
    return course.verdict(acl.default_action, None)


def blind_spots(acl: WebAcl, *, has_countries: bool = False) -> tuple[BlindSpot, ...]:
    """The rules of a web ACL that cannot be evaluated for any request."""
    found: dict[BlindSpot, None] = {}
    for rule, statement in each_statement(acl):
        match statement:
            case NotEvaluated(why):
                found[BlindSpot(rule, why)] = None
            case Geo() if not has_countries:
                found[BlindSpot(rule, "Lockgate has no table of countries")] = None
            case _:
                pass
    for name, rule_ in each_rule(acl):
        if isinstance(rule_.action, Unserved):
            found[_without_token(name, rule_.action)] = None
    return tuple(found)


class _Course:
    """The evaluation of one request."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._insert: dict[str, str] = {}
        self._counted: list[str] = []
        self._blind: dict[BlindSpot, None] = {}

    def take(self, rule: Rule, name: str, namespace: str) -> Allow | Block | None:
        """The terminating action of the rule, if the rule matches and has one."""
        self._context.rule, self._context.namespace = name, namespace
        outcome = met(rule.statement, self._context)
        if isinstance(outcome, NotEvaluated):
            self._blind[BlindSpot(name, outcome.why)] = None
        if outcome is not True:
            return None
        for label in rule.labels:
            self._context.label(f"{namespace}{label}")
        match rule.action:
            case Count(insert):
                self._insert |= insert
                self._counted.append(name)
                return None
            case Unserved() as action:
                self._blind[_without_token(name, action)] = None
                return None
            case action:
                return action

    def group(self, rule: GroupRule) -> tuple[Allow | Block, str] | None:
        """The action of the group's first rule that terminates, unless the group only counts."""
        for each in rule.rules:
            name = f"{rule.name}/{each.name}"
            decided = self.take(each, name, rule.namespace)
            if decided is None:
                continue
            if rule.counts_only:
                self._counted.append(rule.name)
                return None
            return decided, name
        return None

    def verdict(self, action: Action, rule: str | None) -> Verdict:
        blocked = action.response if isinstance(action, Block) else None
        if isinstance(action, Allow):
            self._insert |= action.insert
        return Verdict(
            blocked=blocked,
            rule=rule,
            insert=() if blocked else tuple(self._insert.items()),
            counted=tuple(self._counted),
            labels=tuple(self._context.labels),
            rates=tuple(self._context.rates),
            blind_spots=tuple(self._blind),
        )


def _without_token(rule: str, action: Unserved) -> BlindSpot:
    return BlindSpot(rule, f"its action {action.name} needs a WAF token, which Lockgate does not issue")
