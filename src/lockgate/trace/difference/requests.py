"""A gateway's conditions on a request as formulas: those of routes, and those on headers that policies have too."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from lockgate.gateway import compare
from lockgate.gateway.model import ClaimMatch, Gateway, HeaderMatch, QueryMatch, RouteMatch
from lockgate.gateway.model import Present as AnyValue
from lockgate.trace.difference.conditions import (
    FALSE,
    TRUE,
    Every,
    Formula,
    Header,
    Method,
    Not,
    Part,
    Path,
    Present,
    Query,
    Test,
    assumed,
    of_match,
    tested,
)
from lockgate.trace.difference.load_balancer import Arrival


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a request before it is compared with anything. `scheme` is X-Forwarded-Proto's."""

    authority: str
    scheme: str
    proxied: bool
    trusts: bool

    @staticmethod
    def of(gateway: Gateway, arrival: Arrival, authority: str, scheme: str) -> Known:
        """`scheme` is the request's where it enters the edge."""
        connection = "https" if arrival.tls else "http"
        proxied, trusts = arrival.group is not None, bool(gateway.http.trusted_proxies)
        return Known(authority, scheme if trusts and proxied else connection, proxied, trusts)


@lru_cache(maxsize=16384)
def route_formula(match: RouteMatch, known: Known) -> Formula:
    parts: list[Formula] = [tested(Path(), of_match(match.path))]
    for header in match.headers:
        formula = header_formula(header, known)
        if formula == FALSE:
            return FALSE
        parts.append(formula)
    parts += (_query(each) for each in match.query)
    parts += (_claim(each) for each in match.claims)
    return Every(tuple(parts))


def _claim(match: ClaimMatch) -> Formula:
    holds = assumed(f"the token's claim {'.'.join(match.path)} {compare.said(match.value)}", (match.path, match.value))
    return Not(holds) if match.invert else holds


def _query(match: QueryMatch) -> Formula:
    part = Query(match.name)
    return Test(part, Present()) if isinstance(match.value, AnyValue) else tested(part, of_match(match.value))


def header_formula(match: HeaderMatch, known: Known) -> Formula:
    match match.name:
        case ":authority":
            return _constant(match, known.authority)
        case ":scheme" if known.proxied or not known.trusts:
            return _constant(match, known.scheme)
        case ":method":
            return _tested(match, Method())
        case "x-forwarded-proto" if known.proxied or not known.trusts:
            return _constant(match, known.scheme)
        case ":scheme" | "x-forwarded-proto" | "x-forwarded-for" | "x-forwarded-port" | "x-amzn-trace-id" as name:
            verb = compare.denied(match.value) if match.invert else compare.said(match.value)
            return assumed(f"header {name}, as the gateway receives it, {verb}", match)
        case name:
            return _tested(match, Header(name))


def _constant(match: HeaderMatch, value: str) -> Formula:
    holds = isinstance(match.value, AnyValue) or compare.holds(match.value, value)
    return TRUE if holds != match.invert else FALSE


def _tested(match: HeaderMatch, part: Part) -> Formula:
    """A negated condition compares an absent header as if it were empty."""
    if isinstance(match.value, AnyValue):
        present = Test(part, Present()) if isinstance(part, Header) else TRUE
        return Not(present) if match.invert else present
    holds = tested(part, of_match(match.value))
    if not match.invert:
        return holds
    if isinstance(part, Header) and compare.holds(match.value, ""):
        return Every((Test(part, Present()), Not(holds)))
    return Not(holds)
