"""Validates names, labels and annotations of all kinds (apimachinery's `validation` and `api/validation`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from lockgate.resources import field_errors
from lockgate.resources.field_errors import FieldError, Path
from lockgate.resources.model import Resource

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_LABEL = re.compile(_LABEL)
_DNS_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_DNS_1035 = re.compile("[a-z]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED = re.compile("([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_ANNOTATIONS_LIMIT = 256 * 1024

SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_DNS_1035_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_QUALIFIED_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)

# Names of roles and role bindings are path segments, not host names.
_FREE_NAMES = {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}
# Only istioctl reads IstioOperator files, and needs no name.
_NAMELESS = {"IstioOperator"}


def refusals(resource: Resource) -> Iterator[FieldError]:
    meta = resource.metadata
    kind = resource.KIND.kind
    if not meta.name and not meta.generate_name and kind not in _NAMELESS:
        yield field_errors.required(("metadata", "name"), "name or generateName is required")
    if meta.name:
        yield from _name(("metadata", "name"), meta.name, kind)
    if meta.namespace and resource.KIND.namespaced:
        yield from dns_label(("metadata", "namespace"), meta.namespace)
    yield from labels(("metadata", "labels"), meta.labels)
    for key in meta.annotations:
        yield from _key(("metadata", "annotations"), key, key.lower())
    if sum(len(key) + len(value) for key, value in meta.annotations.items()) > _ANNOTATIONS_LIMIT:
        yield field_errors.too_long(("metadata", "annotations"), _ANNOTATIONS_LIMIT)


def dns_label(path: Path, value: str) -> Iterator[FieldError]:
    if len(value) > 63:
        yield field_errors.invalid(path, value, "must be no more than 63 characters")
    if not _DNS_LABEL.fullmatch(value):
        yield field_errors.invalid(path, value, LABEL_RULE)


def dns_1035(path: Path, value: str) -> Iterator[FieldError]:
    if len(value) > 63:
        yield field_errors.invalid(path, value, "must be no more than 63 characters")
    if not _DNS_1035.fullmatch(value):
        yield field_errors.invalid(path, value, _DNS_1035_RULE)


def dns_subdomain(path: Path, value: str) -> Iterator[FieldError]:
    if len(value) > 253:
        yield field_errors.invalid(path, value, "must be no more than 253 characters")
    if not _DNS_SUBDOMAIN.fullmatch(value):
        yield field_errors.invalid(path, value, SUBDOMAIN_RULE)


def labels(path: Path, values: Mapping[str, str]) -> Iterator[FieldError]:
    for key, value in values.items():
        yield from _key(path, key, key)
        if len(value) > 63:
            yield field_errors.invalid(path, value, "must be no more than 63 bytes")
        if value and not _QUALIFIED.fullmatch(value):
            yield field_errors.invalid(path, value, _VALUE_RULE)


def _name(path: Path, name: str, kind: str) -> Iterator[FieldError]:
    if kind in _FREE_NAMES:
        if name in (".", "..") or "/" in name or "%" in name:
            yield field_errors.invalid(path, name, "may not be '.' or '..' or contain '/' or '%'")
    elif kind == "Namespace":
        yield from dns_label(path, name)
    elif kind == "Service":
        # Services are names in DNS, so the older, stricter rule applies.
        yield from dns_1035(path, name)
    else:
        yield from dns_subdomain(path, name)


def _key(path: Path, shown: str, key: str) -> Iterator[FieldError]:
    prefix, slash, name = key.rpartition("/")
    if slash and (not prefix or not _DNS_SUBDOMAIN.fullmatch(prefix)):
        problem = "prefix part must be non-empty" if not prefix else f"prefix part {SUBDOMAIN_RULE}"
        yield field_errors.invalid(path, shown, problem)
    if not name:
        yield field_errors.invalid(path, shown, "name part must be non-empty")
    elif len(name) > 63:
        yield field_errors.invalid(path, shown, "name part must be no more than 63 bytes")
    elif not _QUALIFIED.fullmatch(name):
        yield field_errors.invalid(path, shown, _QUALIFIED_RULE)
