"""The Certificates that an Ingress requests by annotation: one per entry of spec.tls, owned by the Ingress.

Source: cert-manager, `pkg/controller/certificate-shim/sync.go`, `helper.go`; its documentation "Annotated Ingress
resource". The flags for a default issuer are not set, so `kubernetes.io/tls-acme` alone selects no issuer.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from pydantic import ValidationError

from lockgate.certificates.times import go_duration, parse_duration
from lockgate.certificates.usages import DEFAULT, KNOWN
from lockgate.resources import cert_manager as cm
from lockgate.resources import networking
from lockgate.resources.field_errors import FieldError, invalid, quoted, required
from lockgate.resources.model import JsonObject

ISSUER = "cert-manager.io/issuer"
CLUSTER_ISSUER = "cert-manager.io/cluster-issuer"
KIND = "cert-manager.io/issuer-kind"
GROUP = "cert-manager.io/issuer-group"
TLS_ACME = "kubernetes.io/tls-acme"
_APPLY_SET = "applyset.kubernetes.io/part-of"
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_OVERRIDES = {
    "acme.cert-manager.io/http01-ingress-class": "acme.cert-manager.io/http01-override-ingress-class",
    "acme.cert-manager.io/http01-ingress-ingressclassname": (
        "acme.cert-manager.io/http01-override-ingress-ingressclassname"
    ),
}


class BadConfig(Exception):
    """Why an Ingress gets no Certificate, in cert-manager's words."""


@dataclass(frozen=True, slots=True)
class Shimmed:
    """Certificate manifests to create and to update, names to delete, and the reasons for skipped TLS entries."""

    create: tuple[JsonObject, ...] = ()
    update: tuple[JsonObject, ...] = ()
    delete: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


def asks(ingress: networking.Ingress) -> bool:
    annotations = ingress.metadata.annotations
    return ISSUER in annotations or CLUSTER_ISSUER in annotations or annotations.get(TLS_ACME) in _TRUE


def shim(ingress: networking.Ingress, certificates: Iterable[cm.Certificate]) -> Shimmed:
    """`certificates` are those of the Ingress's namespace. Certificates of other owners are never changed.

    Raises BadConfig.
    """
    if not asks(ingress) or ingress.metadata.deletion_timestamp or "foregroundDeletion" in ingress.metadata.finalizers:
        return Shimmed()
    issuer = _issuer(ingress.metadata.annotations)
    if shared := list(_shared_secrets(ingress)):
        raise BadConfig(_aggregate(shared))
    there = {certificate.name: certificate for certificate in certificates}
    create, update, skipped = [], [], []
    for index, tls in enumerate(ingress.spec.tls):
        missing = [field for field, value in (("hosts", tls.hosts), ("secretName", tls.secret_name)) if not value]
        if missing:
            errors = [required(("spec", "tls", index, field)) for field in missing]
            skipped.append(f"Skipped a TLS block: {_aggregate(errors)}")
            continue
        desired = _certificate(ingress, tls.secret_name, tls.hosts, issuer)
        existing = there.get(tls.secret_name)
        if existing is None:
            create.append(desired)
        elif _owned(existing, ingress) and _differs(existing, desired):
            update.append(desired)
    used = {tls.secret_name for tls in ingress.spec.tls}
    gone = [each.name for each in there.values() if _owned(each, ingress) and each.spec.secret_name not in used]
    return Shimmed(tuple(create), tuple(update), tuple(gone), tuple(skipped))


def _issuer(annotations: Mapping[str, str]) -> JsonObject:
    named, cluster = annotations.get(ISSUER), annotations.get(CLUSTER_ISSUER)
    name = cluster if cluster is not None else named or ""
    wrong = [] if name else ["failed to determine issuer name to be used for ingress resource"]
    for first, second in ((ISSUER, CLUSTER_ISSUER), (CLUSTER_ISSUER, GROUP), (CLUSTER_ISSUER, KIND)):
        if first in annotations and second in annotations:
            wrong.append(f"both {quoted(first)} and {quoted(second)} may not be set")
    if wrong:
        raise BadConfig(f"Could not determine issuer for ingress due to bad annotations: {', '.join(wrong)}")
    kind = annotations.get(KIND, "ClusterIssuer" if cluster is not None else "Issuer")
    return {"name": name, "kind": kind, "group": annotations.get(GROUP, "cert-manager.io")}


