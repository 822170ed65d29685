"""Istio's webhook for AuthorizationPolicy: `pkg/config/validation/validation.go`, ValidateAuthorizationPolicy, and
`pkg/config/security/security.go` for the values."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

from lockgate.resources import istio
from lockgate.resources.field_errors import FieldError, Path
from lockgate.resources.rules import istio_selectors
from lockgate.resources.rules.istio_names import conflict, problem, q, required

_IDENTITIES: Final = ("principals", "notPrincipals", "namespaces", "notNamespaces")
_ACCOUNTS: Final = ("serviceAccounts", "notServiceAccounts")
_BLOCKS: Final = ("ipBlocks", "notIpBlocks", "remoteIpBlocks", "notRemoteIpBlocks")
_REQUEST: Final = ("requestPrincipals", "notRequestPrincipals")
_LITERAL: Final = re.compile(r"[a-zA-Z0-9\-._~%!$&'()+,;:@=]+")
_MEANINGLESS = (
    "{action} action without `rules` is meaningless as it will never be triggered, "
    "add an empty rule `{{}}` if you want it be triggered for every request"
)


def refusals(policy: istio.AuthorizationPolicy) -> Iterator[FieldError]:
    spec = policy.spec
    yield from istio_selectors.refusals(spec.selector, spec.target_ref, spec.target_refs)
    if spec.action in ("CUSTOM", "DENY") and not spec.rules:
        yield required(("spec", "rules"), _MEANINGLESS.format(action=spec.action))
    if spec.action == "CUSTOM":
        if spec.rules and not (spec.provider and spec.provider.name):
            yield required(("spec", "provider", "name"), "`provider.name` must not be empty")
    elif spec.provider is not None:
        message = f"`provider` must not be with non CUSTOM action, found {spec.action or 'ALLOW'}"
        yield conflict(("spec", "provider"), message)
    for index, rule in enumerate(spec.rules):
        yield from _rule(("spec", "rules", index), rule, index, custom=spec.action == "CUSTOM")


def warnings(policy: istio.AuthorizationPolicy) -> Iterator[FieldError]:
    yield from istio_selectors.warnings(policy.spec.selector)
    if policy.spec.action != "DENY":
        return
    for index, rule in enumerate(policy.spec.rules):
        from_tcp = any(_given(each.source, _IDENTITIES + _ACCOUNTS + _BLOCKS) for each in rule.from_ if each.source)
        to_tcp = any(_given(each.operation, ("ports", "notPorts")) for each in rule.to if each.operation)
        if (rule.from_ and not rule.to and not from_tcp) or (rule.to and not to_tcp):
            message = (
                "configured AuthorizationPolicy will deny all traffic to TCP ports under its scope due to the use of "
                "only HTTP attributes in a DENY rule; it is recommended to explicitly specify the port"
            )
            yield problem(("spec", "rules", index), message)


def _rule(path: Path, rule: istio.AuthorizationRule, number: int, *, custom: bool) -> Iterator[FieldError]:
    for index, origin in enumerate(rule.from_):
        at = (*path, "from", index, "source")
        if origin.source is None:
            yield required(at, f"`from.source` must not be nil, found at rule {number}")
        else:
            yield from _source(at, origin.source, number, custom)
    for index, aim in enumerate(rule.to):
        at = (*path, "to", index, "operation")
        if aim.operation is None:
            yield required(at, f"`to.operation` must not be nil, found at rule {number}")
        else:
            yield from _operation(at, aim.operation, number)
    for index, condition in enumerate(rule.when):
        yield from _condition((*path, "when", index), condition, custom)


def _source(path: Path, source: istio.Source, number: int, custom: bool) -> Iterator[FieldError]:
    fields = _values(source)
    if not any(fields.values()):
        yield required(path, f"`from.source` must not be empty, found at rule {number}")
    if any(fields[name] for name in _IDENTITIES) and any(fields[name] for name in _ACCOUNTS):
        yield conflict(path, f"cannot set serviceAccounts with namespaces or principals, found at rule {number}")
    for name, values in fields.items():
        at, title = (*path, name), name[0].upper() + name[1:]
        if custom and values and name in _IDENTITIES + _ACCOUNTS + _REQUEST:
            yield conflict(at, f"From.{title} is currently not supported with CUSTOM action")
        if name in _ACCOUNTS:
            yield from _service_accounts(at, title, values)
            continue
        if name in _BLOCKS:
            yield from _addresses(at, values)
        yield from _not_empty(at, title, values)


def _operation(path: Path, operation: istio.Operation, number: int) -> Iterator[FieldError]:
    fields = _values(operation)
    if not any(fields.values()):
        yield required(path, f"`to.operation` must not be empty, found at rule {number}")
    for name, values in fields.items():
        at, title = (*path, name), name[0].upper() + name[1:]
        if name in ("ports", "notPorts"):
            yield from _ports(at, values)
        yield from _not_empty(at, title, values)
        if name in ("paths", "notPaths"):
            yield from _templates(at, title, values)


def _condition(path: Path, condition: istio.Condition, custom: bool) -> Iterator[FieldError]:
    key = condition.key
    if custom and (key in _UNSUPPORTED_WITH_CUSTOM or key.startswith("request.auth.")):
        yield conflict((*path, "key"), f"{key} is currently not supported with CUSTOM action")
    if not key:
        yield required((*path, "key"), "`key` must not be empty")
    elif not condition.values and not condition.not_values:
        yield required(path, f"at least one of `values` or `notValues` must be set for key {key}")
    else:
        for name, said, values in (
            ("values", "value", condition.values),
            ("notValues", "notValue", condition.not_values),
        ):
            for fault in _attribute((*path, name), (*path, "key"), key, values):
                yield problem(fault.path, f"invalid `{said}` for `key` {key}: {fault.message}")


_UNSUPPORTED_WITH_CUSTOM: Final = ("source.namespace", "source.serviceAccount", "source.principal")
_WITH_NAME: Final = (
    "request.headers", "request.experimental.inline.headers", "request.auth.claims", "experimental.envoy.filters.",
)  # fmt: skip
_ANY_VALUE: Final = (
    "source.namespace", "source.principal", "request.auth.principal", "request.auth.audiences",
    "request.auth.presenter", "connection.sni",
)  # fmt: skip
_REPLACED: Final = {
    "destination.namespace": "attribute destination.namespace is replaced by the metadata.namespace",
    "destination.name": "deprecated attribute destination.name: only supported in v1alpha1",
    "destination.user": "deprecated attribute destination.user: only supported in v1alpha1",
}


def _attribute(path: Path, at_key: Path, key: str, values: tuple[str, ...]) -> Iterator[FieldError]:
    if empty := next(_not_empty(path, key, values), None):
        yield empty
    elif key.startswith(_WITH_NAME):
        opening = key.find("[")
        if not (key.endswith("]") and 0 < opening < len(key) - 2):
            yield problem(at_key, f"bad key ({key}): should have format a[b]")
    elif key in ("source.ip", "remote.ip", "destination.ip"):
        yield from _addresses(path, values)
    elif key == "source.serviceAccount":
        yield from _service_accounts(path, key, values)
    elif key == "destination.port":
        yield from _ports(path, values)
    elif key.startswith("destination.labels"):
        yield problem(at_key, f"attribute {key} is replaced by the workload selector")
    elif key in _REPLACED:
        yield problem(at_key, _REPLACED[key])
    elif key not in _ANY_VALUE:
        yield problem(at_key, f"unknown attribute: {key}")


# --- values ------------------------------------------------------------------------------------------------------


def _values(part: istio.Source | istio.Operation) -> dict[str, tuple[str, ...]]:
    """The values by their field's name in manifests."""
    return {field.alias or name: getattr(part, name) for name, field in type(part).model_fields.items()}


