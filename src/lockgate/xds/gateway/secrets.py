"""Credentials as SDS secrets, inline, so that no key is written to disk."""

from __future__ import annotations

from typing import assert_never

from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret

from lockgate.gateway.credentials import Authority, Credential, KeyPair
from lockgate.xds.protobuf import serialised


def secret(name: str, credential: Credential) -> bytes:
    message = Secret(name=name)
    match credential:
        case KeyPair(chain, key, staple):
            message.tls_certificate.certificate_chain.inline_bytes = chain
            message.tls_certificate.private_key.inline_bytes = key
            if staple:
                message.tls_certificate.ocsp_staple.inline_bytes = staple
        case Authority(ca, crl):
            message.validation_context.SetInParent()
            if ca:
                message.validation_context.trusted_ca.inline_bytes = ca
            if crl:
                message.validation_context.crl.inline_bytes = crl
        case _:
            assert_never(credential)
    return serialised(message)
