"""Translates a rule of an AuthorizationPolicy to predicates.

Values of a field are alternatives, fields must hold together, and ``notX`` excludes. On a connection that carries bytes
HTTP's fields cannot be evaluated. istiod then drops an ALLOW rule with such a field, and ignores the field in a DENY or
AUDIT rule: both allow less.

Source: istio/istio `pilot/pkg/security/authz/model` (model.go, generator.go) and `…/matcher`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_network

from lockgate.gateway.model import Exact, Prefix, Present, Regex, Suffix, TextMatch, ValueMatch
from lockgate.gateway.policies.model import (
    JWT_FILTER,
    JWT_PAYLOAD,
    All,
    Authenticated,
    DestinationIp,
    DestinationPort,
    DirectRemoteIp,
    Metadata,
    Not,
    OneOf,
    Predicate,
    RemoteIp,
    RequestHeader,
    ServerName,
    UriTemplate,
    UrlPath,
)
from lockgate.resources import istio

_ANY_TEXT = Regex(".+")
_SPIFFE = "spiffe://"


class Unusable(Exception):
    """A value that cannot be evaluated here: HTTP's on a connection that carries bytes, or one without a meaning."""


Make = Callable[[str], Predicate]


@dataclass(frozen=True, slots=True)
class _Field:
    """One field with its values, and how a predicate is made of each."""

    make: Make
    values: tuple[str, ...]
    excluded: tuple[str, ...]
    http: bool = False


def permissions_and_principals(
    rule: istio.AuthorizationRule, namespace: str, *, tcp: bool, allow: bool
) -> tuple[tuple[Predicate, ...], tuple[Predicate, ...]]:
    """The alternatives of `to` and of `from`, each with the conditions of `when`. Raises `Unusable` for an ALLOW rule
    that has to be dropped."""
    done, known = _conditions(rule.when, namespace)
    permissions = [_operation(each.operation) + done for each in rule.to] or [done]
    principals = [_source(each.source, namespace) + known for each in rule.from_] or [known]
    return (
        tuple(_together(fields, tcp, allow) for fields in permissions),
        tuple(_together(fields, tcp, allow) for fields in principals),
    )


def _together(fields: Iterable[_Field], tcp: bool, allow: bool) -> Predicate:
    parts: list[Predicate] = []
    for one in fields:
        for values, wrap in ((one.values, _same), (one.excluded, Not)):
            made = [found for value in values if (found := _made(one, value, tcp, allow)) is not None]
            if made:
                parts.append(wrap(OneOf(tuple(made)) if len(made) > 1 else made[0]))
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _same(predicate: Predicate) -> Predicate:
    return predicate


def _made(one: _Field, value: str, tcp: bool, allow: bool) -> Predicate | None:
    try:
        if one.http and tcp:
            raise Unusable(value)
        return one.make(value)
    except Unusable:
        if allow:
            raise
        return None


# --- fields ------------------------------------------------------------------------------------------------------


def _source(source: istio.Source | None, namespace: str) -> tuple[_Field, ...]:
    if source is None:
        return ()
    return (
        _Field(_principal, source.principals, source.not_principals),
        _Field(_request_principal, source.request_principals, source.not_request_principals, http=True),
        _Field(_account_in(namespace), source.service_accounts, source.not_service_accounts),
        _Field(_namespace, source.namespaces, source.not_namespaces),
        _Field(_block(RemoteIp), source.remote_ip_blocks, source.not_remote_ip_blocks),
        _Field(_block(DirectRemoteIp), source.ip_blocks, source.not_ip_blocks),
    )


def _operation(operation: istio.Operation | None) -> tuple[_Field, ...]:
    if operation is None:
        return ()
    return (
        _Field(_host, operation.hosts, operation.not_hosts, http=True),
        _Field(lambda value: RequestHeader(":method", _value(value)), operation.methods, operation.not_methods, True),
        _Field(_path, operation.paths, operation.not_paths, http=True),
        _Field(_port, operation.ports, operation.not_ports),
    )


def _conditions(conditions: Iterable[istio.Condition], namespace: str) -> tuple[tuple[_Field, ...], tuple[_Field, ...]]:
    """The conditions about what is done, and those about who does it."""
    done: list[_Field] = []
    known: list[_Field] = []
    for each in conditions:
        (done if _is_about_operation(each.key) else known).append(_condition(each, namespace))
    return tuple(done), tuple(known)


def _is_about_operation(key: str) -> bool:
    return key.startswith(("destination.", "connection.", "experimental.envoy.filters."))


def _condition(condition: istio.Condition, namespace: str) -> _Field:
    key, values, excluded = condition.key, condition.values, condition.not_values
    name = key.partition("[")[2].removesuffix("]")
    if key.startswith("request.headers["):
        return _Field(lambda value: RequestHeader(name.lower(), _value(value)), values, excluded, http=True)
    if key.startswith("request.experimental.inline.headers["):
        return _Field(lambda value: RequestHeader(name.lower(), _in_list(value)), values, excluded, http=True)
    if key.startswith("request.auth.claims["):
        return _Field(_claim(tuple(name.split("]["))), values, excluded, http=True)
    if key.startswith("experimental.envoy.filters."):
        return _Field(_metadata(key), values, excluded)
    made: dict[str, tuple[Make, bool]] = {
        "source.ip": (_block(DirectRemoteIp), False),
        "remote.ip": (_block(RemoteIp), False),
        "source.namespace": (_namespace, False),
        "source.serviceAccount": (_account_in(namespace), False),
        "source.principal": (_principal, False),
        "request.auth.principal": (_request_principal, True),
        "request.auth.audiences": (_claim(("aud",)), True),
        "request.auth.presenter": (_claim(("azp",)), True),
        "destination.ip": (_block(DestinationIp), False),
        "destination.port": (_port, False),
        "connection.sni": (lambda value: ServerName(_text(value)), False),
    }
    make, http = made.get(key, (_unknown, False))
    return _Field(make, values, excluded, http)


