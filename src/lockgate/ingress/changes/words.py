"""Describes rules for the lines of a plan: `host a.example; path /shop → forward default/web-web:80`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from lockgate.ingress.changes.change import named
from lockgate.loadbalancer.model import (
    Action,
    AuthenticateCognito,
    AuthenticateOidc,
    Condition,
    FixedResponse,
    Forward,
    HostHeader,
    HttpHeader,
    HttpRequestMethod,
    JwtValidation,
    PathPattern,
    QueryString,
    Redirect,
    Rule,
    SourceIp,
)


def rule_words(rule: Rule) -> str:
    return f"{'; '.join(map(_condition, rule.conditions))} → {action_words(rule.actions)}"


def action_words(actions: Iterable[Action]) -> str:
    return ", ".join(map(_action, actions))


def _condition(condition: Condition) -> str:
    match condition:
        case HostHeader(values, regexes):
            return f"host {_any(values, regexes)}"
        case PathPattern(values, regexes):
            return f"path {_any(values, regexes)}"
        case HttpHeader(name, values, regexes):
            return f"header {name} {_any(values, regexes)}"
        case HttpRequestMethod(values):
            return f"method {_any(values)}"
        case QueryString(pairs):
            return f"query {_any([f'{pair.key}={pair.value}' if pair.key else pair.value for pair in pairs])}"
        case SourceIp(values):
            return f"source {_any(values)}"
        case _:
            assert_never(condition)


def _any(values: Iterable[str], regexes: Iterable[str] = ()) -> str:
    return " or ".join((*values, *(f"~{regex}" for regex in regexes)))


def _action(action: Action) -> str:
    match action:
        case Forward((only,)):
            return f"forward {named(only.target_group)}"
        case Forward(groups):
            return "forward " + " or ".join(f"{named(each.target_group)} (weight {each.weight})" for each in groups)
        case Redirect(code):
            return f"redirect {code.removeprefix('HTTP_')} {action.protocol}://{action.host}:{action.port}{action.path}"
        case FixedResponse(code):
            return f"respond {code}"
        case AuthenticateOidc(issuer):
            return f"log in at {issuer}"
        case AuthenticateCognito(_, _, domain):
            return f"log in at Cognito domain {domain}"
        case JwtValidation(_, issuer):
            return f"require a JWT of {issuer}"
        case _:
            assert_never(action)
