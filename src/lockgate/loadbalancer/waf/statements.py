"""Evaluates statements: a request matches, does not match, or the outcome is not known.

Source: AWS WAF Developer Guide, "Rule statements list", "Forwarded IP address", "Matching against a label".
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from types import MappingProxyType
from typing import Final, TypeAlias, assert_never

import regex

from lockgate.loadbalancer.waf.fields import Decided, Inspected, cookies_of, headers_of, texts
from lockgate.loadbalancer.waf.model import (
    Address,
    AggregateKey,
    And,
    ByteMatch,
    Component,
    CookieValue,
    ForwardedAddress,
    ForwardedIp,
    Geo,
    IpSet,
    LabelMatch,
    LabelNamespace,
    Not,
    NotEvaluated,
    Or,
    RateBased,
    RegexMatch,
    SizeConstraint,
    SourceAddress,
    Statement,
)
from lockgate.loadbalancer.waf.rates import RateKey
from lockgate.loadbalancer.waf.transformations import transformed

MATCHING_SECONDS: Final = 0.2  # for all regular expressions of one request
MOST_FORWARDED: Final = 10  # addresses that an IP set compares: the last ones of the header

Countries: TypeAlias = Callable[[Address], str | None]


@dataclass(frozen=True, slots=True)
class NotApplied:
    """The header with the forwarded address is missing: the rule does not apply, whatever the rest of it says."""


Outcome: TypeAlias = bool | NotEvaluated | NotApplied


@dataclass(slots=True)
class Context:
    """The state of one evaluation; `labels` and `rates` grow.

    `counts` returns the number of earlier requests in a key's window, `country` an address's country, `left` the
    seconds left for regular expressions.
    """

    inspected: Inspected
    counts: Callable[[RateKey], int]
    country: Countries | None
    left: Callable[[], float]
    rule: str = ""
    namespace: str = ""
    labels: list[str] = field(default_factory=list)
    rates: list[RateKey] = field(default_factory=list)

    def label(self, label: str) -> None:
        if label not in self.labels:
            self.labels.append(label)


def met(statement: Statement, context: Context) -> Outcome:
    match statement:
        case IpSet(_, networks, forwarded):
            addresses = _addresses(forwarded, context)
            if not isinstance(addresses, tuple):
                return addresses
            return any(address in networks for address in addresses)
        case Geo():
            return _geo(statement, context)
        case ByteMatch(component, search, position):
            return _any(component, context, lambda text: _is_found(text, search, position))
        case RegexMatch(component, patterns):
            try:
                return _any(component, context, lambda text: any(_matches(each, text, context) for each in patterns))
            except TimeoutError:
                return NotEvaluated("its regular expressions exceed the time limit for a request")
        case SizeConstraint(component, operator_, size):
            return _any(component, context, lambda text: _COMPARE[operator_](len(text), size))
        case LabelMatch():
            return any(_is_labelled(label, statement, context.namespace) for label in context.labels)
        case And(statements):
            return _first(statements, context, False)
        case Or(statements):
            return _first(statements, context, True)
        case Not(inner):
            outcome = met(inner, context)
            return not outcome if isinstance(outcome, bool) else outcome
        case RateBased():
            return _rate(statement, context)
        case NotEvaluated():
            return statement
        case _:
            assert_never(statement)


def _first(statements: Sequence[Statement], context: Context, decisive: bool) -> Outcome:
    """And, Or: a decisive outcome settles it, even if others are not known."""
    open_: Outcome = not decisive
    for statement in statements:
        outcome = met(statement, context)
        if outcome is decisive:
            return decisive
        if isinstance(outcome, NotApplied) or (isinstance(outcome, NotEvaluated) and isinstance(open_, bool)):
            open_ = outcome
    return open_


# --- text --------------------------------------------------------------------------------------------------------


def _any(component: Component, context: Context, holds: Callable[[bytes], bool]) -> bool:
    found = texts(component, context.inspected)
    if isinstance(found, Decided):
        return found.is_met
    return found is not None and any(holds(text) for text in found)


def _matches(pattern: regex.Pattern[bytes], text: bytes, context: Context) -> bool:
    """Raises TimeoutError: some expressions take years for some texts, and would block the whole edge."""
    left = context.left()
    if left <= 0:
        raise TimeoutError
    return pattern.search(text, timeout=left) is not None


def _is_found(text: bytes, search: bytes, position: str) -> bool:
    match position:
        case "EXACTLY":
            return text == search
        case "STARTS_WITH":
            return text.startswith(search)
        case "ENDS_WITH":
            return text.endswith(search)
        case "CONTAINS":
            return search in text
        case _:
            return re.search(rb"(?<![A-Za-z0-9_])" + re.escape(search) + rb"(?![A-Za-z0-9_])", text) is not None


_COMPARE: Final[Mapping[str, Callable[[int, int], bool]]] = MappingProxyType(
    {
        "EQ": operator.eq,
        "NE": operator.ne,
        "LE": operator.le,
        "LT": operator.lt,
        "GE": operator.ge,
        "GT": operator.gt,
    }
)


# --- addresses ---------------------------------------------------------------------------------------------------


def _addresses(forwarded: ForwardedIp | None, context: Context) -> tuple[Address, ...] | bool | NotApplied:
    """The addresses to compare, or the statement's outcome if the header has no valid address."""
    request = context.inspected.request
    if forwarded is None:
        address = _address(request.source)
        return (address,) if address else False
    lines = [value for name, value in headers_of(request) if name.lower() == forwarded.header]
    if not lines:
        return NotApplied()
    parts = ",".join(lines).split(",")
    match forwarded.position:
        case "FIRST":
            chosen = parts[:1]
        case "LAST":
            chosen = parts[-1:]
        case _:
            chosen = parts[-MOST_FORWARDED:]
    found = [_address(each.strip()) for each in chosen]
    known = tuple(each for each in found if each is not None)
    return known if len(known) == len(found) else forwarded.fallback == "MATCH"


