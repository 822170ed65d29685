"""Issuers and ClusterIssuers: makes them ready, or reports why they are not.

Source: cert-manager, `pkg/issuer/{acme,ca,selfsigned}/setup.go`, `pkg/controller/{issuers,clusterissuers}`.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa

from lockgate.certificates.authority import Authority, NotAnAuthority
from lockgate.certificates.conditions import with_condition
from lockgate.certificates.keys import KeySpec, UnreadableKey, encode_key, load_key
from lockgate.controllers.cert_manager import secrets
from lockgate.controllers.cert_manager.accounts import DEFAULT_KEY, Accounts, key_hash
from lockgate.controllers.cert_manager.acme_client import AcmeError, AcmeUnreachable
from lockgate.controllers.cert_manager.environment import Environment
from lockgate.controllers.cert_manager.secrets import SecretProblem
from lockgate.controllers.keys import generate
from lockgate.resources import cert_manager as cm
from lockgate.resources.effects.uses import messages_of
from lockgate.resources.meta import condition
from lockgate.resources.model import JsonObject, ObjectKey
from lockgate.resources.status import AlreadyExists, NotFound

AnyIssuer = cm.Issuer | cm.ClusterIssuer

_OLD_LETS_ENCRYPT = ("acme-v01.api.letsencrypt.org", "acme-staging.api.letsencrypt.org")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The Ready condition to write. `again` requests another reconciliation although nothing changed."""

    status: str
    reason: str
    message: str
    acme: JsonObject | None = None
    again: bool = False


class NotReadyYet(Exception):
    """Retry with back-off."""


