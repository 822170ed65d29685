"""Requests that the statements of a web ACL name: what can be tried where two web ACLs differ.

WAF transforms what it inspects and keeps counts, so its rules are no formulas over a request's parts. A web ACL is an
assumption, and these are examples that may show a difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from lockgate.loadbalancer.waf.model import (
    ByteMatch,
    Component,
    Cookies,
    Headers,
    IpSet,
    QueryString,
    RegexMatch,
    SingleHeader,
    SingleQueryArgument,
    SizeConstraint,
    Statement,
    UriPath,
    WebAcl,
    each_statement,
)
from lockgate.loadbalancer.waf.model import (
    Method as MethodField,
)
from lockgate.resources.languages import TooLarge, Unsupported, classes, containing
from lockgate.trace.difference.choices import Example
from lockgate.trace.difference.conditions import Header, Method, Part, Path, Query, Source

Parts: TypeAlias = Mapping[Part, Example]
_MOST = 40  # of each web ACL


def named_requests(*acls: WebAcl | None) -> tuple[Parts, ...]:
    """Parts of requests, each with which one statement of a web ACL is met."""
    found: dict[tuple[tuple[Part, Example], ...], None] = {}
    for acl in acls:
        for _, statement in each_statement(acl) if acl else ():
            for parts in _met_by(statement):
                if len(found) < _MOST:
                    found[tuple(parts.items())] = None
    return tuple(dict(each) for each in found)


def _met_by(statement: Statement) -> Iterator[Parts]:
    match statement:
        case IpSet(_, networks, None):
            for version, bits, starts in networks.by_length:
                for start in sorted(starts)[:3]:
                    address = IPv4Address(start << bits) if version == 4 else IPv6Address(start << bits)
                    yield {Source(): (str(address),)}
        case ByteMatch(component, search):
            yield from _with(component, search.decode("latin-1"))
        case RegexMatch(component, patterns):
            for pattern in patterns[:3]:
                if (text := _text_of(pattern.pattern)) is not None:
                    yield from _with(component, text)
        case SizeConstraint(component, operator, size) if size < 8000:
            length = {"GT": size + 1, "GE": size, "EQ": size, "NE": size + 1, "LT": size - 1, "LE": size}[operator]
            yield from _with(component, "a" * max(length, 0))
        case _:
            pass


def _text_of(pattern: bytes | str) -> str | None:
    text = pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern
    try:
        found = classes([containing(text)], most=2000)
    except (TooLarge, Unsupported):
        return None
    return next((each.texts[0] for each in found if each.members), None)


def _with(component: Component, text: str) -> Iterator[Parts]:
    """Requests whose inspected part has a text. A text that a URL cannot have is escaped where it is sent."""
    match component.field:
        case MethodField():
            yield {Method(): (text.upper(),)}
        case UriPath():
            path = text if text.startswith("/") else f"/{text}"
            if path.isascii() and path.isprintable() and not set(path) & set(" ?#"):
                yield {Path(): (path,)}
        case SingleHeader(name):
            yield {Header(name.lower()): (text.strip(),)}
        case SingleQueryArgument(name):
            yield {Query(name): (text,)}
        case Headers():
            yield {Header("x-any"): (text.strip(),)}
        case Cookies():
            yield {Header("cookie"): (f"any={text.strip()}",)}
        case QueryString():
            key, _, value = text.partition("=")
            yield {Query(key or "q"): (value or text,)}
        case _:
            yield {Query("q"): (text,)}
