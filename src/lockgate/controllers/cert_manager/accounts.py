"""ACME clients, one per account. An issuer's server, key and trust define an account; a change of any makes a new
one."""

from __future__ import annotations

import base64
import hashlib
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lockgate.certificates.keys import UnreadableKey, load_key
from lockgate.controllers.cert_manager.acme_client import AcmeClient, Trust
from lockgate.controllers.cert_manager.environment import AcmeEndpoint, Environment
from lockgate.controllers.cert_manager.secrets import SecretProblem, read
from lockgate.resources import cert_manager as cm

DEFAULT_KEY = "tls.key"


class AccountProblem(Exception):
    """An account key that cannot be used. The message is for the issuer's condition."""


@dataclass(slots=True)
class Accounts:
    environment: Environment
    _clients: dict[tuple[str, ...], AcmeClient] = field(default_factory=dict)
    _bundles: tempfile.TemporaryDirectory[str] | None = None

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        if self._bundles is not None:
            self._bundles.cleanup()

    async def client(self, issuer: cm.Issuer | cm.ClusterIssuer) -> AcmeClient:
        """The client of an issuer's account. Raises `AccountProblem`, `SecretProblem`."""
        acme = issuer.spec.acme
        assert acme is not None
        namespace = self.environment.resource_namespace(issuer)
        reference = acme.private_key_secret_ref
        return self.of(acme, await self._key(namespace, reference.name, reference.key or DEFAULT_KEY), issuer)

    def of(
        self,
        acme: cm.ACMEIssuer,
        key: rsa.RSAPrivateKey,
        issuer: cm.Issuer | cm.ClusterIssuer,
    ) -> AcmeClient:
        endpoint = self.environment.directory(acme.server)
        identity = (endpoint.url, key_hash(key), acme.ca_bundle, str(acme.skip_tls_verify))
        client = self._clients.get(identity)
        if client is None:
            client = self._clients[identity] = AcmeClient(endpoint.url, self._trust(acme, endpoint), key)
        if not client.uri and issuer.status.acme:
            client.uri = issuer.status.acme.uri
        return client

    async def _key(self, namespace: str, name: str, key: str) -> rsa.RSAPrivateKey:
        text = await read(self.environment.kubernetes, namespace, name, key)
        try:
            found = load_key(text)
        except UnreadableKey as error:
            raise AccountProblem(f"Account private key is invalid: {error}") from None
        if not isinstance(found, rsa.RSAPrivateKey):
            raise AccountProblem(f'ACME private key in "{name}" is not of type RSA')
        return found

    def _trust(self, acme: cm.ACMEIssuer, endpoint: AcmeEndpoint) -> Trust:
        """If another server replaces the issuer's, the issuer's own trust settings do not apply to it."""
        if endpoint.ca_bundle is not None:
            return Trust(endpoint.ca_bundle, local=True)
        if acme.skip_tls_verify:
            return Trust(skip_verification=True)
        if not acme.ca_bundle:
            return Trust()
        if self._bundles is None:
            self._bundles = tempfile.TemporaryDirectory(prefix="lockgate-ca-")
        pem = base64.b64decode(acme.ca_bundle)
        file = Path(self._bundles.name) / f"{hashlib.sha256(pem).hexdigest()[:16]}.pem"
        file.write_bytes(pem)
        return Trust(file)


def key_hash(key: rsa.RSAPrivateKey) -> str:
    """The value of `lastPrivateKeyHash`: of the public key, which identifies the key and is not secret."""
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    return base64.b64encode(hashlib.sha256(public).digest()).decode()


__all__ = ["DEFAULT_KEY", "AccountProblem", "Accounts", "SecretProblem", "key_hash"]