def _given(part: istio.Source | istio.Operation, names: tuple[str, ...]) -> bool:
    fields = _values(part)
    return any(fields[name] for name in names)


def _not_empty(path: Path, title: str, values: tuple[str, ...]) -> Iterator[FieldError]:
    for index, value in enumerate(values):
        if not value:
            yield problem((*path, index), f"empty value not allowed, found in {title}")


def _addresses(path: Path, values: tuple[str, ...]) -> Iterator[FieldError]:
    for index, value in enumerate(values):
        try:
            if "/" in value:
                prefix = value.rpartition("/")[2]
                if not prefix.isdecimal() or not prefix.isascii():
                    raise ValueError(value)
                ipaddress.ip_network(value, strict=False)
            else:
                ipaddress.ip_address(value)
        except ValueError:
            what = "bad CIDR range" if "/" in value else "bad IP address"
            yield problem((*path, index), f"{what} ({value})")


def _ports(path: Path, values: tuple[str, ...]) -> Iterator[FieldError]:
    for index, value in enumerate(values):
        if not (value.isascii() and value.isdecimal() and int(value) <= 65535):
            yield problem((*path, index), f"bad port ({value})")


def _service_accounts(path: Path, title: str, values: tuple[str, ...]) -> Iterator[FieldError]:
    expected = "expected format 'serviceAccount' or 'namespace/serviceAccount'"
    if len(values) > 16:
        yield problem(path, "may not have more than 16 values")
    for index, value in enumerate(values):
        at = (*path, index)
        namespace, slash, account = value.rpartition("/")
        if not value:
            yield problem(at, f"empty value not allowed, found in {title}")
        elif "*" in value:
            yield problem(at, f"wildcard not allowed, found in {title}")
        elif len(value) > 320:
            yield problem(at, f"value cannot exceed 320 characters, found {q(value)} in {title}")
        elif value.count("/") > 1:
            yield problem(at, f"{expected}, found {q(value)} in {title}")
        elif slash and not (namespace and account):
            what = "namespace" if not namespace else "serviceAccount"
            yield problem(at, f"{expected}, found empty {what} {q(value)} in {title}")


def _templates(path: Path, title: str, values: tuple[str, ...]) -> Iterator[FieldError]:
    """``{*}`` stands for one segment, ``{**}`` for any number of them; ``{**}`` is the last of them."""
    for index, value in enumerate(values):
        if fault := _template_fault(value):
            where = f"invalid or unsupported path {value.strip('/')}, found in {title}. "
            yield problem((*path, index), where + fault)


def _template_fault(value: str) -> str | None:
    is_template = "{*}" in value or "{**}" in value
    any_seen = False
    for segment in value.strip("/").split("/"):
        if segment in ("{*}", "{**}"):
            if any_seen:
                return "{**} is not the last operator"
            any_seen = segment == "{**}"
        elif "{" in segment or "}" in segment:
            return "Contains '{' or '}' beyond a supported path template"
        elif is_template and not _LITERAL.fullmatch(segment):
            return f"Contains segment {segment} with invalid string literal"
    return None