def _shared_secrets(ingress: networking.Ingress) -> Iterator[FieldError]:
    places: dict[str, list[int]] = {}
    for index, tls in enumerate(ingress.spec.tls):
        places.setdefault(tls.secret_name, []).append(index)
    for name, indices in places.items():
        if len(indices) > 1:
            other = f"spec.tls[{indices[1]}].secretName"
            message = f"this secret name must only appear in a single TLS entry but is also used in {other}"
            yield invalid(("spec", "tls", indices[0], "secretName"), name, message)


def _aggregate(errors: Sequence[FieldError]) -> str:
    texts = [str(error) for error in errors]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


# --- the Certificate ---------------------------------------------------------------------------------------------


def _certificate(ingress: networking.Ingress, secret: str, hosts: Iterable[str], issuer: JsonObject) -> JsonObject:
    metadata = ingress.metadata
    addresses = [host for host in hosts if _is_address(host)]
    names = [host for host in hosts if not _is_address(host)]
    spec: JsonObject = {
        "secretName": secret,
        "issuerRef": issuer,
        "usages": list(DEFAULT),
        **({"dnsNames": list(dict.fromkeys(names))} if names else {}),
        **({"ipAddresses": list(dict.fromkeys(addresses))} if addresses else {}),
    }
    for annotation, setting in _SETTINGS.items():
        if annotation in metadata.annotations:
            try:
                setting(spec, metadata.annotations[annotation])
            except ValueError as error:
                raise BadConfig(f"invalid ingress annotation {quoted(annotation)}: {error}") from error
    annotations = {
        name: metadata.annotations[given] for given, name in _OVERRIDES.items() if metadata.annotations.get(given)
    }
    if metadata.annotations.get("acme.cert-manager.io/http01-edit-in-place") == "true":
        annotations["acme.cert-manager.io/http01-override-ingress-name"] = ingress.name
        annotations["cert-manager.io/issue-temporary-certificate"] = "true"
    owner = {
        "apiVersion": networking.Ingress.KIND.api_version,
        "kind": "Ingress",
        "name": ingress.name,
        "uid": metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "apiVersion": cm.Certificate.KIND.api_version,
        "kind": "Certificate",
        "metadata": {
            "name": secret,
            "namespace": ingress.namespace,
            "labels": {name: value for name, value in metadata.labels.items() if name != _APPLY_SET},
            "annotations": annotations,
            "ownerReferences": [owner],
        },
        "spec": spec,
    }


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _owned(certificate: cm.Certificate, ingress: networking.Ingress) -> bool:
    return any(
        owner.controller and owner.uid == ingress.metadata.uid for owner in certificate.metadata.owner_references
    )


def _differs(existing: cm.Certificate, desired: JsonObject) -> bool:
    """Compares what cert-manager compares: a change of only usages, subject or annotations is not a difference."""
    other = cm.Certificate.model_validate(desired)
    return existing.metadata.labels != other.metadata.labels or _compared(existing) != _compared(other)


def _compared(certificate: cm.Certificate) -> tuple[Any, ...]:
    spec = certificate.spec
    key = spec.private_key or cm.CertificatePrivateKey()
    size = 0 if key.algorithm == "Ed25519" else key.size
    durations = (parse_duration(text) if text else None for text in (spec.duration, spec.renew_before))
    return (
        (spec.common_name, spec.dns_names, spec.ip_addresses, spec.secret_name, spec.revision_history_limit),
        (spec.issuer_ref.name, spec.issuer_ref.kind),
        (key.algorithm, key.encoding, key.rotation_policy, size),
        tuple(durations),
    )


# --- annotations -------------------------------------------------------------------------------------------------


def _text(field: str) -> Callable[[JsonObject, str], None]:
    def set_text(spec: JsonObject, text: str) -> None:
        spec[field] = text

    return set_text


def _duration(field: str) -> Callable[[JsonObject, str], None]:
    def set_duration(spec: JsonObject, text: str) -> None:
        spec[field] = go_duration(parse_duration(text))

    return set_duration