# --- predicates of one value -------------------------------------------------------------------------------------


def _unknown(value: str) -> Predicate:
    raise Unusable(value)


def _block(kind: type[DirectRemoteIp] | type[RemoteIp] | type[DestinationIp]) -> Make:
    def make(value: str) -> Predicate:
        try:
            return kind(str(ip_network(value, strict=False)))
        except ValueError as error:
            raise Unusable(value) from error

    return make


def _port(value: str) -> Predicate:
    if not value.isdecimal() or int(value) > 65535:
        raise Unusable(value)
    return DestinationPort(int(value))


def _host(value: str) -> Predicate:
    """Hosts are compared without regard to case, and with the port that the Host header has."""
    match: ValueMatch
    if value == "*":
        match = Present()
    elif value.startswith("*"):
        match = Suffix(value[1:], ignore_case=True)
    elif value.endswith("*"):
        match = Prefix(value[:-1], ignore_case=True)
    else:
        match = Exact(value, ignore_case=True)
    return RequestHeader(":authority", match)


def _path(value: str) -> Predicate:
    if "{*}" in value or "{**}" in value:
        return UriTemplate(value.replace("{**}", "**").replace("{*}", "*"))
    return UrlPath(_text(value))


def _principal(value: str) -> Predicate:
    match: TextMatch
    if value == "*":
        match = _ANY_TEXT
    elif value.startswith("*"):
        match = Regex(f"{_SPIFFE}.*{_literal(value[1:])}")
    elif value.endswith("*"):
        match = Prefix(_SPIFFE + value[:-1])
    else:
        match = Exact(_SPIFFE + value)
    return Authenticated(match)


def _namespace(value: str) -> Predicate:
    return Authenticated(Regex(f".*/ns/{'.*'.join(_literal(part) for part in value.split('*'))}/.*"))


def _account_in(namespace: str) -> Make:
    """A service account without a namespace is of the policy's."""

    def make(value: str) -> Predicate:
        own, slash, account = value.rpartition("/")
        home = _literal(own if slash else namespace)
        return Authenticated(Regex(f"spiffe://.+/ns/{home}/(.+/|)sa/{_literal(account)}(/.+)?"))

    return make


def _request_principal(value: str) -> Predicate:
    """``issuer/subject``; an issuer may have slashes. A wildcard stands for any beginning or any end."""
    issuer, slash, subject = value.rpartition("/")
    if not slash:
        issuer, subject = subject, ""
    of_issuer: TextMatch
    of_subject: TextMatch
    if value == "*":
        of_issuer = of_subject = _ANY_TEXT
    elif value.startswith("*"):
        of_issuer = (_ANY_TEXT if issuer == "*" else Suffix(issuer[1:])) if slash else _ANY_TEXT
        of_subject = Exact(subject) if slash else Suffix(value[1:])
    elif value.endswith("*"):
        of_issuer = Exact(issuer) if slash else Prefix(value[:-1])
        of_subject = (_ANY_TEXT if subject == "*" else Prefix(subject[:-1])) if slash else _ANY_TEXT
    else:
        of_issuer, of_subject = Exact(issuer), Exact(subject)
    return All(
        (
            Metadata(JWT_FILTER, (JWT_PAYLOAD, "iss"), of_issuer),
            Metadata(JWT_FILTER, (JWT_PAYLOAD, "sub"), of_subject),
        )
    )


def _claim(path: tuple[str, ...]) -> Make:
    return lambda value: Metadata(JWT_FILTER, (JWT_PAYLOAD, *path), _text(value), lists=True)


def _metadata(key: str) -> Make:
    """``experimental.envoy.filters.a.b[c]`` reads `c` of the filter ``envoy.filters.a.b``; ``[v]`` looks in a list."""
    filter_, _, name = key.removeprefix("experimental.").removesuffix("]").partition("[")

    def make(value: str) -> Predicate:
        if not name:
            raise Unusable(value)
        if value.startswith("[") and value.endswith("]"):
            return Metadata(filter_, (name,), _text(value.strip("[]")), lists=True, only_lists=True)
        return Metadata(filter_, (name,), _text(value))

    return make


# --- texts -------------------------------------------------------------------------------------------------------


def _text(value: str) -> TextMatch:
    """Any text that is not empty for ``*``."""
    if value == "*":
        return _ANY_TEXT
    if value.startswith("*"):
        return Suffix(value[1:])
    if value.endswith("*"):
        return Prefix(value[:-1])
    return Exact(value)


def _value(value: str) -> ValueMatch:
    """A header's value; ``*`` is any, also an empty one."""
    return Present() if value == "*" else _text(value)


def _in_list(value: str) -> ValueMatch:
    """One of the values of a header, which are separated by commas."""
    if value == "*":
        return Present()
    if value.startswith("*"):
        one = ".*" + _literal(value[1:])
    elif value.endswith("*"):
        one = _literal(value[:-1]) + ".*"
    else:
        one = _literal(value)
    return Regex(f"^{one}$|^{one},.*|.*,{one},.*|.*,{one}$")


def _literal(text: str) -> str:
    """As Go's `regexp.QuoteMeta`: RE2 refuses some escapes that Python's `re.escape` writes."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)