def _address(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _geo(statement: Geo, context: Context) -> Outcome:
    """Labels the request with its country, whether or not the statement matches."""
    if context.country is None:
        return NotEvaluated("Lockgate has no table of countries")
    addresses = _addresses(statement.forwarded, context)
    if not isinstance(addresses, tuple):
        return addresses
    country = context.country(addresses[0])
    origin = "clientip" if statement.forwarded is None else "forwardedip"
    context.label(f"awswaf:{origin}:geo:country:{country or 'XX'}")
    return country in statement.countries


# --- labels ------------------------------------------------------------------------------------------------------


def _is_labelled(label: str, statement: LabelMatch, namespace: str) -> bool:
    """Without a prefix, the key means labels of the rule's own context."""
    key = statement.key
    if key.startswith("awswaf:"):
        return label == key if statement.scope == "LABEL" else label.startswith(key)
    if not label.startswith(namespace):
        return False
    rest = f":{label.removeprefix(namespace)}"
    return rest.endswith(f":{key}") if statement.scope == "LABEL" else f":{key}" in rest


# --- rates -------------------------------------------------------------------------------------------------------


def _rate(statement: RateBased, context: Context) -> Outcome:
    """Counts the request if it is in scope and has all aggregation keys. Matches above the limit."""
    if statement.scope_down is not None:
        within = met(statement.scope_down, context)
        if within is not True:
            return within
    values: list[bytes] = []
    for key in statement.keys:
        found = _values(key, statement, context)
        if isinstance(found, Decided):
            return found.is_met
        if found is None:
            return False
        values.append(found)
    counted = RateKey(context.rule, statement.limit, statement.window, tuple(values))
    context.rates.append(counted)
    return context.counts(counted) + 1 > statement.limit


def _values(key: AggregateKey, statement: RateBased, context: Context) -> bytes | Decided | None:
    match key:
        case SourceAddress():
            return context.inspected.request.source.encode()
        case ForwardedAddress():
            if statement.forwarded is None:
                return None
            addresses = _addresses(statement.forwarded, context)
            if isinstance(addresses, NotApplied):
                return None
            return str(addresses[0]).encode() if isinstance(addresses, tuple) else Decided(addresses)
        case CookieValue(name, transformations):
            found = [
                value.encode("latin-1", "replace")
                for each, value in cookies_of(context.inspected.request)
                if each == name
            ]
            return _joined(transformed(value, transformations) for value in found)
        case LabelNamespace(namespace):
            return _joined(label.encode() for label in context.labels if label.startswith(namespace))
        case Component():
            seen = texts(key, context.inspected)
            return _joined(seen) if isinstance(seen, tuple) else seen
        case _:
            assert_never(key)


def _joined(values: Iterable[bytes]) -> bytes | None:
    return b",".join(values) or None
