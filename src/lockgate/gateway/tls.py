"""Translates a server's tls settings.

Source: istio/istio `pilot/pkg/networking/core/listener.go`, `pilot/pkg/security/model/authentication.go`.
"""

from __future__ import annotations

from lockgate.gateway.credentials import CA_SUFFIX, FILE_CA, SCHEME
from lockgate.gateway.mesh import Mesh
from lockgate.gateway.model import ClientValidation, DownstreamTls
from lockgate.resources import istio

_VERSIONS = {"TLSV1_0": "TLSv1_0", "TLSV1_1": "TLSv1_1", "TLSV1_2": "TLSv1_2", "TLSV1_3": "TLSv1_3"}
_SUITES = frozenset(
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA", "ECDHE-RSA-AES256-SHA",
        "AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA", "AES256-SHA",
    )
)  # fmt: skip


def downstream_tls(settings: istio.ServerTLSSettings, mesh: Mesh) -> DownstreamTls | None:
    """None if the gateway does not terminate TLS. Unknown cipher suites are dropped, as in Istio."""
    if settings.mode in (None, "PASSTHROUGH", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL"):
        return None
    names = settings.credential_names[:2] or ((settings.credential_name,) if settings.credential_name else ())
    credentials = tuple(SCHEME + name for name in names)
    if not names and settings.server_certificate:
        credentials = (f"file-cert:{settings.server_certificate}~{settings.private_key}",)
    elif not names and settings.tls_certificates:
        credentials = tuple(
            f"file-cert:{pair.server_certificate}~{pair.private_key}" for pair in settings.tls_certificates[:2]
        )
    return DownstreamTls(
        credentials=credentials,
        validation=_validation(settings, names),
        min_version=_VERSIONS.get(settings.min_protocol_version or "", _VERSIONS.get(mesh.tls.min_version, "")),
        max_version=_VERSIONS.get(settings.max_protocol_version or "", ""),
        cipher_suites=_known(settings.cipher_suites) or _known(mesh.tls.cipher_suites),
        ecdh_curves=mesh.tls.ecdh_curves,
    )


def _known(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name in _SUITES))


def _validation(settings: istio.ServerTLSSettings, names: tuple[str, ...]) -> ClientValidation | None:
    if settings.mode not in ("MUTUAL", "OPTIONAL_MUTUAL"):
        return None
    if settings.ca_cert_credential_name:
        credential = SCHEME + settings.ca_cert_credential_name
    elif names:
        credential = SCHEME + names[0] + CA_SUFFIX
    else:
        credential = "~".join(path for path in (FILE_CA + settings.ca_certificates, settings.ca_crl) if path)
    return ClientValidation(
        credential,
        required=settings.mode == "MUTUAL",
        subject_alt_names=settings.subject_alt_names,
        spki=settings.verify_certificate_spki,
        hashes=settings.verify_certificate_hash,
    )
