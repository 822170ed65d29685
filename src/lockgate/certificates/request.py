"""A Certificate's signing request and CertificateRequest, and how later changes to the spec are detected.

Source: cert-manager, `pkg/util/pki/csr.go`, `pkg/util/pki/match.go`, `pkg/controller/certificates/requestmanager`.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier

from lockgate.certificates.authority import Content
from lockgate.certificates.keys import KeySpec, PrivateKey, digest
from lockgate.certificates.names import request_name
from lockgate.certificates.times import parse_duration
from lockgate.certificates.usages import DEFAULT, canonical, extended_key_usage, key_usage, usage_names
from lockgate.resources import cert_manager as cm
from lockgate.resources.model import JsonObject

NAME = "cert-manager.io/certificate-name"
REVISION = "cert-manager.io/certificate-revision"
PRIVATE_KEY = "cert-manager.io/private-key-secret-name"

# A Certificate's annotations are copied, except those of other tools.
_NOT_COPIED = ("kubectl.kubernetes.io/", "fluxcd.io/", "argocd.argoproj.io/")

_SUBJECT: tuple[tuple[str, ObjectIdentifier, str], ...] = (
    ("organizations", NameOID.ORGANIZATION_NAME, "subject-organizations"),
    ("organizational_units", NameOID.ORGANIZATIONAL_UNIT_NAME, "subject-organizationalunits"),
    ("countries", NameOID.COUNTRY_NAME, "subject-countries"),
    ("provinces", NameOID.STATE_OR_PROVINCE_NAME, "subject-provinces"),
    ("localities", NameOID.LOCALITY_NAME, "subject-localities"),
    ("postal_codes", NameOID.POSTAL_CODE, "subject-postalcodes"),
    ("street_addresses", NameOID.STREET_ADDRESS, "subject-streetaddresses"),
    ("serial_number", NameOID.SERIAL_NUMBER, "subject-serialnumber"),
)

# cert-manager's names of fields that differ; `postCodes` is its spelling.
_FIELD = {
    "organizations": "spec.subject.organizations",
    "organizational_units": "spec.subject.organizationalUnits",
    "countries": "spec.subject.countries",
    "provinces": "spec.subject.provinces",
    "localities": "spec.subject.localities",
    "postal_codes": "spec.subject.postCodes",
    "street_addresses": "spec.subject.streetAddresses",
    "serial_number": "spec.subject.serialNumber",
}


def key_spec(spec: cm.CertificateSpec) -> KeySpec:
    """The private key that a Certificate requests, with defaults. Raises `ValueError` for an unsupported size."""
    desired = spec.private_key
    algorithm = (desired.algorithm if desired else None) or "RSA"
    size = desired.size if desired else 0
    match algorithm:
        case "RSA":
            if size and not 2048 <= size <= 8192:
                raise ValueError(f"invalid value {size}: must be between 2048 and 8192 for rsa keyAlgorithm")
            return KeySpec("RSA", size or 2048)
        case "ECDSA":
            if size not in (0, 256, 384, 521):
                raise ValueError(f"unsupported ecdsa keySize specified: {size}")
            return KeySpec("ECDSA", size or 256)
        case _:
            return KeySpec("Ed25519", 0)


def content(spec: cm.CertificateSpec) -> Content:
    """The content of the request. Raises `ValueError` for names that cannot be encoded."""
    return Content(
        _names(spec), _subject(spec), spec.usages or DEFAULT, spec.is_ca, _constraints(spec.name_constraints)
    )


def signing_request(spec: cm.CertificateSpec, key: PrivateKey) -> bytes:
    """PEM, signed by the key. Raises `ValueError`."""
    desired = content(spec)
    builder = x509.CertificateSigningRequestBuilder().subject_name(desired.subject)
    if desired.names:
        critical = not list(desired.subject)
        builder = builder.add_extension(x509.SubjectAlternativeName(desired.names), critical=critical)
    if spec.encode_usages_in_request is not False:
        builder = builder.add_extension(key_usage(desired.usages, is_ca=desired.is_ca), critical=True)
        if extended := extended_key_usage(desired.usages):
            builder = builder.add_extension(extended, critical=False)
    if desired.is_ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    for extension, critical in desired.extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(key, digest(key)).public_bytes(Encoding.PEM)


def request_manifest(certificate: cm.Certificate, request: bytes, revision: int, key_secret: str) -> JsonObject:
    """The CertificateRequest to create for a revision of a Certificate."""
    metadata, spec = certificate.metadata, certificate.spec
    annotations = {name: value for name, value in metadata.annotations.items() if not name.startswith(_NOT_COPIED)}
    desired: JsonObject = {
        "issuerRef": issuer_document(spec),
        "request": base64.b64encode(request).decode(),
        "usages": list(spec.usages or DEFAULT),
    }
    if spec.is_ca:
        desired["isCA"] = True
    if spec.duration:
        desired["duration"] = spec.duration
    return {
        "apiVersion": cm.CertificateRequest.KIND.api_version,
        "kind": "CertificateRequest",
        "metadata": {
            "name": request_name(metadata.name, revision),
            "namespace": metadata.namespace,
            "labels": dict(metadata.labels),
            "annotations": annotations | {NAME: metadata.name, REVISION: str(revision), PRIVATE_KEY: key_secret},
            "ownerReferences": [owner_reference(certificate)],
        },
        "spec": desired,
    }


def owner_reference(owner: cm.Certificate | cm.CertificateRequest) -> JsonObject:
    return {
        "apiVersion": owner.KIND.api_version,
        "kind": owner.KIND.kind,
        "name": owner.name,
        "uid": owner.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def issuer_document(spec: cm.CertificateSpec) -> JsonObject:
    reference = spec.issuer_ref
    return {"name": reference.name, "kind": reference.kind, "group": reference.group}


def revision_of(request: cm.CertificateRequest) -> int | None:
    text = request.metadata.annotations.get(REVISION, "")
    return int(text) if text.isascii() and text.isdigit() else None


def load_request(request: cm.CertificateRequest) -> x509.CertificateSigningRequest:
    """Raises `ValueError`."""
    return x509.load_pem_x509_csr(base64.b64decode(request.spec.request, validate=True))


def request_mismatches(spec: cm.CertificateSpec, request: cm.CertificateRequest) -> tuple[str, ...]:
    """The fields of a Certificate in which an existing CertificateRequest differs. Raises `ValueError`."""
    found = load_request(request)
    desired = content(spec)
    fields = [*_subject_mismatches(spec, desired, found.subject), *_name_mismatches(desired, found.extensions)]
    if request.spec.is_ca != spec.is_ca:
        fields.append("spec.isCA")
    if canonical(request.spec.usages or DEFAULT) != canonical(spec.usages or DEFAULT):
        fields.append("spec.usages")
    if spec.duration and request.spec.duration and not _equal(spec.duration, request.spec.duration):
        fields.append("spec.duration")
    if request.spec.issuer_ref != spec.issuer_ref:
        fields.append("spec.issuerRef")
    return _ordered(fields)


def certificate_mismatches(spec: cm.CertificateSpec, certificate: x509.Certificate) -> tuple[str, ...]:
    """The same for an issued certificate. Only names count, because a CA may omit subject and usages.

    A CA may move the common name to the alternative names, or omit it (RFC 6125 section 6.4.4).
    """
    desired = content(spec)
    found = _by_kind(_alternatives(certificate.extensions))
    expected = _by_kind(desired.names)
    fields = []
    common_name = _first(desired.subject, NameOID.COMMON_NAME)
    if common_name and common_name not in (
        *_values(certificate.subject, NameOID.COMMON_NAME),
        *found["spec.dnsNames"],
    ):
        fields.append("spec.commonName")
    for field, values in expected.items():
        have = set(found[field])
        if field == "spec.dnsNames" and common_name:
            have -= {common_name} - set(values)
        if set(values) != have:
            fields.append(field)
    return _ordered(fields)


def subject_annotations(certificate: x509.Certificate) -> dict[str, str]:
    """The Secret's annotations about the subject, one per attribute that the certificate has."""
    found = {
        f"cert-manager.io/{annotation}": ",".join(_values(certificate.subject, oid)) for _, oid, annotation in _SUBJECT
    }
    return {name: value for name, value in found.items() if value}


