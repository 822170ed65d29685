"""Decides whether a rule's conditions match a request, and explains in words why they do not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import assert_never

from lockgate.loadbalancer.model import (
    Condition,
    HostHeader,
    HttpHeader,
    HttpRequestMethod,
    PathPattern,
    QueryPair,
    QueryString,
    Rule,
    SourceIp,
)
from lockgate.loadbalancer.patterns import matches, search
from lockgate.loadbalancer.request import Request


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why a rule does not match: the condition, the request's value, and the values that would match."""

    condition: Condition
    found: str
    desired: tuple[str, ...]

    def __str__(self) -> str:
        desired = self.desired[0] if len(self.desired) == 1 else "one of " + ", ".join(self.desired)
        return f"{field_of(self.condition)} is {self.found}, not {desired}"


def mismatches(rule: Rule, request: Request) -> Iterable[Mismatch]:
    """A rule matches if all its conditions match. A condition matches if any of its values does."""
    for condition in rule.conditions:
        if (mismatch := _mismatch(condition, request)) is not None:
            yield mismatch


def field_of(condition: Condition) -> str:
    """The condition's name in the ELBv2 API."""
    match condition:
        case HostHeader():
            return "host-header"
        case PathPattern():
            return "path-pattern"
        case HttpHeader(name):
            return f"http-header {name}"
        case HttpRequestMethod():
            return "http-request-method"
        case QueryString():
            return "query-string"
        case SourceIp():
            return "source-ip"
    assert_never(condition)


def _mismatch(condition: Condition, request: Request) -> Mismatch | None:
    match condition:
        case HostHeader(values, regexes):
            host = request.host_name.lower()
            holds = any(matches(value, host, case_sensitive=False) for value in values)
            holds = holds or any(search(regex, host, case_sensitive=False) for regex in regexes)
            return None if holds else Mismatch(condition, host or "absent", values + regexes)
        case PathPattern(values, regexes):
            path = request.path
            holds = any(matches(value, path, case_sensitive=True) for value in values)
            holds = holds or any(search(regex, path, case_sensitive=True) for regex in regexes)
            return None if holds else Mismatch(condition, path, values + regexes)
        case HttpHeader(name, values, regexes):
            found = request.all(name.lower())
            holds = any(matches(value, line, case_sensitive=False) for line in found for value in values)
            holds = holds or any(search(regex, line, case_sensitive=False) for line in found for regex in regexes)
            return None if holds else Mismatch(condition, ", ".join(found) or "absent", values + regexes)
        case HttpRequestMethod(values):
            return None if request.method in values else Mismatch(condition, request.method, values)
        case QueryString(pairs):
            holds = any(_in_query(pair, request.query) for pair in pairs)
            desired = tuple(f"{pair.key}={pair.value}" if pair.key else pair.value for pair in pairs)
            return None if holds else Mismatch(condition, request.query or "absent", desired)
        case SourceIp(values):
            source = ip_address(request.source)
            holds = any(source in ip_network(value, strict=False) for value in values)
            return None if holds else Mismatch(condition, request.source, values)
    assert_never(condition)


def _in_query(desired: QueryPair, query: str | None) -> bool:
    """Compares parameters as sent: nothing is decoded, and each occurrence of a repeated key counts."""
    for parameter in (query or "").split("&"):
        key, equals, value = parameter.partition("=")
        if not equals or not matches(desired.value, value, case_sensitive=False, escapes=True):
            continue
        if desired.key is None or matches(desired.key, key, case_sensitive=False, escapes=True):
            return True
    return False
