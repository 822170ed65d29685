"""A connection's line in a load balancer's connection log, in AWS's format.

Source: "Connection logs for your Application Load Balancer", "Connection log entries". What is not known here is ``-``,
as there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lockgate.loadbalancer.access_log import quoted

# What Envoy says of a client's certificate that it does not take, to AWS's words; the rest has none.
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
    """One line, without its end, from the record that Envoy writes (`xds.loadbalancer.access_log`)."""
    address, _, port = record["client"].rpartition(":")
    connection = record.get("connection", "-")
    fields = [
        record["start"],
        address.strip("[]"),
        port,
        record["listener_port"],
        _known(record, "tls"),
        _known(record, "cipher"),
        _latency(record),
        quoted(_known(record, "subject")),
        _validity(record),
        _known(record, "serial").upper(),
        _status(record) if secure else "-",
        f"TID_{int(connection):016x}" if connection.isdigit() else "-",
        _GROUPS.get(_known(record, "group"), _known(record, "group")),
    ]
    return " ".join(fields)


def _latency(record: Mapping[str, str]) -> str:
    """Milliseconds to seconds."""
    taken = _known(record, "handshake")
    return f"{int(taken) / 1000:.3f}" if taken.isdigit() else "-"


def _validity(record: Mapping[str, str]) -> str:
    first, last = _known(record, "not_before"), _known(record, "not_after")
    return "-" if "-" in (first, last) else f"NotBefore={first};NotAfter={last}"


def _status(record: Mapping[str, str]) -> str:
    failure = _known(record, "failure")
    if failure == "-" and _known(record, "tls") != "-":
        return "Success"
    reason = next((ours for theirs, ours in _REASONS if theirs in failure.replace("_", " ") or theirs in failure), "")
    return f"Failed:{reason or 'UnmappedConnectionError'}"


def _known(record: Mapping[str, str], name: str) -> str:
    return record.get(name) or "-"
