"""Decides the next step for a Certificate: one action at a time, from the current state.

    at rest ─▶ Start ─▶ MakeKey ─▶ Request ─▶ … the issuer … ─▶ Complete ─▶ DropKeys ─▶ at rest
                 ▲                                   └────────▶ Fail ─▶ … back-off … ─┘

All state is in the API, so an interrupted step is simply repeated.
Source: cert-manager's controllers certificates-{trigger,key-manager,request-manager,issuing,revision-manager}.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from lockgate.certificates import backoff, policy
from lockgate.certificates.keys import KeySpec, PrivateKey, UnreadableKey, load_key, same_key
from lockgate.certificates.policy import Violation, go_list
from lockgate.certificates.request import (
    key_spec,
    load_chain,
    load_request,
    request_manifest,
    request_mismatches,
    revision_of,
    signing_request,
)
from lockgate.certificates.secret import Material, is_up_to_date, stored, target
from lockgate.certificates.times import parse_time
from lockgate.resources import cert_manager as cm
from lockgate.resources import core
from lockgate.resources.meta import Condition, condition
from lockgate.resources.model import JsonObject


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything about one Certificate. `owner` is False if another Certificate owns the Secret."""

    certificate: cm.Certificate
    secret: core.Secret | None
    next_keys: Sequence[core.Secret]
    requests: Sequence[cm.CertificateRequest]
    now: datetime
    owner: bool = True

    def request(self, revision: int) -> cm.CertificateRequest | None:
        return next((each for each in self.requests if revision_of(each) == revision), None)

    @property
    def revision(self) -> int:
        return self.certificate.status.revision or 0

    @property
    def policies(self) -> policy.Input:
        return policy.Input(self.certificate, self.secret, self.request(self.revision), self.now)


# --- actions -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing to do until something changes, or until `until`."""

    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Start:
    violation: Violation


@dataclass(frozen=True, slots=True)
class MakeKey:
    """Store a private key in a temporary Secret: a new key or, with `reuse`, the current one.

    `undecodable` names a Secret whose key should have been reused but cannot be read.
    """

    spec: KeySpec
    reuse: bytes | None = field(default=None, repr=False)
    undecodable: str = ""


@dataclass(frozen=True, slots=True)
class AdoptKey:
    """Record a temporary Secret that exists but is not in the status yet."""

    secret: str