def alternative_names(certificate: x509.Certificate) -> dict[str, tuple[str, ...]]:
    """The names in an issued certificate, by the Certificate's field that requests them."""
    return _by_kind(_alternatives(certificate.extensions))


def common_name_of(subject: x509.Name) -> str:
    return _first(subject, NameOID.COMMON_NAME)


def load_chain(pem: bytes) -> list[x509.Certificate]:
    """The chain, leaf first. Raises `ValueError`."""
    return x509.load_pem_x509_certificates(pem)


def request_names(request: x509.CertificateSigningRequest) -> dict[str, tuple[str, ...]]:
    return _by_kind(_alternatives(request.extensions))


def request_content(request: cm.CertificateRequest) -> Content:
    """The content that a CertificateRequest asks for. Raises `ValueError`."""
    found = load_request(request)
    if not found.is_signature_valid:
        raise ValueError("CSR signature is not valid")
    usages = tuple(request.spec.usages) or tuple(sorted(usage_names(found.extensions))) or DEFAULT
    constraints = tuple(
        (each.value, each.critical) for each in found.extensions if isinstance(each.value, x509.NameConstraints)
    )
    return Content(tuple(_alternatives(found.extensions)), found.subject, usages, request.spec.is_ca, constraints)


# --- subjects and names ------------------------------------------------------------------------------------------


