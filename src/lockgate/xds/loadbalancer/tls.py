"""TLS settings and header case, shared by both sides of the load balancer."""

from __future__ import annotations

from typing import Final

from envoy.config.core.v3.protocol_pb2 import Http1ProtocolOptions
from envoy.extensions.http.header_formatters.preserve_case.v3.preserve_case_pb2 import (
    PreserveCaseFormatterConfig,
)
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import TlsParameters

from lockgate.loadbalancer.policies import SecurityPolicy, TlsVersion
from lockgate.xds.protobuf import Message, pack

# Ciphers of AWS's policies that BoringSSL no longer has. Clients that support nothing else are refused.
MISSING: Final = frozenset({"ECDHE-ECDSA-AES256-SHA384", "ECDHE-RSA-AES256-SHA384", "AES128-SHA256", "AES256-SHA256"})

_VERSIONS: Final[dict[TlsVersion, int]] = {
    "TLSv1": TlsParameters.TLSv1_0,
    "TLSv1.1": TlsParameters.TLSv1_1,
    "TLSv1.2": TlsParameters.TLSv1_2,
    "TLSv1.3": TlsParameters.TLSv1_3,
}
_GROUPS: Final = ("X25519", "P-256", "P-384", "P-521")
_POST_QUANTUM: Final = ("X25519MLKEM768",)  # the only one of AWS's three in BoringSSL


def parameters(policy: SecurityPolicy) -> Message:
    return TlsParameters(
        tls_minimum_protocol_version=_VERSIONS[policy.oldest],
        tls_maximum_protocol_version=_VERSIONS[policy.newest],
        cipher_suites=[cipher for cipher in policy.ciphers if cipher not in MISSING],
        ecdh_curves=[*(_POST_QUANTUM if policy.post_quantum else ()), *_GROUPS],
    )


def preserved_case(*, with_phrase: bool = False) -> Message:
    """Header names keep the case in which they were sent; headers that the load balancer adds are in Title-Case. With
    `with_phrase`, a reason phrase is kept too.
    """
    config = PreserveCaseFormatterConfig(
        formatter_type_on_envoy_headers=PreserveCaseFormatterConfig.PROPER_CASE, forward_reason_phrase=with_phrase
    )
    return Http1ProtocolOptions.HeaderKeyFormat(
        stateful_formatter={"name": "preserve_case", "typed_config": pack(config)}
    )
