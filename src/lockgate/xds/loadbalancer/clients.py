"""Client certificates, and the headers that describe the client's TLS connection to targets.

Source: "Mutual authentication with TLS in Application Load Balancer", "HTTP headers and Application Load Balancers".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from envoy.extensions.transport_sockets.tls.v3.common_pb2 import CertificateValidationContext

from lockgate.loadbalancer.model import Listener, LoadBalancer
from lockgate.xds.protobuf import Message, boolean, header, uint32

DEEPEST: Final = 4  # certificates of a chain, without the leaf


@dataclass(frozen=True, slots=True)
class TrustStore:
    """PEM: the CA certificates, and their revocation lists."""

    authorities: str
    revocations: str = ""


def ask_for_certificate(context: Message, listener: Listener, store: TrustStore | None) -> None:
    """Passthrough accepts any certificate, or none; verify accepts only certificates that the trust store verifies."""
    mutual = listener.mutual_authentication
    if mutual is None or mutual.mode == "off":
        return
    context.disable_stateful_session_resumption = True
    context.disable_stateless_session_resumption = True
    validation = CertificateValidationContext()
    if mutual.mode == "verify":
        assert store is not None, "a listener without its trust store is not served"
        advertised = mutual.advertise_trust_store_ca_names
        validation.trusted_ca.inline_string = store.authorities if advertised else _without_names(store.authorities)
        if store.revocations:
            validation.crl.inline_string = store.revocations
        validation.allow_expired_certificate = mutual.ignore_client_certificate_expiry
        validation.max_verify_depth.CopyFrom(uint32(DEEPEST))
        context.require_client_certificate.CopyFrom(boolean(True))
    else:
        validation.trust_chain_verification = CertificateValidationContext.ACCEPT_UNTRUSTED
    context.common_tls_context.validation_context.CopyFrom(validation)


def _without_names(authorities: str) -> str:
    """The same CAs under PEM's alternative label. Envoy trusts both labels, but sends clients only the names of CAs
    with the usual one (BoringSSL's `PEM_X509_INFO_read_bio` and `PEM_read_bio_X509`).
    """
    return authorities.replace(" CERTIFICATE-----", " TRUSTED CERTIFICATE-----")


# The listener attribute that renames a header, the header's default name, and the source of its value.
_VERIFIED: Final = (
    ("x_amzn_mtls_clientcert_serial_number", "X-Amzn-Mtls-Clientcert-Serial-Number", "%DOWNSTREAM_PEER_SERIAL%"),
    ("x_amzn_mtls_clientcert_issuer", "X-Amzn-Mtls-Clientcert-Issuer", "%DOWNSTREAM_PEER_ISSUER%"),
    ("x_amzn_mtls_clientcert_subject", "X-Amzn-Mtls-Clientcert-Subject", "%DOWNSTREAM_PEER_SUBJECT%"),
    (
        "x_amzn_mtls_clientcert_validity",
        "X-Amzn-Mtls-Clientcert-Validity",
        "NotBefore=%DOWNSTREAM_PEER_CERT_V_START(%Y-%m-%dT%H:%M:%SZ)%"
        ";NotAfter=%DOWNSTREAM_PEER_CERT_V_END(%Y-%m-%dT%H:%M:%SZ)%",
    ),
    ("x_amzn_mtls_clientcert_leaf", "X-Amzn-Mtls-Clientcert-Leaf", "%DOWNSTREAM_PEER_CERT%"),
)
_CONNECTION: Final = (
    ("x_amzn_tls_version", "X-Amzn-Tls-Version", "%DOWNSTREAM_TLS_VERSION%"),
    ("x_amzn_tls_cipher_suite", "X-Amzn-Tls-Cipher-Suite", "%DOWNSTREAM_TLS_CIPHER%"),
)


def client_headers(balancer: LoadBalancer, listener: Listener) -> list[Message]:
    """Request headers about the client's connection. Headers of the same name from the client are removed."""
    sources = []
    if listener.protocol == "HTTPS":
        on = "routing.http.x_amzn_tls_version_and_cipher_suite.enabled"
        if balancer.attributes.get(on) == "true":
            sources += list(_CONNECTION)
        mutual = listener.mutual_authentication
        if mutual is not None and mutual.mode == "verify":
            sources += list(_VERIFIED)
    return [
        header(listener.attributes.get(f"routing.http.request.{attribute}.header_name") or name, value)
        for attribute, name, value in sources
    ]
