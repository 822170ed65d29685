"""The locks of an edge: the certificate that each TLS hop presents, how long it is valid, and who would accept it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from lockgate.certificates.request import alternative_names, load_chain

_SOON = 14  # days


@dataclass(frozen=True, slots=True)
class Lock:
    """`verifies` is what a client finds that verifies: the chain leads to a CA that it trusts, it is valid now, and it
    is for the host. `why` says what is wrong otherwise. `client` says what the client of this hop really verifies."""

    reference: str
    subject: str
    names: tuple[str, ...]
    issuer: str
    serial: str
    not_after: float
    days: int
    verifies: bool
    why: str
    client: str = ""

    @property
    def state(self) -> str:
        if not self.verifies:
            return "bad"
        return "warn" if self.days < _SOON else "ok"

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "state": self.state}


def missing(reference: str, client: str) -> Lock:
    """A certificate that does not exist: no TLS connection is possible."""
    return Lock(reference, "", (), "", "", 0.0, 0, False, "The certificate does not exist yet.", client)


def lock(reference: str, chain: bytes, hosts: Sequence[str], roots: Store, now: float, client: str) -> Lock:
    """`hosts` are the names for which clients use it. Raises ValueError for what is no certificate."""
    leaf, *others = load_chain(chain)
    names = alternative_names(leaf)["spec.dnsNames"]
    when = datetime.fromtimestamp(now, UTC)
    why = _fault(leaf, others, hosts, names, roots, when)
    return Lock(
        reference=reference,
        subject=_common_name(leaf.subject) or (names[0] if names else leaf.subject.rfc4514_string()),
        names=names,
        issuer=_common_name(leaf.issuer) or leaf.issuer.rfc4514_string(),
        serial=f"{leaf.serial_number:x}",
        not_after=leaf.not_valid_after_utc.timestamp(),
        days=(leaf.not_valid_after_utc - when).days,
        verifies=not why,
        why=why,
        client=client,
    )


def trusted(bundle: str) -> Store:
    return Store(x509.load_pem_x509_certificates(bundle.encode()))


def _fault(
    leaf: x509.Certificate,
    others: list[x509.Certificate],
    hosts: Sequence[str],
    names: Sequence[str],
    roots: Store,
    when: datetime,
) -> str:
    if when > leaf.not_valid_after_utc:
        return f"It has expired on {leaf.not_valid_after_utc:%-d %B %Y}."
    if when < leaf.not_valid_before_utc:
        return f"It is not valid before {leaf.not_valid_before_utc:%-d %B %Y %H:%M} UTC."
    lacking = [host for host in hosts if not covers(names, host)]
    if lacking:
        return f"It is not for {', '.join(lacking[:3])}{' and others' if len(lacking) > 3 else ''}."
    name = next((each for each in names if "*" not in each), "") or (names[0].replace("*", "any", 1) if names else "")
    if not name:
        return "It has no DNS name."
    try:
        verifier = PolicyBuilder().store(roots).time(when).build_server_verifier(x509.DNSName(name))
        verifier.verify(leaf, others)
    except (VerificationError, ValueError) as error:
        issuer = _common_name(leaf.issuer) or "its issuer"
        return f"Its chain does not lead to a CA that clients trust: {issuer} ({error})."
    return ""


def covers(names: Sequence[str], host: str) -> bool:
    """An exact name, or a wildcard for one label."""
    host = host.lower()
    return any(name.lower() in (host, f"*.{host.partition('.')[2]}") for name in names)


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def renewed(before: Mapping[str, Lock], now: Mapping[str, Lock]) -> list[tuple[str, str]]:
    """What became of certificates since an earlier observation: whether that is bad, and a sentence."""
    found = []
    for reference, current in now.items():
        earlier = before.get(reference)
        if earlier is None or (earlier.serial, earlier.verifies) == (current.serial, current.verifies):
            continue
        until = datetime.fromtimestamp(current.not_after, UTC)
        if current.serial != earlier.serial and current.serial:
            what = "renewed" if earlier.serial else "issued"
            found.append(("ok", f"{current.subject}: {what} by {current.issuer}, valid until {until:%-d %B %Y}"))
        if current.verifies != earlier.verifies:
            text = "verifies again" if current.verifies else current.why
            found.append((current.state, f"{current.subject or reference}: {text}"))
    return found