@dataclass(frozen=True, slots=True)
class DropKeys:
    """Delete temporary Secrets. `fields`, if any, are the reason: they changed during the issuance."""

    secrets: tuple[str, ...]
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stuck:
    """Only the user can continue: the key does not match the spec and may not be rotated."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Request:
    manifest: JsonObject


@dataclass(frozen=True, slots=True)
class DropRequests:
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Complete:
    """Store the issued certificate, as `revision`."""

    secret: JsonObject = field(repr=False)
    revision: int


@dataclass(frozen=True, slots=True)
class Fail:
    violation: Violation


@dataclass(frozen=True, slots=True)
class Restore:
    """The certificate is valid, but other contents of its Secret are not: write them again."""

    secret: JsonObject = field(repr=False)


Act: TypeAlias = (
    Rest | Start | MakeKey | AdoptKey | DropKeys | Stuck | Request | DropRequests | Complete | Fail | Restore
)


def decide(seen: Seen) -> Act:
    """The next action. Raises `ValueError` for a spec from which no request can be made."""
    issuing = condition(seen.certificate.status.conditions, "Issuing")
    if issuing is not None and issuing.status == "True":
        return _issue(seen, issuing)
    return _watch(seen)


# --- not issuing -------------------------------------------------------------------------------------------------


def _watch(seen: Seen) -> Act:
    if seen.next_keys:
        return DropKeys(tuple(each.name for each in seen.next_keys))
    if not seen.owner:
        return Rest()
    given = seen.policies
    violation = policy.trigger(given)
    if violation is not None:
        until = _backing_off(seen)
        return Rest(until) if until else Start(violation)
    if stale := _stale_requests(seen):
        return DropRequests(stale)
    assert seen.secret is not None
    material = stored(seen.secret)
    assert material is not None  # the first policy checks it
    desired = target(seen.certificate, material, existing_type=seen.secret.type)
    if not is_up_to_date(seen.secret, desired):
        return Restore(desired)
    times = (policy.renewal_time(seen.certificate.spec, given.leaf), given.leaf.not_valid_after_utc)
    return Rest(next((time for time in times if time > seen.now), None))


def _backing_off(seen: Seen) -> datetime | None:
    """When the next attempt is allowed, if that is in the future. A spec changed after the failure is tried at once."""
    until = backoff.next_attempt(seen.certificate)
    if until is None or until <= seen.now:
        return None
    failed = seen.request(seen.revision + 1)
    if failed is not None and request_mismatches(seen.certificate.spec, failed):
        return None
    return until


def _stale_requests(seen: Seen) -> tuple[str, ...]:
    """Requests beyond `revisionHistoryLimit`, oldest first, once the Certificate is ready."""
    ready = condition(seen.certificate.status.conditions, "Ready")
    if ready is None or ready.status != "True":
        return ()
    limit = seen.certificate.spec.revision_history_limit or 1
    numbered = sorted((number, each.name) for each in seen.requests if (number := revision_of(each)) is not None)
    return tuple(name for _, name in numbered[: max(0, len(numbered) - limit)])


# --- issuing -----------------------------------------------------------------------------------------------------


def _issue(seen: Seen, issuing: Condition) -> Act:
    spec = seen.certificate.spec
    desired = key_spec(spec)
    if not seen.next_keys:
        return _first_key(seen, desired)
    named = seen.certificate.status.next_private_key_secret_name
    chosen = next((each for each in seen.next_keys if each.name == named), None)
    if chosen is None:
        return AdoptKey(seen.next_keys[0].name) if len(seen.next_keys) == 1 else _drop(seen.next_keys)
    if len(seen.next_keys) > 1:
        return _drop([each for each in seen.next_keys if each is not chosen])
    try:
        key = load_key(chosen.decoded.get("tls.key", b""))
    except UnreadableKey:
        return _drop([chosen])
    if fields := desired.mismatches(key):
        return DropKeys((chosen.name,), fields)

    revision = seen.revision + 1
    if unfit := tuple(each.name for each in seen.requests if _is_unfit(each, seen, key, issuing)):
        return DropRequests(unfit)
    request = seen.request(revision)
    if request is None:
        csr = signing_request(spec, key)
        return Request(request_manifest(seen.certificate, csr, revision, chosen.name))
    return _judge(seen, request, key, chosen.decoded["tls.key"], revision)


def _first_key(seen: Seen, desired: KeySpec) -> Act:
    """rotationPolicy Never reuses the existing key; Always, the default since 1.18, makes a new one."""
    private = seen.certificate.spec.private_key
    if private is None or private.rotation_policy != "Never" or seen.secret is None:
        return MakeKey(desired)
    text = seen.secret.decoded.get("tls.key", b"")
    if not text:
        return MakeKey(desired)
    try:
        key = load_key(text)
    except UnreadableKey:
        return MakeKey(desired, undecodable=seen.secret.name)
    if fields := desired.mismatches(key):
        return Stuck(
            "CannotRegenerateKey",
            f'User intervention required: existing private key in Secret "{seen.secret.name}" does not match '
            f"requirements on Certificate resource, mismatching fields: {go_list(fields)}, but cert-manager cannot "
            "create new private key as the Certificate's .spec.privateKey.rotationPolicy is unset or set to Never. "
            "To allow cert-manager to create a new private key you can set .spec.privateKey.rotationPolicy to "
            "'Always' (this will result in the private key being regenerated every time a cert is renewed) ",
        )
    return MakeKey(desired, reuse=text)


def _is_unfit(request: cm.CertificateRequest, seen: Seen, key: PrivateKey, issuing: Condition) -> bool:
    """Whether a request of this revision has different content, or failed before this issuance began."""
    number = revision_of(request)
    if number is None:
        return True
    if number != seen.revision + 1:
        return False
    try:
        if not same_key(load_request(request).public_key(), key.public_key()):
            return True
        if request_mismatches(seen.certificate.spec, request):
            return True
    except ValueError:
        return True
    ready = condition(request.status.conditions, "Ready")
    if ready is None or ready.reason != "Failed" or not request.status.failure_time:
        return False
    return parse_time(request.status.failure_time) < parse_time(issuing.last_transition_time)


def _judge(seen: Seen, request: cm.CertificateRequest, key: PrivateKey, key_pem: bytes, revision: int) -> Act:
    conditions = request.status.conditions
    for type_, reason in (("Denied", "Denied"), ("InvalidRequest", "InvalidRequest")):
        found = condition(conditions, type_)
        if found is not None and found.status == "True":
            return _failed(reason, found.message)
    ready = condition(conditions, "Ready")
    if ready is None or ready.reason not in ("Failed", "Denied", "Issued"):
        return Rest()
    if ready.reason != "Issued":
        return _failed(ready.reason, ready.message)
    try:
        chain = base64.b64decode(request.status.certificate, validate=True)
        leaf = load_chain(chain)[0]
    except (ValueError, binascii.Error, IndexError):
        return _failed("InvalidCertificate", "issuer returned a certificate that cannot be read")
    if not same_key(leaf.public_key(), key.public_key()):
        message = "issuer returned a certificate whose public key does not match the request's private key"
        return _failed("InvalidCertificate", message)
    if leaf.not_valid_after_utc <= seen.now:
        return _failed("InvalidCertificate", "issuer returned an expired certificate")
    material = Material(chain, key_pem, base64.b64decode(request.status.ca or ""))
    existing = seen.secret.type if seen.secret else None
    return Complete(target(seen.certificate, material, existing_type=existing), revision)


def _failed(reason: str, message: str) -> Fail:
    return Fail(Violation(reason, f"The certificate request has failed to complete and will be retried: {message}"))


def _drop(secrets: Sequence[core.Secret]) -> DropKeys:
    return DropKeys(tuple(each.name for each in secrets))
