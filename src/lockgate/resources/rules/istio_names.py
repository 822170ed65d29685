"""Host names, ports, durations and expressions as Istio's webhook reads them (`pkg/config/validation`, `…/host`)."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from lockgate.resources import durations, field_errors
from lockgate.resources.field_errors import FieldError, Path, Reason
from lockgate.resources.regexes import go_mistake
from lockgate.resources.rules import metadata

WEBHOOK = "validation.istio.io"

_LABEL = re.compile("[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?")
_WILDCARD_LABEL = re.compile(r"\*|(?:\*-)?[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?")


def problem(path: Path, message: str, reason: Reason = Reason.INVALID) -> FieldError:
    """Istio's webhook does not name fields; the path is for the user."""
    return FieldError(path, reason, message, WEBHOOK)


def said_by_webhook(found: Iterable[FieldError]) -> Iterator[FieldError]:
    for fault in found:
        yield replace(fault, webhook=WEBHOOK)


def q(text: str) -> str:
    """Go's ``%q``."""
    return json.dumps(text, ensure_ascii=False)


def is_label(text: str) -> bool:
    return len(text) <= 63 and _LABEL.fullmatch(text) is not None


def wildcard_domain(path: Path, domain: str) -> Iterator[FieldError]:
    if (reason := _precondition(domain)) is not None:
        yield problem(path, reason)
        return
    first, dot, rest = domain.partition(".")
    if len(first) > 63 or not _WILDCARD_LABEL.fullmatch(first):
        yield problem(path, f"domain name {q(domain)} invalid (label {q(first)} invalid)")
    elif dot:
        yield from _labels(path, domain, rest)


def partial_wildcard(path: Path, host: str) -> Iterator[FieldError]:
    """A wildcard may only be a whole first label."""
    if "*" in host and host != "*" and not host.startswith("*."):
        yield problem(path, f"partial wildcard {q(host)} not allowed")


def domain(path: Path, name: str) -> Iterator[FieldError]:
    if (reason := _precondition(name)) is not None:
        yield problem(path, reason)
    else:
        yield from _labels(path, name, name)


def _precondition(name: str) -> str | None:
    if not name:
        return "empty domain name not allowed"
    return f"domain name {q(name)} too long (max 255)" if len(name) > 255 else None


def _labels(path: Path, whole: str, part: str) -> Iterator[FieldError]:
    labels = part.removesuffix(".").split(".")
    if labels[-1].isdigit():
        yield problem(path, f"domain name {q(whole)} invalid (top level domain {q(labels[-1])} cannot be all-numeric)")
        return
    for label in labels:
        if not is_label(label):
            yield problem(path, f"domain name {q(whole)} invalid (label {q(label)} invalid)")
            return


def is_address(text: str) -> bool:
    if not text[:1].isdigit() and ":" not in text:
        return False  # most are names, and parsing to fail is slow
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def port(path: Path, number: int) -> Iterator[FieldError]:
    if not 1 <= number <= 65535:
        yield problem(path, f"port number {number} must be in the range 1..65535")


def duration(path: Path, text: str | None) -> Iterator[FieldError]:
    """The first message is the CRD's rule. Zero is too small: ``timeout: 0s`` is refused."""
    if text is None:
        return
    parsed = durations.nanoseconds(text)
    if parsed is None or parsed < 10**6:
        yield field_errors.invalid(path, text, "must be a valid duration greater than 1ms")
    elif parsed % 10**6:
        yield problem(path, "only durations to ms precision are supported")


def subnet(path: Path, text: str) -> Iterator[FieldError]:
    address, slash, length = text.partition("/")
    try:
        ipaddress.ip_network(text, strict=False)
        if slash and not (length.isascii() and length.isdecimal()):
            raise ValueError(text)  # 10.0.0.0/255.0.0.0
    except ValueError:
        what = f"{text} is not a valid CIDR block" if slash else f"{address} is not a valid IP"
        yield problem(path, what)


