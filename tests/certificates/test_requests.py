"""What a Certificate asks for, and the fields in which an earlier request or certificate differs."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from certificate_values import START, authority, certificate, request
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from lockgate.certificates.authority import Content, is_authority, revocation_pointers, self_signed
from lockgate.certificates.keys import KeySpec
from lockgate.certificates.request import (
    certificate_mismatches,
    common_name_of,
    content,
    key_spec,
    load_request,
    request_content,
    request_mismatches,
    request_names,
    revision_of,
    subject_annotations,
)

KEY = ec.generate_private_key(ec.SECP256R1())
TIMES: dict[str, Any] = {"not_before": START, "not_after": START + timedelta(days=90), "serial": 7}
SUBJECT = {"organizations": ["Quay", "Lock"], "countries": ["KR"], "serialNumber": "12"}
BASE = {
    "commonName": "a.example",
    "subject": SUBJECT,
    "dnsNames": ["a.example"],
    "ipAddresses": ["192.0.2.1"],
    "uris": ["spiffe://a"],
    "emailAddresses": ["a@a.example"],
    "otherNames": [{"oid": "1.3.6.1.4.1.311.20.2.3", "utf8Value": "a@a.example"}],
    "usages": ["server auth"],
    "duration": "24h",
}


@pytest.mark.parametrize(
    ("wanted", "spec"),
    [
        (None, KeySpec("RSA", 2048)),
        ({"size": 4096}, KeySpec("RSA", 4096)),
        ({"algorithm": "ECDSA"}, KeySpec("ECDSA", 256)),
        ({"algorithm": "ECDSA", "size": 521}, KeySpec("ECDSA", 521)),
        ({"algorithm": "Ed25519", "size": 9}, KeySpec("Ed25519", 0)),
        ({"size": 1024}, "between 2048 and 8192"),
        ({"algorithm": "ECDSA", "size": 2048}, "unsupported ecdsa keySize specified: 2048"),
    ],
)
def test_the_key_that_is_asked_for(wanted: dict[str, Any] | None, spec: KeySpec | str) -> None:
    asked = certificate({"privateKey": wanted} if wanted else {}).spec
    if isinstance(spec, str):
        with pytest.raises(ValueError, match=spec):
            key_spec(asked)
    else:
        assert key_spec(asked) == spec


def test_all_names_are_in_the_request() -> None:
    found = load_request(request(certificate(BASE)))
    assert common_name_of(found.subject) == "a.example"
    assert request_names(found) == {
        "spec.dnsNames": ("a.example",),
        "spec.ipAddresses": ("192.0.2.1",),
        "spec.uris": ("spiffe://a",),
        "spec.emailAddresses": ("a@a.example",),
        "spec.otherNames": ("1.3.6.1.4.1.311.20.2.3;0c0b6140612e6578616d706c65",),
    }


def test_a_long_other_name_is_encoded_with_its_length() -> None:
    long = [{"oid": "1.2.3", "utf8Value": "x" * 300}]
    (name,) = content(certificate({"otherNames": long, "dnsNames": []}).spec).names
    assert isinstance(name, x509.OtherName)
    assert name.value[:4] == b"\x0c\x82\x01\x2c"


def test_a_literal_subject_is_written_from_the_least_specific_part() -> None:
    subject = content(certificate({"literalSubject": "CN=a.example,OU=Edge,O=Quay,C=KR"}).spec).subject
    assert next(each.oid for each in subject) == NameOID.COUNTRY_NAME
    assert common_name_of(subject) == "a.example"


def test_name_constraints_of_a_ca() -> None:
    wanted = {
        "isCA": True,
        "nameConstraints": {
            "critical": True,
            "permitted": {"dnsDomains": ["a.example"], "ipRanges": ["10.0.0.0/8"]},
            "excluded": {"emailAddresses": ["b.example"], "uriDomains": ["c.example"]},
        },
    }
    ((extension, critical),) = request_content(request(certificate(wanted))).extensions
    assert critical
    assert isinstance(extension, x509.NameConstraints)
    assert [str(each.value) for each in extension.permitted_subtrees or ()] == ["a.example", "10.0.0.0/8"]
    assert [each.value for each in extension.excluded_subtrees or ()] == ["b.example", "c.example"]
    assert content(certificate({"nameConstraints": {"permitted": {}}}).spec).extensions == ()


@pytest.mark.parametrize(
    ("changed", "fields"),
    [
        ({}, ()),
        ({"commonName": "b.example"}, ("spec.commonName",)),
        ({"literalSubject": "CN=b.example"}, ("spec.literalSubject",)),
        ({"subject": {**SUBJECT, "organizations": ["Lock", "Quay"]}}, ()),
        ({"subject": {**SUBJECT, "countries": ["DE"]}}, ("spec.subject.countries",)),
        ({"subject": {**SUBJECT, "serialNumber": ""}}, ("spec.subject.serialNumber",)),
        ({"dnsNames": ["a.example", "b.example"]}, ("spec.dnsNames",)),
        ({"ipAddresses": [], "uris": ["spiffe://b"]}, ("spec.ipAddresses", "spec.uris")),
        ({"emailAddresses": [], "otherNames": []}, ("spec.emailAddresses", "spec.otherNames")),
        ({"isCA": True}, ("spec.isCA",)),
        ({"usages": ["client auth"]}, ("spec.usages",)),
        ({"duration": "1440m"}, ()),
        ({"duration": "48h"}, ("spec.duration",)),
        ({"issuerRef": {"name": "other"}}, ("spec.issuerRef",)),
    ],
)  # fmt: skip
def test_fields_in_which_a_request_differs(changed: dict[str, Any], fields: tuple[str, ...]) -> None:
    assert request_mismatches(certificate({**BASE, **changed}).spec, request(certificate(BASE))) == fields


def test_a_request_with_a_literal_subject_is_compared_as_a_whole() -> None:
    spec = {"literalSubject": "CN=a.example,O=Quay"}
    assert request_mismatches(certificate(spec).spec, request(certificate(spec))) == ()


A, B, C = (x509.DNSName(f"{letter}.example") for letter in "abc")
OTHER = x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))


@pytest.mark.parametrize(
    ("issued", "spec", "fields"),
    [
        ((A,), {"dnsNames": ["a.example"]}, ()),
        # A CA may move the common name to the names.
        ((A, B), {"commonName": "b.example", "dnsNames": ["a.example"]}, ()),
        ((A,), {"commonName": "b.example", "dnsNames": ["a.example"]}, ("spec.commonName",)),
        ((A,), {"dnsNames": ["b.example"]}, ("spec.dnsNames",)),
        ((A, C), {"dnsNames": ["a.example"]}, ("spec.dnsNames",)),
        ((), {"dnsNames": ["a.example"], "uris": ["spiffe://a"]}, ("spec.dnsNames", "spec.uris")),
        ((OTHER, A), {"dnsNames": ["a.example"]}, ()),
    ],
)
def test_fields_in_which_an_issued_certificate_differs(
    issued: tuple[x509.GeneralName, ...], spec: dict[str, Any], fields: tuple[str, ...]
) -> None:
    leaf = x509.load_pem_x509_certificate(authority().issue(KEY.public_key(), Content(issued), **TIMES).encode())
    assert certificate_mismatches(certificate(spec).spec, leaf) == fields


def test_the_subject_of_an_issued_certificate_in_annotations() -> None:
    wanted = content(certificate(BASE).spec)
    leaf = x509.load_pem_x509_certificate(authority().issue(KEY.public_key(), wanted, **TIMES).encode())
    assert subject_annotations(leaf) == {
        "cert-manager.io/subject-organizations": "Quay,Lock",
        "cert-manager.io/subject-countries": "KR",
        "cert-manager.io/subject-serialnumber": "12",
    }


@pytest.mark.parametrize(("text", "revision"), [("12", 12), ("", None), ("-1", None), ("\u0663", None)])
def test_the_revision_of_a_request(text: str, revision: int | None) -> None:
    found = request(certificate())
    found.metadata.annotations["cert-manager.io/certificate-revision"] = text
    assert revision_of(found) == revision


def test_a_request_that_another_key_signed_is_not_issued() -> None:
    found = request(certificate())
    spec = found.spec.model_copy(update={"request": _tampered(found.spec.request)})
    with pytest.raises(ValueError, match="CSR signature is not valid"):
        request_content(found.model_copy(update={"spec": spec}))


def _tampered(encoded: str) -> str:
    """The request with another last byte in its signature."""
    lines = base64.b64decode(encoded).decode().strip().split("\n")
    der = bytearray(base64.b64decode("".join(lines[1:-1])))
    der[-1] ^= 1
    body = base64.encodebytes(bytes(der)).decode()
    return base64.b64encode(f"{lines[0]}\n{body}{lines[-1]}\n".encode()).decode()


def test_where_a_certificate_is_revoked_and_whose_it_is() -> None:
    assert revocation_pointers() == ()
    (points, _), (access, _) = revocation_pointers(
        ["http://crl.example"], ["http://ocsp.example"], ["http://ca.example"]
    )
    assert isinstance(points, x509.CRLDistributionPoints)
    assert isinstance(access, x509.AuthorityInformationAccess)
    assert [each.access_location.value for each in access] == ["http://ocsp.example", "http://ca.example"]
    pem = authority().issue(
        KEY.public_key(), Content((x509.DNSName("a.example"),), extensions=((points, False),)), **TIMES
    )
    leaf = x509.load_pem_x509_certificate(pem.encode())
    assert leaf.extensions.get_extension_for_class(x509.CRLDistributionPoints).value == points
    assert not is_authority(leaf)
    assert is_authority(authority().certificate)
    assert not is_authority(_without_constraints())


def _without_constraints() -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "old")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
    builder = builder.serial_number(1).not_valid_before(START).not_valid_after(START + timedelta(days=1))
    return builder.sign(KEY, SHA256())


def test_a_self_signed_certificate_is_its_own_issuer() -> None:
    found = self_signed(KEY, Content((x509.DNSName("a.example"),), is_ca=True), **TIMES)
    leaf = x509.load_pem_x509_certificate(found.encode())
    assert leaf.issuer == leaf.subject
    assert is_authority(leaf)
