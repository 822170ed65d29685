"""Compares a request with a route's conditions, and finds the part of the path that a rewrite replaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, assert_never
from urllib.parse import unquote

from lockgate.gateway.model import (
    ClaimMatch,
    Exact,
    HeaderMatch,
    Prefix,
    Present,
    Regex,
    RouteMatch,
    Suffix,
    TextMatch,
    ValueMatch,
)
from lockgate.gateway.regex import full_match


def mismatch(
    match: RouteMatch,
    method: str,
    authority: str,
    scheme: str,
    target: str,
    header: Callable[[str], str | None],
    payload: Mapping[str, Any] | None = None,
) -> str | None:
    """The first condition that does not match, in words; None if all match. `payload` is the claims of a JWT."""
    path, _, query = target.partition("?")
    if not holds(match.path, path):
        return f"path {path} {denied(match.path)}"
    pseudo = {":method": method, ":authority": authority, ":scheme": scheme}
    for condition in match.headers:
        value = pseudo[condition.name] if condition.name in pseudo else header(condition.name)
        if not _header_holds(condition, value):
            return _header_mismatch(condition, value)
    if match.query:
        parameters = _parameters(query)
        for asked in match.query:
            given = parameters.get(asked.name)
            if given is None or not (isinstance(asked.value, Present) or holds(asked.value, given)):
                return f"query parameter {asked.name} {denied(asked.value)}"
    for claim in match.claims:
        if claim_holds(claim, payload) is claim.invert:
            return f"JWT claim {'.'.join(claim.path)} {said(claim.value) if claim.invert else denied(claim.value)}"
    return None


def claim_holds(match: ClaimMatch, payload: Mapping[str, Any] | None) -> bool:
    value: Any = payload
    for name in match.path:
        value = value.get(name) if isinstance(value, Mapping) else None
    texts = value if isinstance(value, list) else [value]
    return any(isinstance(each, str) and holds(match.value, each) for each in texts)


def holds(match: TextMatch, text: str) -> bool:
    match match:
        case Exact(value, ignore_case):
            return text.lower() == value.lower() if ignore_case else text == value
        case Prefix(value, ignore_case):
            return text.lower().startswith(value.lower()) if ignore_case else text.startswith(value)
        case Suffix(value, ignore_case):
            return text.lower().endswith(value.lower()) if ignore_case else text.endswith(value)
        case Regex(pattern):
            return full_match(pattern, text)
        case _:
            assert_never(match)


def consumed(match: TextMatch, path: str) -> int:
    """The length of the path that a rewrite replaces: the matched prefix, else the whole path."""
    return len(match.value) if isinstance(match, Prefix) else len(path)


def said(match: ValueMatch) -> str:
    """A condition as a predicate, such as ``begins with /api``."""
    match match:
        case Exact(value):
            return f"is {value}"
        case Prefix(value):
            return f"begins with {value}"
        case Suffix(value):
            return f"ends with {value}"
        case Regex(pattern):
            return f"matches {pattern}"
        case Present():
            return "is present"
        case _:
            assert_never(match)


def denied(match: ValueMatch) -> str:
    """The negated predicate, such as ``does not begin with /api``."""
    match match:
        case Exact() | Present():
            return said(match).replace("is ", "is not ", 1)
        case _:
            verb, _, rest = said(match).partition(" ")
            return f"does not {_INFINITIVES[verb]} {rest}"


_INFINITIVES = {"begins": "begin", "ends": "end", "matches": "match"}


def _header_holds(condition: HeaderMatch, value: str | None) -> bool:
    if isinstance(condition.value, Present):
        return (value is not None) != condition.invert
    if value is None:
        return condition.invert and not holds(condition.value, "")
    return holds(condition.value, value) != condition.invert


def _header_mismatch(condition: HeaderMatch, value: str | None) -> str:
    name = condition.name.removeprefix(":")
    if value is None:
        return f"{name} is absent"
    return f"{name}: {value} {said(condition.value) if condition.invert else denied(condition.value)}"


def _parameters(query: str) -> dict[str, str]:
    """The first value of each query parameter. Source: Envoy's `Utility::QueryParamsMulti`."""
    found: dict[str, str] = {}
    for part in query.split("&") if query else ():
        name, _, value = part.partition("=")
        found.setdefault(unquote(name), unquote(value))
    return found
