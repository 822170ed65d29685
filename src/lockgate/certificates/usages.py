"""Key usages by cert-manager's names, and their two X.509 extensions.

Source: cert-manager's API reference, `KeyUsage`; RFC 5280 sections 4.2.1.3 and 4.2.1.12.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509  # imported where it is used: readers of manifests need the names only

DEFAULT = ("digital signature", "key encipherment")
SERVER_AUTH = (*DEFAULT, "server auth")

_KEY_USAGES = {
    "signing": "digital_signature",
    "digital signature": "digital_signature",
    "content commitment": "content_commitment",
    "key encipherment": "key_encipherment",
    "data encipherment": "data_encipherment",
    "key agreement": "key_agreement",
    "cert sign": "key_cert_sign",
    "crl sign": "crl_sign",
    "encipher only": "encipher_only",
    "decipher only": "decipher_only",
}

_EXTENDED = {  # RFC 5280, section 4.2.1.12, and the registries of the others
    "any": "2.5.29.37.0",
    "server auth": "1.3.6.1.5.5.7.3.1",
    "client auth": "1.3.6.1.5.5.7.3.2",
    "code signing": "1.3.6.1.5.5.7.3.3",
    "email protection": "1.3.6.1.5.5.7.3.4",
    "s/mime": "1.3.6.1.5.5.7.3.4",
    "ipsec end system": "1.3.6.1.5.5.7.3.5",
    "ipsec tunnel": "1.3.6.1.5.5.7.3.6",
    "ipsec user": "1.3.6.1.5.5.7.3.7",
    "timestamping": "1.3.6.1.5.5.7.3.8",
    "ocsp signing": "1.3.6.1.5.5.7.3.9",
    "microsoft sgc": "1.3.6.1.4.1.311.10.3.3",
    "netscape sgc": "2.16.840.1.113730.4.1",
}

KNOWN = frozenset(_KEY_USAGES) | frozenset(_EXTENDED)


def key_usage(usages: Iterable[str], *, is_ca: bool = False) -> x509.KeyUsage:
    """The key usage extension. As with cert-manager, a CA may always sign certificates, even if that is not listed."""
    from cryptography import x509

    desired = {_KEY_USAGES[name] for name in usages if name in _KEY_USAGES}
    if is_ca:
        desired.add("key_cert_sign")
    # RFC 5280: the last two are meaningful only with key agreement, and refused without it.
    agreement = "key_agreement" in desired
    return x509.KeyUsage(
        digital_signature="digital_signature" in desired,
        content_commitment="content_commitment" in desired,
        key_encipherment="key_encipherment" in desired,
        data_encipherment="data_encipherment" in desired,
        key_agreement=agreement,
        key_cert_sign="key_cert_sign" in desired,
        crl_sign="crl_sign" in desired,
        encipher_only=agreement and "encipher_only" in desired,
        decipher_only=agreement and "decipher_only" in desired,
    )


def extended_key_usage(usages: Iterable[str]) -> x509.ExtendedKeyUsage | None:
    from cryptography import x509

    oids = dict.fromkeys(_EXTENDED[name] for name in usages if name in _EXTENDED)
    return x509.ExtendedKeyUsage([x509.ObjectIdentifier(oid) for oid in oids]) if oids else None


def usage_names(extensions: x509.Extensions) -> frozenset[str]:
    """The usages of a request or certificate, by name. If two names mean the same usage, the first one above is
    used."""
    from cryptography import x509

    names: set[str] = set()
    for extension in extensions:
        match extension.value:
            case x509.KeyUsage() as usage:
                names |= {name for name, field in _KEY_USAGES.items() if _has(usage, field)} - {"signing"}
            case x509.ExtendedKeyUsage() as extended:
                present = {oid.dotted_string for oid in extended}
                names |= {name for name, oid in _EXTENDED.items() if oid in present} - {"s/mime"}
            case _:
                pass
    return frozenset(names)


def canonical(usages: Iterable[str]) -> frozenset[str]:
    """Usage names without synonyms, as `usage_names` returns them."""
    synonyms = {"signing": "digital signature", "s/mime": "email protection"}
    return frozenset(synonyms.get(name, name) for name in usages)


def _has(usage: x509.KeyUsage, field: str) -> bool:
    if field in ("encipher_only", "decipher_only") and not usage.key_agreement:
        return False
    return bool(getattr(usage, field))