def _subject(spec: cm.CertificateSpec) -> x509.Name:
    if spec.literal_subject:
        # RFC 4514 writes the most specific part first; in the certificate it is last.
        return x509.Name.from_rfc4514_string(spec.literal_subject)
    attributes = [
        x509.NameAttribute(oid, value) for field, oid, _ in _SUBJECT for value in _wanted(spec.subject, field)
    ]
    if spec.common_name:
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, spec.common_name))
    return x509.Name(attributes)


def _wanted(subject: cm.X509Subject | None, field: str) -> tuple[str, ...]:
    if subject is None:
        return ()
    value = getattr(subject, field)
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(value)


def _names(spec: cm.CertificateSpec) -> tuple[x509.GeneralName, ...]:
    return (
        *(x509.DNSName(name) for name in spec.dns_names),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in spec.ip_addresses),
        *(x509.UniformResourceIdentifier(uri) for uri in spec.uris),
        *(x509.RFC822Name(address) for address in spec.email_addresses),
        *(_other_name(other) for other in spec.other_names),
    )


def _other_name(other: cm.OtherName) -> x509.OtherName:
    """RFC 5280 4.2.1.6: an object identifier and a value; cert-manager allows only UTF8String."""
    text = other.utf8_value.encode()
    length = bytes([len(text)]) if len(text) < 128 else bytes([0x82, *len(text).to_bytes(2, "big")])
    return x509.OtherName(ObjectIdentifier(other.oid), b"\x0c" + length + text)


def _constraints(desired: cm.NameConstraints | None) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    """RFC 5280 4.2.1.10: the names that CAs below may issue for."""
    if desired is None:
        return ()
    permitted, excluded = (_subtrees(each) for each in (desired.permitted, desired.excluded))
    if not permitted and not excluded:
        return ()
    return ((x509.NameConstraints(permitted or None, excluded or None), desired.critical),)


def _subtrees(item: cm.NameConstraintItem | None) -> list[x509.GeneralName]:
    if item is None:
        return []
    return [
        *(x509.DNSName(domain) for domain in item.dns_domains),
        *(x509.IPAddress(ipaddress.ip_network(range_)) for range_ in item.ip_ranges),
        *(x509.RFC822Name(address) for address in item.email_addresses),
        *(x509.UniformResourceIdentifier(domain) for domain in item.uri_domains),
    ]


def _alternatives(extensions: x509.Extensions) -> Iterable[x509.GeneralName]:
    try:
        return tuple(extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return ()


def _by_kind(names: Iterable[x509.GeneralName]) -> dict[str, tuple[str, ...]]:
    kinds: dict[str, list[str]] = {
        "spec.dnsNames": [],
        "spec.ipAddresses": [],
        "spec.uris": [],
        "spec.emailAddresses": [],
        "spec.otherNames": [],
    }
    for name in names:
        match name:
            case x509.DNSName():
                kinds["spec.dnsNames"].append(name.value)
            case x509.IPAddress():
                kinds["spec.ipAddresses"].append(str(name.value))
            case x509.UniformResourceIdentifier():
                kinds["spec.uris"].append(name.value)
            case x509.RFC822Name():
                kinds["spec.emailAddresses"].append(name.value)
            case x509.OtherName():
                kinds["spec.otherNames"].append(f"{name.type_id.dotted_string};{name.value.hex()}")
            case _:
                pass
    return {field: tuple(values) for field, values in kinds.items()}


def _name_mismatches(desired: Content, found: x509.Extensions) -> list[str]:
    have = _by_kind(_alternatives(found))
    return [field for field, values in _by_kind(desired.names).items() if set(values) != set(have[field])]


def _subject_mismatches(spec: cm.CertificateSpec, desired: Content, found: x509.Name) -> list[str]:
    if spec.literal_subject:
        return [] if desired.subject == found else ["spec.literalSubject"]
    fields = []
    if spec.common_name != _first(found, NameOID.COMMON_NAME):
        fields.append("spec.commonName")
    fields += [
        _FIELD[field]
        for field, oid, _ in _SUBJECT
        if sorted(_wanted(spec.subject, field)) != sorted(_values(found, oid))
    ]
    return fields


_ORDER = (
    "spec.commonName",
    "spec.literalSubject",
    "spec.dnsNames",
    "spec.ipAddresses",
    "spec.uris",
    "spec.emailAddresses",
    "spec.otherNames",
    *_FIELD.values(),
    "spec.isCA",
    "spec.usages",
    "spec.duration",
    "spec.issuerRef",
)


def _ordered(fields: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(fields), key=_ORDER.index))


def _values(name: x509.Name, oid: ObjectIdentifier) -> list[str]:
    return [str(attribute.value) for attribute in name.get_attributes_for_oid(oid)]


def _first(name: x509.Name, oid: ObjectIdentifier) -> str:
    return next(iter(_values(name, oid)), "")


def _equal(one: str, other: str) -> bool:
    return parse_duration(one) == parse_duration(other)
