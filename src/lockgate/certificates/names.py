"""The names of cert-manager's objects, so that `kubectl get order` shows the same names as on a cluster.

Source: cert-manager, `pkg/api/util/names.go`, `pkg/controller/acmeorders/util.go`.
"""

from __future__ import annotations

import hashlib
import json
import re

from lockgate.resources import cert_manager as cm
from lockgate.resources.model import JsonObject

_LONGEST_PREFIX = 52


def request_name(certificate: str, revision: int) -> str:
    """``<certificate>-<revision>``. A name that is too long is truncated and gets a digest."""
    if len(certificate) <= 233:
        return f"{certificate}-{revision}"
    digest = hashlib.sha256(certificate.encode()).hexdigest()
    return f"{certificate[:168].rstrip('-.')}-{digest}-{revision}"


def order_name(request: str, spec: cm.OrderSpec) -> str:
    """Stable for a request and its names, so that an existing order is found again."""
    document: JsonObject = {"request": None, "issuerRef": _issuer(spec.issuer_ref)}
    for name, value in (
        ("commonName", spec.common_name),
        ("dnsNames", list(spec.dns_names)),
        ("ipAddresses", list(spec.ip_addresses)),
        ("duration", spec.duration),
        ("profile", spec.profile),
        ("replaces", spec.replaces),
    ):
        if value:
            document[name] = value
    if len(request) >= _LONGEST_PREFIX:
        document = {"certificateRequestName": request, "spec": document}
    return _hashed(request, document)


def challenge_name(order: str, spec: JsonObject) -> str:
    """`spec` is the challenge's, as written to the API; its key is not part of the name."""
    document: JsonObject = {}
    for name in ("url", "authorizationURL", "dnsName", "wildcard", "type", "token"):
        document[name] = spec.get(name, False if name == "wildcard" else "")
    document["key"] = ""
    document["solver"] = spec["solver"]
    document["issuerRef"] = spec["issuerRef"]
    return _hashed(order, document)


def _hashed(prefix: str, document: JsonObject) -> str:
    return f"{_cut(prefix)}-{_fnv(_go_json(document))}"


def _cut(prefix: str) -> str:
    if len(prefix) < _LONGEST_PREFIX:
        return prefix
    return re.sub(r"[^a-zA-Z0-9]+$", "", prefix[:_LONGEST_PREFIX])


def _issuer(reference: cm.IssuerReference) -> JsonObject:
    document: JsonObject = {"name": reference.name}
    if reference.kind:
        document["kind"] = reference.kind
    if reference.group:
        document["group"] = reference.group
    return document


def _go_json(document: JsonObject) -> bytes:
    """Compact JSON, with the characters escaped that Go's encoder escapes for HTML."""
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode()


def _fnv(data: bytes) -> int:
    """32-bit FNV-1: multiply, then xor. (FNV-1a does it in the opposite order.)"""
    value = 0x811C9DC5
    for byte in data:
        value = (value * 0x01000193) & 0xFFFFFFFF ^ byte
    return value