@dataclass(frozen=True, slots=True)
class Issuers:
    environment: Environment
    accounts: Accounts

    async def reconcile(self, key: ObjectKey) -> None:
        issuer = await self._get(key)
        if issuer is None or issuer.metadata.deletion_timestamp:
            return
        verdict = await self._judge(issuer)
        before = condition(issuer.status.conditions, "Ready")
        await self._write(issuer, verdict)
        if verdict.status == "True" and (before is None or before.status != "True"):
            for missing in messages_of(issuer):
                await self._event(issuer, "Warning", "NotServed", missing)
        if verdict.again:
            await self._event(issuer, "Warning", "ErrInitIssuer", f"Error initializing issuer: {verdict.message}")
            raise NotReadyYet(verdict.message)

    async def _get(self, key: ObjectKey) -> AnyIssuer | None:
        try:
            if key.kind == cm.Issuer.KIND.kind:
                return await self.environment.kubernetes.get(cm.Issuer, key.name, key.namespace)
            return await self.environment.kubernetes.get(cm.ClusterIssuer, key.name)
        except NotFound:
            return None

    async def _judge(self, issuer: AnyIssuer) -> Verdict:
        if issuer.spec.acme is not None:
            return await self._acme(issuer, issuer.spec.acme)
        if issuer.spec.ca is not None:
            return await self._ca(issuer, issuer.spec.ca.secret_name)
        if issuer.spec.self_signed is not None:
            return Verdict("True", "IsReady", "")
        kind = "vault" if issuer.spec.vault is not None else "venafi"
        return Verdict(
            "False", "InvalidConfig", f"issuers of type {kind} are not served here: use acme, ca or selfSigned"
        )

    async def _write(self, issuer: AnyIssuer, verdict: Verdict) -> None:
        status: JsonObject = {
            "conditions": with_condition(
                issuer.status.conditions,
                "Ready",
                verdict.status,
                verdict.reason,
                verdict.message,
                now=self.environment.now(),
                generation=issuer.metadata.generation,
            )
        }
        if verdict.acme is not None:
            status["acme"] = verdict.acme
        await self.environment.kubernetes.patch_status(type(issuer), issuer.name, issuer.namespace, status)

    async def _event(self, issuer: AnyIssuer, type_: str, reason: str, message: str) -> None:
        component = "issuers" if isinstance(issuer, cm.Issuer) else "clusterissuers"
        await self.environment.event(component, issuer, type_, reason, message)

    # --- ca ------------------------------------------------------------------------------------------------------

    async def _ca(self, issuer: AnyIssuer, name: str) -> Verdict:
        namespace = self.environment.resource_namespace(issuer)
        secret = await secrets.find(self.environment.kubernetes, namespace, name)
        if secret is None:
            message = f'Error getting keypair for CA issuer: secrets "{name}" not found'
            return Verdict("False", "ErrGetKeyPair", message)
        data = secret.decoded
        try:
            Authority.load(data.get("tls.crt", b""), data.get("tls.key", b""))
        except NotAnAuthority as fault:
            reason = "ErrInvalidKeyPair" if str(fault) == "certificate is not a CA" else "ErrGetKeyPair"
            return Verdict("False", reason, f"Error getting keypair for CA issuer: {fault}")
        return Verdict("True", "KeyPairVerified", "Signing CA verified")

    # --- acme ----------------------------------------------------------------------------------------------------

    async def _acme(self, issuer: AnyIssuer, acme: cm.ACMEIssuer) -> Verdict:
        url = urlsplit(acme.server)
        if url.scheme not in ("http", "https") or not url.hostname:
            message = f'Failed to parse existing ACME server URI "{acme.server}": not an absolute URL'
            return Verdict("False", "InvalidURL", message)
        if url.hostname in _OLD_LETS_ENCRYPT:
            return Verdict(
                "False",
                "InvalidConfig",
                "Your ACME server URL is set to a v1 endpoint. You should update the spec.acme.server field to "
                '"https://acme-v02.api.letsencrypt.org/directory"',
            )
        namespace = self.environment.resource_namespace(issuer)
        try:
            key = await self._account_key(namespace, acme)
            external_account = await self._external_account(namespace, acme)
        except SecretProblem as problem:
            return Verdict("False", "ErrVerifyACMEAccount", f"Failed to verify ACME account: {problem}", again=True)
        except UnreadableKey as error:
            message = f"Account private key is invalid: {error}"
            return Verdict("False", "ErrVerifyACMEAccount", message)
        if not isinstance(key, rsa.RSAPrivateKey):
            message = f'ACME private key in "{acme.private_key_secret_ref.name}" is not of type RSA'
            return Verdict("False", "ErrVerifyACMEAccount", message)

        client = self.accounts.of(acme, key, issuer)
        if self._is_registered(issuer, acme, key, client.uri):
            return Verdict("True", "ACMEAccountRegistered", self._registered(acme))
        try:
            uri = await client.register(acme.email, external_account)
        except AcmeError as error:
            message = f"Failed to register ACME account: {error}"
            return Verdict("False", "ErrRegisterACMEAccount", message, again=not error.is_final)
        except AcmeUnreachable as error:
            message = f"Failed to register ACME account: {error}"
            return Verdict("False", "ErrRegisterACMEAccount", message, again=True)
        await self._tell_stand_in(issuer, acme)
        status = {"uri": uri, "lastRegisteredEmail": acme.email, "lastPrivateKeyHash": key_hash(key)}
        return Verdict("True", "ACMEAccountRegistered", self._registered(acme), acme=status)

    def _is_registered(self, issuer: AnyIssuer, acme: cm.ACMEIssuer, key: rsa.RSAPrivateKey, uri: str) -> bool:
        """Whether the registration can be skipped: host, email and key are those of the last successful one."""
        ready = condition(issuer.status.conditions, "Ready")
        registered = issuer.status.acme
        return (
            ready is not None
            and ready.status == "True"
            and registered is not None
            and registered.uri == uri
            and urlsplit(registered.uri).netloc == urlsplit(self.environment.directory(acme.server).url).netloc
            and registered.last_registered_email == acme.email
            and registered.last_private_key_hash == key_hash(key)
        )

    def _registered(self, acme: cm.ACMEIssuer) -> str:
        message = "The ACME account was registered with the ACME server"
        endpoint = self.environment.directory(acme.server)
        return f"{message} ({endpoint.stand_in} in place of {acme.server})" if endpoint.stand_in else message

    async def _tell_stand_in(self, issuer: AnyIssuer, acme: cm.ACMEIssuer) -> None:
        endpoint = self.environment.directory(acme.server)
        if not endpoint.stand_in:
            return
        message = f"{acme.server} is not contacted: {endpoint.stand_in} at {endpoint.url} answers in its place"
        await self._event(issuer, "Normal", "ServedLocally", message)

    async def _account_key(self, namespace: str, acme: cm.ACMEIssuer) -> object:
        """The key in the Secret, which is created if it does not exist. Raises `SecretProblem`, `UnreadableKey`."""
        reference = acme.private_key_secret_ref
        field = reference.key or DEFAULT_KEY
        secret = await secrets.find(self.environment.kubernetes, namespace, reference.name)
        if secret is not None and field in secret.decoded:
            return load_key(secret.decoded[field])
        if acme.disable_account_key_generation:
            raise SecretProblem(f'secret "{reference.name}" not found')
        key = await generate(KeySpec("RSA", 2048))
        data = {field: base64.b64encode(encode_key(key)).decode()}
        manifest: JsonObject = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": reference.name,
                "namespace": namespace,
                "labels": {"app.kubernetes.io/managed-by": "cert-manager"},
            },
            "type": "Opaque",
            "data": data,
        }
        try:
            if secret is None:
                await self.environment.kubernetes.create(manifest)
            else:
                patch = {"data": data}
                await self.environment.kubernetes.patch(type(secret), secret.name, namespace, patch)
        except AlreadyExists:
            text = await secrets.read(self.environment.kubernetes, namespace, reference.name, field)
            return load_key(text)
        except NotFound:
            raise SecretProblem(f'namespace "{namespace}" not found') from None
        return key

    async def _external_account(self, namespace: str, acme: cm.ACMEIssuer) -> tuple[str, str] | None:
        """Key ID and HMAC key. The Secret contains base64url without padding. Raises `SecretProblem`."""
        binding = acme.external_account_binding
        if binding is None:
            return None
        reference = binding.key_secret_ref
        value = await secrets.read(self.environment.kubernetes, namespace, reference.name, reference.key or DEFAULT_KEY)
        text = value.decode(errors="replace").strip()
        try:
            base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            if text.endswith("="):
                raise ValueError
        except ValueError:
            raise SecretProblem(
                f'failed to decode external account binding key of secret "{reference.name}": '
                "it must be base64url without padding"
            ) from None
        return binding.key_id, text
