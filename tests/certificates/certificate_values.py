"""Certificates, Secrets and requests as values, for the tests of this folder."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from lockgate.certificates.authority import Authority
from lockgate.certificates.keys import encode_key, load_key
from lockgate.certificates.request import content, request_manifest, signing_request
from lockgate.certificates.secret import Material, target
from lockgate.resources import cert_manager as cm
from lockgate.resources import core
from lockgate.resources.model import JsonObject

START = datetime(2026, 1, 1, tzinfo=UTC)
CASES = Path(__file__).parent.parent / "cases" / "certificates"


def table(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = yaml.safe_load((CASES / f"{name}.yaml").read_text())
    return rows


@cache
def key(name: str = "key") -> bytes:
    """A private key as PEM, the same one for a name."""
    return encode_key(rsa.generate_private_key(65537, 2048))


@cache
def authority() -> Authority:
    root = Authority.root(
        "Root",
        ec.generate_private_key(ec.SECP256R1()),
        not_before=START,
        not_after=START + timedelta(days=3650),
        serial=1,
    )
    return root.intermediate(
        "Issuing",
        ec.generate_private_key(ec.SECP256R1()),
        not_before=START,
        not_after=START + timedelta(days=3650),
        serial=2,
    )


def certificate(spec: JsonObject | None = None, status: JsonObject | None = None, **metadata: Any) -> cm.Certificate:
    wanted = {
        "secretName": "a-tls",
        "dnsNames": ["a.example.com", "www.a.example.com"],
        "issuerRef": {"name": "le", "kind": "ClusterIssuer"},
    }
    return cm.Certificate.model_validate(
        {
            "apiVersion": "cert-manager.io/v1",
            "kind": "Certificate",
            "metadata": {"name": "a", "namespace": "web", "uid": "u-1", **metadata},
            "spec": {**wanted, **(spec or {})},
            "status": status or {},
        }
    )


def request(
    of: cm.Certificate, *, revision: int = 1, key_name: str = "key", status: JsonObject | None = None
) -> cm.CertificateRequest:
    manifest = request_manifest(of, signing_request(of.spec, load_key(key(key_name))), revision, "a-xxxxx")
    return cm.CertificateRequest.model_validate({**manifest, "status": status or {}})


def chain(of: cm.Certificate, *, key_name: str = "key", lifetime: timedelta = timedelta(hours=2160)) -> bytes:
    return (
        authority()
        .issue(
            load_key(key(key_name)).public_key(),
            content(of.spec),
            not_before=START,
            not_after=START + lifetime,
            serial=3,
        )
        .encode()
    )


def secret(of: cm.Certificate, **kinds: Any) -> core.Secret:
    """The Secret as it is after `of` was issued."""
    return core.Secret.model_validate(target(of, Material(chain(of, **kinds), key(kinds.get("key_name", "key")))))


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
