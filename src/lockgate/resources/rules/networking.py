"""Ingress and IngressClass, as in `pkg/apis/networking/validation`."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from lockgate.resources import field_errors, networking
from lockgate.resources.field_errors import FieldError, Path
from lockgate.resources.rules import metadata
from lockgate.resources.rules.core import port_number, port_or_name

_CLASS_ANNOTATION = "kubernetes.io/ingress.class"
_WILDCARD = re.compile(r"\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_WILDCARD_RULE = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
    "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', "
    "regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_FORBIDDEN_IN_PATH = ("//", "/./", "/../", "%2f", "%2F")
_FORBIDDEN_AT_END = ("/..", "/.")


def ingress(ingress: networking.Ingress) -> Iterator[FieldError]:
    spec = ingress.spec
    if spec.default_backend is None and not spec.rules:
        yield field_errors.invalid(("spec",), [], "either `defaultBackend` or `rules` must be specified")
    if spec.default_backend is not None:
        yield from _backend(("spec", "defaultBackend"), spec.default_backend)
    for index, rule in enumerate(spec.rules):
        at = ("spec", "rules", index)
        if rule.host:
            yield from _host((*at, "host"), rule.host)
        if rule.http is not None:
            if not rule.http.paths:
                yield field_errors.required((*at, "http", "paths"))
            for number, path in enumerate(rule.http.paths):
                yield from _path((*at, "http", "paths", number), path)
    for index, tls in enumerate(spec.tls):
        for number, host in enumerate(tls.hosts):
            yield from _host(("spec", "tls", index, "hosts", number), host)
        if tls.secret_name:
            yield from metadata.dns_subdomain(("spec", "tls", index, "secretName"), tls.secret_name)
    if spec.ingress_class_name is not None:
        yield from metadata.dns_subdomain(("spec", "ingressClassName"), spec.ingress_class_name)
        if _CLASS_ANNOTATION in ingress.metadata.annotations:
            yield field_errors.invalid(
                ("metadata", "annotations", _CLASS_ANNOTATION),
                ingress.metadata.annotations[_CLASS_ANNOTATION],
                "can not be set when the class field is also set",
            )


def _host(path: Path, host: str) -> Iterator[FieldError]:
    if _is_address(host):
        yield field_errors.invalid(path, host, "must be a DNS name, not an IP address")
    elif "*" in host:
        if not _WILDCARD.fullmatch(host):
            yield field_errors.invalid(path, host, _WILDCARD_RULE)
    else:
        yield from metadata.dns_subdomain(path, host)


def _path(at: Path, path: networking.HTTPIngressPath) -> Iterator[FieldError]:
    literal = path.path_type in ("Exact", "Prefix")
    if (literal or path.path) and not path.path.startswith("/"):
        yield field_errors.invalid((*at, "path"), path.path, "must be an absolute path")
    elif literal:
        for part in _FORBIDDEN_IN_PATH:
            if part in path.path:
                yield field_errors.invalid((*at, "path"), path.path, f"must not contain '{part}'")
        for end in _FORBIDDEN_AT_END:
            if path.path.endswith(end):
                yield field_errors.invalid((*at, "path"), path.path, f"cannot end with '{end}'")
    yield from _backend((*at, "backend"), path.backend)


def _backend(at: Path, backend: networking.IngressBackend) -> Iterator[FieldError]:
    service = backend.service
    if service is not None and backend.resource is not None:
        yield field_errors.invalid(at, "", "cannot set both resource and service backends")
    if service is None:
        if backend.resource is None:
            yield field_errors.invalid(at, "", "resource or service backend is required")
        return
    if not service.name:
        yield field_errors.required((*at, "service", "name"))
    else:
        yield from metadata.dns_1035((*at, "service", "name"), service.name)
    if service.port.name and service.port.number:
        yield field_errors.invalid(at, "", "cannot set both port name & port number")
    elif service.port.name:
        yield from port_or_name((*at, "service", "port", "name"), service.port.name)
    elif service.port.number:
        yield from port_number((*at, "service", "port", "number"), service.port.number)
    else:
        yield field_errors.required(at, "port name or number is required")


def ingress_class(ingress_class: networking.IngressClass) -> Iterator[FieldError]:
    controller = ingress_class.spec.controller
    if not controller:
        yield field_errors.required(("spec", "controller"))
    elif not re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+", controller):
        problem = 'must be a domain-prefixed path (such as "acme.io/foo")'
        yield field_errors.invalid(("spec", "controller"), controller, problem)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
