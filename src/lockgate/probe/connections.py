"""Connects to an address: TCP, then TLS as a client that verifies, and once more as one that does not."""

from __future__ import annotations

import hashlib
import ssl
import time
from typing import Any

import httpcore
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lockgate.probe.observed import Connection, Handshake, PresentedCertificate
from lockgate.probe.reach import CONNECT_SECONDS, NoConnection, Reach, context


async def connect(
    reach: Reach,
    address: str,
    port: int,
    *,
    server_name: str | None,
    secure: bool,
    alpn: tuple[str, ...] = (),
    newest: str = "",
) -> Connection:
    """`server_name` is the SNI, and None sends none, as a load balancer does; then the name is not verified."""
    began = time.monotonic()
    try:
        stream = await reach.connect(address, port)
    except NoConnection as error:
        return Connection(address, port, error=str(error))
    seconds = time.monotonic() - began
    if not secure:
        await stream.aclose()
        return Connection(address, port, seconds)
    try:
        tls = await _handshake(stream, server_name, context(reach, verify=False, alpn=alpn, newest=newest))
    except (httpcore.NetworkError, httpcore.TimeoutException, OSError) as error:
        return Connection(address, port, seconds, tls_error=said(error))
    if server_name is None:
        return Connection(address, port, seconds, tls=tls)
    distrust = await _distrust(reach, address, port, server_name, alpn, newest)
    return Connection(
        address, port, seconds, tls=Handshake(tls.version, tls.cipher, tls.alpn, tls.certificate, distrust)
    )


async def _distrust(reach: Reach, address: str, port: int, server_name: str, alpn: tuple[str, ...], newest: str) -> str:
    try:
        stream = await reach.connect(address, port)
        await _handshake(stream, server_name, context(reach, verify=True, alpn=alpn, newest=newest))
    except (httpcore.NetworkError, httpcore.TimeoutException, OSError) as error:
        cause = error.__cause__ or error.__context__ or error
        while not isinstance(cause, ssl.SSLCertVerificationError) and (cause.__cause__ or cause.__context__):
            cause = cause.__cause__ or cause.__context__ or cause
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        return said(error)
    return ""


async def _handshake(
    stream: httpcore.AsyncNetworkStream, server_name: str | None, settings: ssl.SSLContext
) -> Handshake:
    secured = await stream.start_tls(settings, server_name, CONNECT_SECONDS)
    try:
        tls: Any = secured.get_extra_info("ssl_object")
        cipher = tls.cipher()
        chain = _chain(tls)
        return Handshake(
            tls.version() or "",
            cipher[0] if cipher else "",
            tls.selected_alpn_protocol() or "",
            _read(tls.getpeercert(True), len(chain)),
        )
    finally:
        await secured.aclose()


def _chain(tls: Any) -> list[Any]:
    """The certificates that the server sent. Python 3.13 has the method on the public object."""
    for each in (tls, getattr(tls, "_sslobj", None)):
        if (method := getattr(each, "get_unverified_chain", None)) is not None:
            return list(method() or ())
    return []


def _read(data: bytes | None, chain: int) -> PresentedCertificate | None:
    if not data:
        return None
    found = x509.load_der_x509_certificate(data)
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        listed = tuple(names.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        listed = ()
    organization = found.issuer.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)
    common = found.issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    issuer = ", ".join(str(each.value) for each in (*common[:1], *organization[:1]))
    key = found.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PresentedCertificate(
        listed,
        issuer or found.issuer.rfc4514_string(),
        found.not_valid_before_utc,
        found.not_valid_after_utc,
        hashlib.sha256(key).hexdigest(),
        max(chain, 1),
    )


def said(error: BaseException) -> str:
    """The innermost reason of an error, without OpenSSL's source line."""
    while (inner := error.__cause__ or error.__context__) is not None and not isinstance(error, ssl.SSLError):
        error = inner
    text = str(error) or type(error).__name__
    return text.partition("] ")[2].partition(" (_ssl")[0] if text.startswith("[") and "] " in text else text
