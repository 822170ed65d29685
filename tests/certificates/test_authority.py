"""Authorities and what they sign, held against OpenSSL; keys and how they are written."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from certificate_values import START, authority
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lockgate.certificates.authority import Authority, Content, NotAnAuthority, dns_content, self_signed
from lockgate.certificates.keys import KeySpec, UnreadableKey, encode_key, load_key, same_key
from lockgate.certificates.usages import canonical, extended_key_usage, key_usage, usage_names

KEYS: dict[str, Any] = {
    "RSA": rsa.generate_private_key(65537, 2048),
    "P-256": ec.generate_private_key(ec.SECP256R1()),
    "P-384": ec.generate_private_key(ec.SECP384R1()),
    "P-521": ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
}
TIMES: dict[str, Any] = {"not_before": START, "not_after": START + timedelta(days=90), "serial": 1234}


@pytest.mark.parametrize("kind", KEYS)
def test_openssl_verifies_a_chain_of_any_keys(tmp_path: Path, kind: str) -> None:
    key = KEYS[kind]
    root = Authority.root("Root", key, **TIMES)
    issuing = root.intermediate("Issuing", key, not_before=START, not_after=TIMES["not_after"], serial=5)
    chain = issuing.issue(key.public_key(), dns_content(["*.a.example", "a.example"]), **TIMES)
    (tmp_path / "root.pem").write_text(root.root_pem)
    (tmp_path / "chain.pem").write_text(chain)
    at = str(int((START + timedelta(days=1)).timestamp()))
    command = ["openssl", "verify", "-x509_strict", "-attime", at, "-verify_hostname", "www.a.example"]
    command += ["-CAfile", "root.pem", "-untrusted", "chain.pem", "chain.pem"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert chain.count("BEGIN CERTIFICATE") == 2  # the root stays at home


def test_what_a_leaf_says() -> None:
    content = Content((x509.DNSName("a.example"), x509.IPAddress(IPv4Address("127.0.0.1"))))
    leaf = x509.load_pem_x509_certificate(authority().issue(KEYS["RSA"].public_key(), content, **TIMES).encode())
    assert leaf.serial_number == 1234
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.SERVER_AUTH]
    # RFC 5280 4.2.1.6: without a subject the names are critical.
    assert leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical
    identifier = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    issuer = authority().certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert identifier == issuer.digest


def test_the_common_name_is_the_first_that_fits() -> None:
    long = f"{'a' * 60}.example"
    assert list(dns_content([long]).subject) == []
    (attribute,) = dns_content([long, "b.example"]).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert attribute.value == "b.example"


def test_nothing_prints_a_key() -> None:
    assert "key" not in repr(authority())
    assert "PRIVATE" not in repr(authority())


def test_an_authority_is_read_back_from_pem() -> None:
    made = authority()
    loaded = Authority.load((made.chain_pem + made.root_pem).encode(), encode_key(made.key))
    assert loaded.root_pem == made.root_pem
    assert loaded.certificate == made.certificate


@pytest.mark.parametrize(
    ("chain", "key", "message"),
    [
        ("leaf", "leaf", "certificate is not a CA"),
        ("authority", "leaf", "the private key does not match the certificate"),
        ("", "leaf", "no readable certificate"),
        ("authority", "", "no readable private key"),
    ],
)
def test_what_cannot_sign(chain: str, key: str, message: str) -> None:
    leaf = self_signed(KEYS["RSA"], dns_content(["a.example"]), **TIMES)
    chains = {"leaf": leaf, "authority": authority().chain_pem, "": "x"}
    keys = {"leaf": encode_key(KEYS["RSA"]), "": b"x"}
    with pytest.raises(NotAnAuthority, match=message):
        Authority.load(chains[chain].encode(), keys[key])


@pytest.mark.parametrize(
    ("kind", "encoding", "header"),
    [
        ("RSA", "PKCS1", b"-----BEGIN RSA PRIVATE KEY-----"),
        ("RSA", "PKCS8", b"-----BEGIN PRIVATE KEY-----"),
        ("P-256", "PKCS1", b"-----BEGIN EC PRIVATE KEY-----"),
        ("P-521", "PKCS8", b"-----BEGIN PRIVATE KEY-----"),
        ("Ed25519", "PKCS1", b"-----BEGIN PRIVATE KEY-----"),
    ],
)
def test_keys_are_written_and_read(kind: str, encoding: Any, header: bytes) -> None:
    text = encode_key(KEYS[kind], encoding)
    assert text.startswith(header)
    assert same_key(load_key(text).public_key(), KEYS[kind].public_key())


@pytest.mark.parametrize(
    ("spec", "kind", "fields"),
    [
        (KeySpec("RSA", 2048), "RSA", ()),
        (KeySpec("RSA", 4096), "RSA", ("spec.privateKey.size",)),
        (KeySpec("ECDSA", 256), "RSA", ("spec.privateKey.algorithm",)),
        (KeySpec("ECDSA", 256), "P-256", ()),
        (KeySpec("ECDSA", 256), "P-384", ("spec.privateKey.size",)),
        (KeySpec("Ed25519", 0), "Ed25519", ()),
        (KeySpec("Ed25519", 0), "P-256", ("spec.privateKey.algorithm",)),
    ],
)
def test_whether_a_key_is_the_one_asked_for(spec: KeySpec, kind: str, fields: tuple[str, ...]) -> None:
    assert spec.mismatches(KEYS[kind]) == fields


def test_an_unreadable_key_is_not_quoted() -> None:
    hidden = b"-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0LXNlY3JldA==\n-----END RSA PRIVATE KEY-----\n"
    with pytest.raises(UnreadableKey) as failure:
        load_key(hidden)
    assert "c2VjcmV0" not in str(failure.value)
    assert failure.value.__cause__ is None
    with pytest.raises(UnreadableKey):
        load_key(b"")


def test_usages_go_into_extensions_and_come_back() -> None:
    for names in (("digital signature", "key encipherment", "server auth"), ("signing", "s/mime", "client auth")):
        extensions: list[x509.Extension[Any]] = []
        for value in (key_usage(names), extended_key_usage(names)):
            assert value is not None
            extensions.append(x509.Extension(value.oid, False, value))
        assert usage_names(x509.Extensions(extensions)) == canonical(names)
