"""Certificates: performs the decisions of `certificates.issuance`.

cert-manager has seven controllers for this; their names remain as the sources of events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import assert_never

from lockgate.certificates import policy
from lockgate.certificates.conditions import with_condition, without_condition
from lockgate.certificates.issuance import (
    AdoptKey,
    Complete,
    DropKeys,
    DropRequests,
    Fail,
    MakeKey,
    Request,
    Rest,
    Restore,
    Seen,
    Start,
    Stuck,
    decide,
)
from lockgate.certificates.keys import encode_key, load_key
from lockgate.certificates.policy import go_list
from lockgate.certificates.request import load_chain, owner_reference
from lockgate.certificates.secret import CERTIFICATE_NAME, FIELD_MANAGER, NEXT_KEY, next_key
from lockgate.certificates.times import write_time
from lockgate.controllers.cert_manager import secrets
from lockgate.controllers.cert_manager.environment import Environment
from lockgate.controllers.keys import generate
from lockgate.resources import cert_manager as cm
from lockgate.resources import core
from lockgate.resources.effects.uses import messages_of
from lockgate.resources.model import JsonObject, ObjectKey, Resource
from lockgate.resources.status import ApiError, NotFound

MOST_ACTS = 30  # per reconciliation; far more than an issuance needs, but it stops an endless loop
LONGEST_REST = timedelta(days=1)  # of a timer; the next reconciliation then waits again


@dataclass(frozen=True, slots=True)
class Certificates:
    environment: Environment
    again_after: Callable[[ObjectKey, float], None]

    async def reconcile(self, key: ObjectKey) -> None:
        for _ in range(MOST_ACTS):
            seen = await self._see(key)
            if seen is None:
                return
            seen = await self._tell_readiness(seen)
            try:
                act = decide(seen)
            except ValueError as error:
                message = f"Failed to generate CSR: {error} - will not retry"
                await self._event("request-manager", seen, "Warning", "RequestFailed", message)
                return
            match act:
                case Rest(until):
                    if until is not None:
                        rest = min(until - seen.now, LONGEST_REST)
                        self.again_after(key, max(rest.total_seconds(), 0.0) + 0.5)
                    elif not seen.owner:
                        self.again_after(key, self.environment.pace.shared_secret_check)
                    return
                case Stuck(reason, message):
                    await self._event("key-manager", seen, "Warning", reason, message)
                    return
                case Start():
                    await self._start(seen, act)
                case MakeKey():
                    await self._make_key(seen, act)
                case AdoptKey(secret):
                    await self._status(seen, {"nextPrivateKeySecretName": secret})
                case DropKeys():
                    await self._drop_keys(seen, act)
                case Request(manifest):
                    await self._request(seen, manifest)
                case DropRequests(names):
                    for name in names:
                        await self._delete(cm.CertificateRequest, name, key.namespace)
                case Complete():
                    await self._complete(seen, act)
                case Fail():
                    await self._fail(seen, act)
                    return
                case Restore(secret):
                    await self.environment.kubernetes.apply(secret, manager=FIELD_MANAGER)
                case _:
                    assert_never(act)

    # --- observe -------------------------------------------------------------------------------------------------

    async def _see(self, key: ObjectKey) -> Seen | None:
        kubernetes = self.environment.kubernetes
        try:
            certificate = await kubernetes.get(cm.Certificate, key.name, key.namespace)
        except NotFound:
            return None
        if certificate.metadata.deletion_timestamp:
            return None
        secret = await secrets.find(kubernetes, key.namespace, certificate.spec.secret_name)
        uid = certificate.metadata.uid
        next_keys = await kubernetes.list(core.Secret, key.namespace, {NEXT_KEY: "true"})
        requests = await kubernetes.list(cm.CertificateRequest, key.namespace)
        return Seen(
            certificate=certificate,
            secret=secret,
            next_keys=[each for each in next_keys if _belongs(each, uid)],
            requests=[each for each in requests if _belongs(each, uid)],
            now=self.environment.now(),
            owner=await self._owns(certificate, secret),
        )

    async def _owns(self, certificate: cm.Certificate, secret: core.Secret | None) -> bool:
        """If several Certificates have the same Secret, its owner is the one it was issued for, else the oldest."""
        every = await self.environment.kubernetes.list(cm.Certificate, certificate.namespace)
        rivals = [each for each in every if each.spec.secret_name == certificate.spec.secret_name]
        if len(rivals) <= 1:
            return True
        named = secret.metadata.annotations.get(CERTIFICATE_NAME) if secret else None
        holder = next((each for each in rivals if each.name == named), None)
        oldest = min(rivals, key=lambda each: (each.metadata.creation_timestamp, each.name))
        return (holder or oldest).name == certificate.name

    async def _tell_readiness(self, seen: Seen) -> Seen:
        """Writes the Ready condition and its times, from the Secret's current content."""
        try:
            violation = policy.readiness(seen.policies)
        except ValueError as error:
            violation = policy.Violation("InvalidSpec", str(error))
        status, reason, message = "True", "Ready", "Certificate is up to date and has not expired"
        if violation is not None:
            status, reason, message = "False", violation.reason, violation.message
        certificate = seen.certificate
        patch: JsonObject = {
            "conditions": with_condition(
                certificate.status.conditions,
                "Ready",
                status,
                reason,
                message,
                now=seen.now,
                generation=certificate.metadata.generation,
            )
        }
        try:
            leaf = load_chain(seen.policies.data.get("tls.crt", b""))[0]
        except ValueError:
            patch |= {"notBefore": None, "notAfter": None, "renewalTime": None}
        else:
            patch["notBefore"] = write_time(leaf.not_valid_before_utc)
            patch["notAfter"] = write_time(leaf.not_valid_after_utc)
            patch["renewalTime"] = write_time(policy.renewal_time(certificate.spec, leaf))
        return replace(seen, certificate=await self._status(seen, patch))

    # --- act -----------------------------------------------------------------------------------------------------

    async def _start(self, seen: Seen, act: Start) -> None:
        await self._status(seen, {"conditions": _issuing(seen, "True", act.violation)})
        await self._event("trigger", seen, "Normal", "Issuing", act.violation.message)
        for missing in messages_of(seen.certificate):
            await self._event("trigger", seen, "Warning", "NotServed", missing)

    async def _make_key(self, seen: Seen, act: MakeKey) -> None:
        if act.undecodable:
            message = f'Failed to decode private key stored in Secret "{act.undecodable}" - generating new key'
            await self._event("key-manager", seen, "Warning", "DecodeFailed", message)
        key = load_key(act.reuse) if act.reuse else await generate(act.spec)
        manifest = next_key(seen.certificate, encode_key(key, "PKCS8"), owner_reference(seen.certificate))
        created = await self.environment.kubernetes.create(manifest)
        name = created["metadata"]["name"]
        await self._status(seen, {"nextPrivateKeySecretName": name})
        if act.reuse:
            message = f'Reusing private key stored in existing Secret resource "{seen.certificate.spec.secret_name}"'
            await self._event("key-manager", seen, "Normal", "Reused", message)
        else:
            message = f'Stored new private key in temporary Secret resource "{name}"'
            await self._event("key-manager", seen, "Normal", "Generated", message)

    async def _drop_keys(self, seen: Seen, act: DropKeys) -> None:
        if act.fields:
            message = f"Regenerating private key due to change in fields: {go_list(act.fields)}"
            await self._event("key-manager", seen, "Normal", "Deleted", message)
        if seen.certificate.status.next_private_key_secret_name in act.secrets:
            await self._status(seen, {"nextPrivateKeySecretName": None})
        for name in act.secrets:
            await self._delete(core.Secret, name, seen.certificate.namespace)

    async def _request(self, seen: Seen, manifest: JsonObject) -> None:
        try:
            await self.environment.kubernetes.create(manifest)
        except ApiError as error:
            if error.reason == "AlreadyExists":  # an orphan of an earlier Certificate of this name
                await self._delete(cm.CertificateRequest, manifest["metadata"]["name"], seen.certificate.namespace)
                return
            message = f"Failed to create CertificateRequest: {error.message}"
            await self._event("request-manager", seen, "Warning", "RequestFailed", message)
            raise
        message = f'Created new CertificateRequest resource "{manifest["metadata"]["name"]}"'
        await self._event("request-manager", seen, "Normal", "Requested", message)

    async def _complete(self, seen: Seen, act: Complete) -> None:
        await self.environment.kubernetes.apply(act.secret, manager=FIELD_MANAGER)
        await self._status(
            seen,
            {
                "revision": act.revision,
                "conditions": without_condition(seen.certificate.status.conditions, "Issuing"),
                "lastFailureTime": None,
                "failedIssuanceAttempts": None,
            },
        )
        message = "The certificate has been successfully issued"
        await self._event("issuing", seen, "Normal", "Issuing", message)

    async def _fail(self, seen: Seen, act: Fail) -> None:
        status = seen.certificate.status
        violation = act.violation
        await self._status(
            seen,
            {
                "lastFailureTime": write_time(seen.now),
                "failedIssuanceAttempts": (status.failed_issuance_attempts or 0) + 1,
                "conditions": _issuing(seen, "False", violation),
            },
        )
        await self._event("issuing", seen, "Warning", violation.reason, violation.message)

    async def _status(self, seen: Seen, patch: JsonObject) -> cm.Certificate:
        certificate = seen.certificate
        written = await self.environment.kubernetes.patch_status(
            cm.Certificate, certificate.name, certificate.namespace, patch
        )
        return cm.Certificate.model_validate(written)

    async def _event(self, controller: str, seen: Seen, type_: str, reason: str, message: str) -> None:
        await self.environment.event(f"certificates-{controller}", seen.certificate, type_, reason, message)

    async def _delete(self, kind: type[Resource], name: str, namespace: str) -> None:
        try:
            await self.environment.kubernetes.delete(kind, name, namespace)
        except NotFound:
            return


def _issuing(seen: Seen, status: str, violation: policy.Violation) -> list[JsonObject]:
    return with_condition(
        seen.certificate.status.conditions,
        "Issuing",
        status,
        violation.reason,
        violation.message,
        now=seen.now,
        generation=seen.certificate.metadata.generation,
    )


def _belongs(resource: Resource, uid: str) -> bool:
    return any(owner.uid == uid and owner.controller for owner in resource.metadata.owner_references)
