"""Causes between TCP and the first byte of the answer: ports, security groups, TLS."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from lockgate.probe.causes.model import Cause
from lockgate.probe.evidence import AcmCertificate, Evidence, Json
from lockgate.probe.observed import Connection, Exchange, Handshake, Observation, in_a_vpc


def diagnose(seen: Observation, known: Evidence) -> Iterator[Cause]:
    yield from _without_http2(seen, known)
    failed = [each for each in seen.connections if each.error]
    if failed:
        yield from _not_connected(seen, known, failed)
    for each in seen.connections:
        if each.tls_error:
            yield _handshake_failed(seen, known, each)
            break
    for exchange in seen.exchanges:
        if exchange.status is None:
            yield from _no_answer(seen, known, exchange)
            break


def issuances(known: Evidence) -> Iterator[Cause]:
    """Certificates of gateways that are not renewed: a load balancer does not verify them, so requests pass until then
    and after."""
    for each in known.issuances:
        if not each.ready:
            yield Cause(
                "certificate-not-ready",
                "certificate",
                f"Certificate {each.name} is not ready: {each.message or 'no reason is given'}",
                "See its CertificateRequest, Order and Challenge. A load balancer does not verify its targets, so its "
                "requests pass even after the certificate has ended.",
                confirmed=True,
                because=(f"the certificate in its Secret ends at {each.not_after}",) if each.not_after else (),
                warning=True,
            )


def trust(seen: Observation, known: Evidence, now: datetime) -> Iterator[Cause]:
    """A client that verifies refuses the connection, whatever is answered to one that does not."""
    for each in seen.connections:
        found = each.tls.certificate if each.tls is not None else None
        if found is not None and found.key in known.secrets:
            yield _past_the_load_balancer(seen, known.secrets[found.key])
            return
        if each.tls is not None and each.tls.distrust:
            yield _distrusted(seen, known, each.tls, now)
            return


def _without_http2(seen: Observation, known: Evidence) -> Iterator[Cause]:
    for each in seen.connections:
        if seen.asked.protocol == "2" and each.tls is not None and each.tls.alpn != "h2":
            yield Cause(
                "http2-off",
                "load balancer",
                "the server does not take HTTP/2",
                "Set the attribute routing.http2.enabled=true on the load balancer.",
                confirmed=bool(known.entered and known.entered.attributes.get("routing.http2.enabled") == "false"),
                because=(f"ALPN gives {each.tls.alpn or 'nothing'}",),
            )
            return


# --- TCP -----------------------------------------------------------------------------------------------------------


def _not_connected(seen: Observation, known: Evidence, failed: list[Connection]) -> Iterator[Cause]:
    port, balancer = seen.asked.port, known.entered
    because = tuple(f"{each.address}:{port} {each.error}" for each in failed)
    working = [each for each in seen.connections if not each.error]
    if balancer is not None and balancer.state not in ("active", ""):
        yield Cause(
            "not-active",
            "load balancer",
            f"the load balancer {balancer.name} is {balancer.state}"
            + (f": {balancer.reason}" if balancer.reason else ""),
            "Wait until it is active; for `failed` see the controller's events on the Ingress.",
            confirmed=True,
            because=because,
        )
    elif balancer is not None and balancer.listener(port) is None:
        yield Cause(
            "no-listener",
            "load balancer",
            f"{balancer.name} has no listener on port {port}; it has {balancer.ports}",
            "Add the port to `alb.ingress.kubernetes.io/listen-ports`.",
            confirmed=True,
            because=because,
        )
    elif working:
        six = all(":" in each.address for each in failed)
        yield Cause(
            "ipv6-unreachable" if six else "one-address",
            "network",
            f"{failed[0].address} does not connect, and {working[0].address} does",
            "Remove the AAAA record, or make the load balancer dualstack and allow ::/0."
            if six
            else "Compare the route table and the network ACL of that address' subnet with the others.",
            confirmed=six and balancer is not None and balancer.ip_address_type == "ipv4",
            because=because,
        )
    elif all(in_a_vpc(each.address) for each in failed) and (balancer is None or balancer.scheme == "internal"):
        yield Cause(
            "internal-scheme",
            "load balancer",
            "the load balancer has private addresses only, and is not reachable from here",
            "Set `alb.ingress.kubernetes.io/scheme: internet-facing`, or probe from inside the VPC.",
            confirmed=balancer is not None,
            because=because,
        )
    elif all(each.error == "timed out" for each in failed) and balancer is not None:
        yield Cause(
            "security-group",
            "network",
            f"port {port} of {balancer.name} is not reachable from here, though it has a listener there",
            "Allow the port and your addresses in the load balancer's security group "
            "(`alb.ingress.kubernetes.io/inbound-cidrs`), and look at the subnets' network ACLs.",
            because=because,
        )
    else:
        yield Cause(
            "no-listener",
            "load balancer",
            f"nothing listens on port {port} at {', '.join(each.address for each in failed)}",
            "Add the port to `alb.ingress.kubernetes.io/listen-ports`.",
            because=because,
        )


# --- TLS -----------------------------------------------------------------------------------------------------------


def _handshake_failed(seen: Observation, known: Evidence, connection: Connection) -> Cause:
    error, port = connection.tls_error, seen.asked.port
    balancer = known.entered
    listener = balancer.listener(port) if balancer else None
    because = (f"TLS with {connection.address}:{port}: {error}",)
    plain = listener is not None and listener.get("Protocol") in ("HTTP", "TCP")
    if plain or "wrong version number" in error.lower() or "record layer failure" in error.lower():
        return Cause(
            "plain-http-port",
            "load balancer",
            f"port {port} speaks plain HTTP",
            'Write `{"HTTPS": ' + str(port) + "}` in `listen-ports`, with a certificate, or use http://.",
            confirmed=plain,
            because=because,
        )
    if "certificate required" in error or "unknown ca" in error.lower() or "bad certificate" in error:
        return _client_certificate(listener, because)
    if _mutual(listener):
        return _client_certificate(listener, because)
    policy = listener.get("SslPolicy") if listener else ""
    if any(each in error.lower() for each in ("protocol version", "handshake failure", "unsupported protocol")):
        return Cause(
            "tls-version",
            "load balancer",
            "the client and the listener have no TLS version or cipher in common"
            + (f": its security policy is {policy}" if policy else ""),
            "Choose a policy with the client's versions: `alb.ingress.kubernetes.io/ssl-policy`.",
            confirmed=bool(policy),
            because=because,
        )
    return Cause("handshake-failed", "certificate", f"the TLS handshake fails: {error}", because=because)


def _mutual(listener: Json | None) -> str:
    """The mode of mutual TLS, if the listener verifies clients."""
    mode = ((listener or {}).get("MutualAuthentication") or {}).get("Mode", "")
    return mode if mode == "verify" else ""


def _client_certificate(listener: Json | None, because: tuple[str, ...]) -> Cause:
    mode = _mutual(listener)
    return Cause(
        "client-certificate",
        "load balancer",
        "the listener wants a client certificate" + (f" (mutual TLS, mode {mode})" if mode else ""),
        "Send a certificate of the trust store's authorities, or change "
        "`alb.ingress.kubernetes.io/mutual-authentication`.",
        confirmed=bool(mode),
        because=because,
    )


def _no_answer(seen: Observation, known: Evidence, exchange: Exchange) -> Iterator[Cause]:
    error = exchange.error.lower()
    balancer = known.entered
    listener = balancer.listener(seen.asked.port) if balancer else None
    because = (f"{exchange.address}: {exchange.error}",)
    if "certificate required" in error or "unknown ca" in error or "bad certificate" in error or _mutual(listener):
        yield _client_certificate(listener, because)
        return
    if "no answer in" in error:
        yield Cause("no-answer", "backend", "the connection stays open and nothing is answered", because=because)
        return
    yield Cause(
        "connection-closed",
        "load balancer" if balancer is not None else "gateway",
        f"the connection ends before an answer: {exchange.error}",
        because=because,
    )


def _past_the_load_balancer(seen: Observation, secret: str) -> Cause:
    return Cause(
        "past-the-load-balancer",
        "DNS",
        f"the certificate is the gateway's ({secret}): {seen.asked.host} leads past the load balancer",
        "Make the record an alias of the load balancer.",
        confirmed=True,
        because=("the public key is that of the Secret",),
    )


def _distrusted(seen: Observation, known: Evidence, tls: Handshake, now: datetime) -> Cause:
    host, found = seen.asked.host, tls.certificate
    acm = next(iter(known.certificates), None)
    because = (f"OpenSSL: {tls.distrust}",)
    if found is not None and found.not_after < now:
        return Cause(
            "expired",
            "certificate",
            f"the certificate ended on {found.not_after:%Y-%m-%d}",
            _renewal(acm),
            confirmed=acm is not None,
            because=because,
        )
    if "mismatch" in tls.distrust.lower() or "not valid for" in tls.distrust.lower():
        names = ", ".join(found.names[:4]) if found else "no name"
        return Cause(
            "wrong-certificate",
            "certificate",
            f"the certificate is for {names}, not for {host}",
            "Add a certificate with the name to `alb.ingress.kubernetes.io/certificate-arn`. A wildcard covers one "
            "label, and not the domain itself.",
            confirmed=True,
            because=because,
        )
    issuer = found.issuer if found else "an unknown issuer"
    short = found is not None and found.chain == 1 and "self" not in tls.distrust.lower()
    return Cause(
        "unknown-issuer",
        "certificate",
        f"clients do not trust the certificate's issuer, {issuer}"
        + (": the server sends no intermediate certificate" if short else ""),
        "Import the certificate with its chain." if short else "Use a certificate of ACM or of a public authority.",
        confirmed=acm is not None and acm.type != "AMAZON_ISSUED",
        because=(*because, *((f"ACM: {acm.type}",) if acm else ())),
    )


def _renewal(acm: AcmCertificate | None) -> str:
    if acm is None:
        return "Renew it."
    if acm.type == "IMPORTED":
        return "It was imported, which ACM does not renew: import a new one under the same ARN."
    return f"ACM's renewal is {acm.renewal or 'not under way'}: restore the validation CNAME in the zone."