def _subject(field: str) -> Callable[[JsonObject, str], None]:
    def set_subject(spec: JsonObject, text: str) -> None:
        try:
            values = next(csv.reader([text], strict=True), [])
        except csv.Error as error:
            raise ValueError(str(error)) from error
        spec.setdefault("subject", {})[field] = values

    return set_subject


def _serial_number(spec: JsonObject, text: str) -> None:
    spec.setdefault("subject", {})["serialNumber"] = text


def _emails(spec: JsonObject, text: str) -> None:
    spec["emailAddresses"] = text.split(",")


def _usages(spec: JsonObject, text: str) -> None:
    names = text.split(",")
    for name in names:
        if name.strip(" ") not in KNOWN:
            raise ValueError(f"invalid key usage name {quoted(name)}")
    spec["usages"] = [name.strip(" ") for name in names]


def _revision_history_limit(spec: JsonObject, text: str) -> None:
    limit = _integer(text, "ParseInt")
    if limit < 1:
        raise ValueError(f"revision history limit must be a positive number {quoted(text)}")
    spec["revisionHistoryLimit"] = limit


def _one_of(field: str, what: str, *choices: str) -> Callable[[JsonObject, str], None]:
    def set_choice(spec: JsonObject, text: str) -> None:
        if text not in choices:
            raise ValueError(f"invalid private key {what} {quoted(text)}")
        spec.setdefault("privateKey", {})[field] = text

    return set_choice


def _size(spec: JsonObject, text: str) -> None:
    size = _integer(text, "Atoi")
    key = spec.setdefault("privateKey", {})
    algorithm = key.get("algorithm", "RSA")
    fits = {"RSA": 2048 <= size <= 8192, "ECDSA": size in (256, 384, 521)}
    if not fits.get(algorithm, True):
        raise ValueError(f"invalid private key size for {algorithm} algorithm {quoted(text)}")
    key["size"] = size


def _secret_template(spec: JsonObject, text: str) -> None:
    try:
        template = json.loads(text)
        cm.SecretTemplate.model_validate(template)
        unknown = next((name for name in template if name not in ("annotations", "labels")), None)
    except (ValueError, ValidationError, TypeError) as error:
        raise ValueError(f"error parsing secret template JSON: {error}") from error
    if unknown is not None:
        raise ValueError(f"error parsing secret template JSON: json: unknown field {quoted(unknown)}")
    for key in template.get("annotations") or ():
        if key.startswith("cert-manager.io/"):
            raise ValueError(f"secretTemplate must not have cert-manager.io/ annotations: {quoted(key)}")
    if template.get("annotations") or template.get("labels"):
        spec["secretTemplate"] = template


def _integer(text: str, function: str) -> int:
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdecimal()):
        raise ValueError(f"strconv.{function}: parsing {quoted(text)}: invalid syntax")
    if not -(2**31) <= int(text) < 2**31:
        raise ValueError(f"strconv.{function}: parsing {quoted(text)}: value out of range")
    return int(text)


# In cert-manager's order: the key's size is validated against its algorithm.
_SETTINGS: Mapping[str, Callable[[JsonObject, str], None]] = {
    f"cert-manager.io/{name}": setting
    for name, setting in (
        ("common-name", _text("commonName")),
        ("email-sans", _emails),
        ("subject-organizations", _subject("organizations")),
        ("subject-organizationalunits", _subject("organizationalUnits")),
        ("subject-countries", _subject("countries")),
        ("subject-provinces", _subject("provinces")),
        ("subject-localities", _subject("localities")),
        ("subject-postalcodes", _subject("postalCodes")),
        ("subject-streetaddresses", _subject("streetAddresses")),
        ("subject-serialnumber", _serial_number),
        ("duration", _duration("duration")),
        ("renew-before", _duration("renewBefore")),
        ("usages", _usages),
        ("revision-history-limit", _revision_history_limit),
        ("private-key-algorithm", _one_of("algorithm", "algorithm", "RSA", "ECDSA", "Ed25519")),
        ("private-key-encoding", _one_of("encoding", "encoding", "PKCS1", "PKCS8")),
        ("private-key-size", _size),
        ("private-key-rotation-policy", _one_of("rotationPolicy", "rotation policy", "Never", "Always")),
        ("secret-template", _secret_template),
    )
}
