"""Istio's webhook for Gateway: `pkg/config/validation/validation.go`, ValidateGateway."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lockgate.resources import istio
from lockgate.resources.field_errors import FieldError, Path, Reason
from lockgate.resources.rules import istio_names as names
from lockgate.resources.rules.istio_names import conflict, problem, q, required

_PLAIN_HTTP = frozenset(("HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTP_PROXY"))
_TLS = frozenset(("HTTPS", "TLS"))
_MOST = 2  # certificates of a server
_LISTED = "HTTP, HTTP2, GRPC, GRPC-WEB, MONGO, REDIS, MYSQL, TCP"
CIPHER_SUITES = frozenset(
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES128-SHA",
        "ECDHE-ECDSA-AES256-SHA",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-RSA-AES128-SHA",
        "ECDHE-RSA-AES256-SHA",
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
        "AES128-SHA",
        "AES256-SHA",
        "DES-CBC3-SHA",
        "ALL",
    )
)


def refusals(gateway: istio.Gateway) -> Iterator[FieldError]:
    if gateway.metadata.name and not names.is_label(gateway.metadata.name):
        yield problem(("metadata", "name"), f"invalid gateway name: {q(gateway.metadata.name)}")
    servers = gateway.spec.servers
    if not servers:
        yield required(("spec", "servers"), "gateway must have at least one server")
    seen: set[str] = set()
    for index, server in enumerate(servers):
        at = ("spec", "servers", index)
        yield from _server(at, server)
        name = server.port.name
        if name and name in seen:
            message = f"port names in servers must be unique: duplicate name {name}"
            yield problem((*at, "port", "name"), message, Reason.DUPLICATE)
        seen.add(name)


def _server(path: Path, server: istio.Server) -> Iterator[FieldError]:
    if not server.hosts:
        yield required((*path, "hosts"), "server config must contain at least one host")
    for index, host in enumerate(server.hosts):
        yield from _host((*path, "hosts", index), host)
    port, at = server.port, (*path, "port")
    protocol = port.protocol.upper()
    if protocol not in names.PROTOCOLS:
        message = f"invalid protocol {q(port.protocol)}, supported protocols are {_LISTED}"
        yield problem((*at, "protocol"), message, Reason.UNSUPPORTED)
    if server.bind.startswith("unix://"):
        yield from names.unix_address((*path, "bind"), server.bind.removeprefix("unix://"))
        if port.number:
            yield problem((*at, "number"), f"port number must be 0 for unix domain socket: {port.number}")
    else:
        yield from names.port((*at, "number"), port.number)
        if server.bind and not names.is_address(server.bind):
            yield problem((*path, "bind"), f"{server.bind} is not a valid IP")
    if not port.name:
        yield required((*at, "name"), f"port name must be set: {port.number}")
    if port.target_port:
        yield conflict((*at, "targetPort"), "targetPort has no impact on Gateways")
    yield from _tls_for(path, protocol, server.tls)


def _host(path: Path, host: str) -> Iterator[FieldError]:
    namespace, slash, name = host.partition("/")
    if not slash:
        yield from _dns_name(path, host)
    elif not namespace or not name:
        yield problem(path, "config namespace and dnsName in host entry cannot be empty")
    else:
        if namespace not in ("*", ".") and not names.is_label(namespace):
            yield problem(path, f"invalid namespace value {q(namespace)} in gateway")
        yield from _dns_name(path, name)


def _dns_name(path: Path, name: str) -> Iterator[FieldError]:
    """An address may stand for a name, but one of IPv6 has no dot, and is refused as a short name."""
    if name != "*" and "." not in name:
        yield problem(path, "short names (non FQDN) are not allowed")
    if not names.is_address(name):
        yield from names.wildcard_domain(path, name)
    yield from names.partial_wildcard(path, name)


def _tls_for(path: Path, protocol: str, tls: istio.ServerTLSSettings | None) -> Iterator[FieldError]:
    at = (*path, "tls")
    if tls is None:
        if protocol in _TLS:
            yield required(at, "server must have TLS settings for HTTPS/TLS protocols")
        return
    if protocol in _PLAIN_HTTP:
        passed = (tls.mode or "PASSTHROUGH") in ("PASSTHROUGH", "AUTO_PASSTHROUGH")
        if not passed or tls.server_certificate or tls.private_key or tls.ca_certificates:
            yield conflict(at, "server cannot have TLS settings for plain text HTTP ports")
    elif protocol not in _TLS and protocol in names.PROTOCOLS:
        yield conflict(at, "server cannot have TLS settings for non HTTPS/TLS ports")
    yield from server_tls(at, tls)


def server_tls(path: Path, tls: istio.ServerTLSSettings) -> Iterator[FieldError]:
    mode = tls.mode or "PASSTHROUGH"
    if mode == "ISTIO_MUTUAL":
        for field, what, value in (
            ("serverCertificate", "server certificate", tls.server_certificate),
            ("privateKey", "private key", tls.private_key),
            ("caCertificates", "CA bundle", tls.ca_certificates),
            ("tlsCertificates", "tlsCertificates", tls.tls_certificates),
            ("credentialName", "credentialName", tls.credential_name),
            ("credentialNames", "credentialNames", tls.credential_names),
        ):
            if value:
                yield conflict((*path, field), f"ISTIO_MUTUAL TLS cannot have associated {what}")
        return
    files = bool(tls.server_certificate and tls.private_key)
    by_name = bool(tls.credential_name or tls.credential_names)
    if len(tls.credential_names) > _MOST:
        message = f"Too many: {len(tls.credential_names)}: must have at most {_MOST} items"
        yield FieldError((*path, "credentialNames"), Reason.TOO_LONG, message)
    given = (bool(tls.credential_name), bool(tls.credential_names), files, bool(tls.tls_certificates))
    if sum(given) > 1:
        which = "credential_name, credential_names, server_certificate/private_key, tls_certificates"
        yield conflict(path, f"only one of {which} should be specified")
    if mode not in ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"):
        if tls.ca_crl and by_name:
            message = "CRL is not supported with credentialName. CRL has to be specified in the credential"
            yield conflict((*path, "caCrl"), message)
        return
    if by_name:
        return
    what = "SIMPLE TLS" if mode == "SIMPLE" else "MUTUAL TLS"
    if mode != "SIMPLE" and not tls.ca_certificates:
        yield required((*path, "caCertificates"), f"{what} requires a client CA bundle")
    pairs: list[tuple[Path, str, str]] = [
        ((*path, "tlsCertificates", index), pair.server_certificate, pair.private_key)
        for index, pair in enumerate(tls.tls_certificates)
    ]
    for at, certificate, key in pairs or [(path, tls.server_certificate, tls.private_key)]:
        if not certificate:
            yield required((*at, "serverCertificate"), f"{what} requires a server certificate")
        if not key:
            yield required((*at, "privateKey"), f"{what} requires a private key")
    if tls.ca_crl and mode == "SIMPLE":
        yield conflict((*path, "caCrl"), "CRL is not supported with SIMPLE TLS")


def warnings(gateway: istio.Gateway) -> Iterator[FieldError]:
    for index, server in enumerate(gateway.spec.servers):
        if server.tls is not None:
            plain = server.port.protocol.upper() in _PLAIN_HTTP
            yield from _tls_warnings(("spec", "servers", index, "tls"), server.tls, plain=plain)


def _tls_warnings(path: Path, tls: istio.ServerTLSSettings, *, plain: bool) -> Iterator[FieldError]:
    mode = tls.mode or "PASSTHROUGH"
    if tls.https_redirect and not plain:
        yield problem((*path, "httpsRedirect"), "tls.httpsRedirect should only be used with http servers")
    named = tls.credential_name or tls.credential_names or tls.tls_certificates
    if mode in ("PASSTHROUGH", "AUTO_PASSTHROUGH") and (
        named or tls.server_certificate or tls.private_key or tls.ca_certificates or tls.ca_crl
    ):
        yield problem(path, f"{mode} mode does not use certificates, they will be ignored")
    if len(tls.tls_certificates) > _MOST and not (tls.credential_name or tls.credential_names):
        what = "SIMPLE TLS" if mode == "SIMPLE" else "MUTUAL TLS"
        if mode in ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"):
            message = f"{what} can support up to {_MOST} server certificates"
            yield problem((*path, "tlsCertificates"), message)
    unknown = [suite for suite in tls.cipher_suites if not _is_cipher_suite(suite)]
    if unknown:
        yield problem((*path, "cipherSuites"), f"ignoring invalid cipher suites: [{' '.join(sorted(unknown))}]")
    twice = sorted(suite for suite, count in Counter(tls.cipher_suites).items() if count > 1)
    if twice:
        yield problem((*path, "cipherSuites"), f"ignoring duplicate cipher suites: [{' '.join(twice)}]")
    if tls.min_protocol_version in ("TLSV1_0", "TLSV1_1") and not tls.cipher_suites:
        message = (
            "TLS version below TLSV1_2 require setting compatible ciphers as by default they no longer include "
            "compatible ciphers."
        )
        yield problem((*path, "minProtocolVersion"), message)


def _is_cipher_suite(suite: str) -> bool:
    # OpenSSL's operators (-AES, +SHA, [A|B]) are not validated.
    return suite in CIPHER_SUITES or not suite[:1].isalnum()
