"""A connection's line in a load balancer's connection log, in AWS's format.

Source: "Connection logs for your Application Load Balancer", "Connection log entries". As in AWS, a field without a
value is ``-``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lockgate.loadbalancer.access_log import quoted

# Envoy's errors for rejected client certificates, and AWS's codes for them. Other errors have no code.
_REASONS: Final = (
    ("certificate has expired", "ClientCertExpired"),
    ("certificate is not yet valid", "ClientCertNotYetValid"),
    ("certificate revoked", "ClientCertCrlHit"),
    ("certificate chain too long", "ClientCertMaxChainDepthExceeded"),
    ("unsupported certificate purpose", "ClientCertPurposeInvalid"),
    ("unable to get local issuer", "ClientCertUntrusted"),
    ("unable to get issuer", "ClientCertUntrusted"),
    ("self-signed certificate", "ClientCertUntrusted"),
    ("self signed certificate", "ClientCertUntrusted"),
    ("CERTIFICATE_VERIFY_FAILED", "ClientCertInvalid"),
)

# BoringSSL's names of groups to IANA's ("TLS Supported Groups"), where they differ.
_GROUPS: Final = {"X25519": "x25519", "P-256": "secp256r1", "P-384": "secp384r1", "P-521": "secp521r1"}


def line(record: Mapping[str, str], *, secure: bool) -> str:
    """One line without its line break, from the record that Envoy logs (`xds.loadbalancer.access_log`)."""
    address, _, port = record["client"].rpartition(":")
    connection = record.get("connection", "-")
    fields = [
        record["start"],
        address.strip("[]"),
        port,
        record["listener_port"],
        _field(record, "tls"),
        _field(record, "cipher"),
        _latency(record),
        quoted(_field(record, "subject")),
        _validity(record),
        _field(record, "serial").upper(),
        _status(record) if secure else "-",
        f"TID_{int(connection):016x}" if connection.isdigit() else "-",
        _GROUPS.get(_field(record, "group"), _field(record, "group")),
    ]
    return " ".join(fields)


def _latency(record: Mapping[str, str]) -> str:
    """Milliseconds to seconds."""
    taken = _field(record, "handshake")
    return f"{int(taken) / 1000:.3f}" if taken.isdigit() else "-"


def _validity(record: Mapping[str, str]) -> str:
    first, last = _field(record, "not_before"), _field(record, "not_after")
    return "-" if "-" in (first, last) else f"NotBefore={first};NotAfter={last}"


def _status(record: Mapping[str, str]) -> str:
    failure = _field(record, "failure")
    if failure == "-" and _field(record, "tls") != "-":
        return "Success"
    reason = next((ours for theirs, ours in _REASONS if theirs in failure.replace("_", " ") or theirs in failure), "")
    return f"Failed:{reason or 'UnmappedConnectionError'}"


def _field(record: Mapping[str, str], name: str) -> str:
    return record.get(name) or "-"
