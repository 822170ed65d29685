"""The Secret of a Certificate: its keys, labels and annotations.

Source: cert-manager, `pkg/controller/certificates/issuing/internal/secret.go` and its documentation "Certificate".
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

from cryptography import x509

from lockgate.certificates.authority import pem
from lockgate.certificates.keys import encode_key, load_key
from lockgate.certificates.request import alternative_names, common_name_of, load_chain, subject_annotations
from lockgate.resources import cert_manager as cm
from lockgate.resources import core
from lockgate.resources.model import JsonObject

FIELD_MANAGER = "cert-manager-certificates-issuing"
FAO = "controller.cert-manager.io/fao"  # "for attention of"; cert-manager's watch filters by it
ISSUER_NAME = "cert-manager.io/issuer-name"
ISSUER_KIND = "cert-manager.io/issuer-kind"
ISSUER_GROUP = "cert-manager.io/issuer-group"
CERTIFICATE_NAME = "cert-manager.io/certificate-name"
NEXT_KEY = "cert-manager.io/next-private-key"


@dataclass(frozen=True, slots=True)
class Material:
    """An issued certificate: `chain` is leaf first. `key` is PEM in any encoding; the Certificate decides how to store
    it."""

    chain: bytes
    key: bytes = field(repr=False)
    ca: bytes = b""


def target(certificate: cm.Certificate, material: Material, *, existing_type: str | None = None) -> JsonObject:
    """The Secret to apply. An existing Secret keeps its type, which is immutable."""
    leaf = load_chain(material.chain)[0]
    spec = certificate.spec
    template = spec.secret_template
    data = {"tls.crt": material.chain, "tls.key": _stored_key(certificate, material.key)}
    if material.ca:
        data["ca.crt"] = material.ca
    for output in spec.additional_output_formats:
        match output.type:
            case "DER":
                data["key.der"] = _der(data["tls.key"])  # in tls.key's encoding
            case "CombinedPEM":
                data["tls-combined.pem"] = data["tls.key"] + b"\n" + material.chain
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": spec.secret_name,
            "namespace": certificate.namespace,
            "labels": {FAO: "true", **(template.labels if template else {})},
            "annotations": {**(template.annotations if template else {}), **issued_annotations(certificate, leaf)},
        },
        "type": existing_type or "kubernetes.io/tls",
        "data": {name: base64.b64encode(value).decode() for name, value in data.items()},
    }


def issued_annotations(certificate: cm.Certificate, leaf: x509.Certificate) -> dict[str, str]:
    """The Secret's annotations. The four about names are always set, possibly to empty strings."""
    names = alternative_names(leaf)
    reference = certificate.spec.issuer_ref
    found = {
        "cert-manager.io/alt-names": ",".join(names["spec.dnsNames"]),
        "cert-manager.io/ip-sans": ",".join(names["spec.ipAddresses"]),
        "cert-manager.io/uri-sans": ",".join(names["spec.uris"]),
        "cert-manager.io/common-name": common_name_of(leaf.subject),
        CERTIFICATE_NAME: certificate.name,
        ISSUER_NAME: reference.name,
        ISSUER_KIND: reference.kind,
        ISSUER_GROUP: reference.group,
    }
    if emails := names["spec.emailAddresses"]:
        found["cert-manager.io/email-sans"] = ",".join(emails)
    return found | subject_annotations(leaf)


def next_key(certificate: cm.Certificate, key: bytes, owner: JsonObject) -> JsonObject:
    """The temporary Secret for a private key until its certificate is issued. Always PKCS#8."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "generateName": f"{certificate.name}-",
            "namespace": certificate.namespace,
            "labels": {NEXT_KEY: "true", FAO: "true"},
            "ownerReferences": [owner],
        },
        "type": "Opaque",
        "data": {"tls.key": base64.b64encode(key).decode()},
    }


def stored(secret: core.Secret) -> Material | None:
    """The content of a Secret; None if it has no complete pair."""
    data = secret.decoded
    if not data.get("tls.crt") or not data.get("tls.key"):
        return None
    return Material(data["tls.crt"], data["tls.key"], data.get("ca.crt", b""))


def is_up_to_date(secret: core.Secret, desired: JsonObject) -> bool:
    """Whether applying `desired` would change nothing. Additional content from others does not count."""
    metadata = desired["metadata"]
    return bool(
        metadata["labels"].items() <= secret.metadata.labels.items()
        and metadata["annotations"].items() <= secret.metadata.annotations.items()
        and desired["data"].items() <= secret.data.items()
        and _owned(secret, "f:data") <= desired["data"].keys()
        and _owned(secret, "f:metadata", "f:labels") <= metadata["labels"].keys()
        and _owned(secret, "f:metadata", "f:annotations") <= metadata["annotations"].keys()
    )


def _owned(secret: core.Secret, *path: str) -> set[str]:
    """The entries of a map that were applied before. Applying without them removes them."""
    for entry in secret.metadata.managed_fields:
        if (entry.get("manager"), entry.get("operation")) == (FIELD_MANAGER, "Apply"):
            found = entry.get("fieldsV1") or {}
            for name in path:
                found = found.get(name) or {}
            return {name.removeprefix("f:") for name in found if name != "."}
    return set()


def split_authority(chain: bytes) -> tuple[bytes, bytes]:
    """A chain without its self-signed root, and that root (empty if the chain has none)."""
    certificates = load_chain(chain)
    roots = [each for each in certificates[1:] if each.subject == each.issuer]
    rest = [each for each in certificates if each not in roots]
    return "".join(map(pem, rest)).encode(), "".join(map(pem, roots[:1])).encode()


def _stored_key(certificate: cm.Certificate, key: bytes) -> bytes:
    desired = certificate.spec.private_key
    return encode_key(load_key(key), (desired.encoding if desired else None) or "PKCS1")


def _der(text: bytes) -> bytes:
    return base64.b64decode(b"".join(text.split(b"-----")[2].split()))