def export_to(
    path: Path, names: tuple[str, ...], namespace: str, *, to_nobody: bool = False, selects: bool = False
) -> Iterator[FieldError]:
    """`to_nobody` is whether ``~`` is allowed, `selects` whether the object selects workloads."""
    seen: set[str] = set()
    for index, name in enumerate(names):
        at, key = (*path, index), namespace if name == "." else name
        if key in seen:
            what = f"for entry {name}" if key == name else f": . and current namespace {namespace}"
            yield problem(at, f"duplicate entries in exportTo{'' if key != name else ' '}{what}", Reason.DUPLICATE)
        elif name == "~" and not to_nobody:
            yield problem(at, "exportTo ~ (none) is not allowed for Istio configuration objects")
        elif name not in ("*", ".", "~") and not is_label(name):
            yield problem(at, "only .,*, or a valid DNS 1123 label is allowed as exportTo entry")
        else:
            seen.add(key)
    if selects and seen:
        if namespace not in seen:
            message = "destination rule with workload selector cannot have exportTo beyond current namespace"
            yield problem(path, message)
        elif len(seen) > 1:
            yield problem(path, "destination rule with workload selector cannot have multiple entries in exportTo")
    if "*" in seen and len(names) > 1:
        yield problem(path, "cannot have both public (*) and non-public exportTo values for a resource")
    if "~" in seen and len(names) > 1:
        yield problem(path, "cannot export service entry to no one (~) and someone")


def selector(path: Path, labels: dict[str, str]) -> Iterator[FieldError]:
    """The labels with which a resource selects workloads."""
    for name, value in labels.items():
        if not name:
            yield problem((*path, name), f"empty key is not supported in selector: {q(f'{name}={value}')}")
        if "*" in name or "*" in value:
            yield problem((*path, name), f"wildcard is not supported in selector: {q(f'{name}={value}')}")


PROTOCOLS = frozenset(
    (
        "TCP", "UDP", "GRPC", "GRPC-WEB", "HTTP", "HTTP_PROXY", "HTTP2", "HTTPS", "TLS", "MONGO", "REDIS", "MYSQL",
        "HBONE", "DOUBLE-HBONE",
    )
)  # fmt: skip


def protocol(path: Path, text: str) -> Iterator[FieldError]:
    if text and text.upper() not in PROTOCOLS:
        yield problem(path, f"unsupported protocol: {text}", Reason.UNSUPPORTED)


def unix_address(path: Path, address: str) -> Iterator[FieldError]:
    """The part after ``unix://``: an absolute path, or an abstract name, which starts with ``@``."""
    if not address:
        yield problem(path, "unix address must not be empty")
    elif not address.startswith("@") and (not address.startswith("/") or address.endswith("/")):
        yield problem(path, f"{address} is not an absolute path to a file")


def label_values(path: Path, labels: dict[str, str]) -> Iterator[FieldError]:
    yield from said_by_webhook(metadata.labels(path, labels))


def required(path: Path, message: str) -> FieldError:
    return problem(path, message, Reason.REQUIRED)


def conflict(path: Path, message: str) -> FieldError:
    return problem(path, message, Reason.FORBIDDEN)


_MAX_REGEX = 1024  # bytes


def regex(path: Path, field: str, pattern: str) -> Iterator[FieldError]:
    """Whether Go's `regexp`, with which istiod compiles it, accepts it. Envoy gets it afterwards."""
    if not pattern:
        yield problem(path, f"{q(field)}: regex string match should not be empty")
    elif len(pattern.encode(errors="replace")) > _MAX_REGEX:
        yield problem(path, f"{q(field)}: regex is too large, max length allowed is {_MAX_REGEX}")
    elif (mistake := go_mistake(pattern)) is not None:
        syntax = "Istio uses RE2 style regex-based match (https://github.com/google/re2/wiki/Syntax)"
        yield problem(path, f"{q(field)}: error parsing regexp: {mistake}; {syntax}")
