"""Secrets and ServiceAccounts that Ingresses and cert-manager's kinds reference, and the AWS keys in them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lockgate.edge.objects import Objects
from lockgate.edge.supply.pieces import LABEL, Credential, KeyPair, Object
from lockgate.edge.supply.zones import AnyIssuer, issuers, route53_solvers
from lockgate.ingress.references import secrets_of
from lockgate.resources import cert_manager as cm
from lockgate.resources import core, networking


def issuers_namespace(issuer: AnyIssuer, cluster_namespace: str) -> str:
    """The namespace in which cert-manager looks up an issuer's Secrets."""
    return cluster_namespace if isinstance(issuer, cm.ClusterIssuer) else issuer.namespace or "default"


def aws_keys(
    objects: Objects, cluster_namespace: str, secret: str
) -> tuple[tuple[Object, ...], tuple[Credential, ...]]:
    """The missing Secrets, with `secret` as their secret key, and all keys that issuers use."""
    values = _Values(objects)
    credentials: dict[str, str] = {}
    for issuer, _, route53 in route53_solvers(issuers(objects)):
        namespace = issuers_namespace(issuer, cluster_namespace)
        key_id, ref = route53.access_key_id.strip(), route53.access_key_id_secret_ref
        if not key_id and ref:
            key_id = values.of(namespace, ref.name, ref.key, "AKIAIOSFODNN7EXAMPLE").strip()
        if key_id and (ref := route53.secret_access_key_secret_ref):
            credentials[key_id] = values.of(namespace, ref.name, ref.key, secret).strip()
    made = tuple(
        _secret(
            namespace, name, data, f"Secret {namespace}/{name}: created with a key that only this edge's AWS API knows"
        )
        for (namespace, name), data in values.made.items()
    )
    return made, tuple(Credential(key, text) for key, text in credentials.items())


def other_secrets(objects: Objects, cluster_namespace: str, secret: str) -> Iterator[Object]:
    """Secrets with other values: clients of login providers, external accounts, keystores."""
    services = objects.among(core.Service)
    values = _Values(objects)
    users: dict[tuple[str, str], str] = {}
    for ingress in objects.all(networking.Ingress):
        for name in secrets_of(ingress, services):
            users.setdefault((ingress.namespace, name), str(ingress.key))
            for key in ("clientID", "clientSecret"):
                values.of(ingress.namespace, name, key, "lockgate" if key == "clientID" else secret)
    for issuer in issuers(objects):
        if issuer.spec.acme and (binding := issuer.spec.acme.external_account_binding):
            namespace, ref = issuers_namespace(issuer, cluster_namespace), binding.key_secret_ref
            users.setdefault((namespace, ref.name), str(issuer.key))
            values.of(namespace, ref.name, ref.key or "secret", secret)
    for certificate in objects.all(cm.Certificate):
        stores = certificate.spec.keystores
        for store in (stores.jks, stores.pkcs12) if stores else ():
            if store and (password := store.password_secret_ref):
                users.setdefault((certificate.namespace, password.name), str(certificate.key))
                values.of(certificate.namespace, password.name, password.key, secret)
    for at, data in values.made.items():
        yield _secret(
            *at, data, f"Secret {'/'.join(at)}: created with values of this edge's own, because {users[at]} names it"
        )


def authorities(objects: Objects, cluster_namespace: str) -> Iterator[KeyPair]:
    """The CAs of issuers of type `ca`."""
    made = {(each.namespace, each.spec.secret_name) for each in objects.all(cm.Certificate)}
    for issuer in issuers(objects):
        namespace = issuers_namespace(issuer, cluster_namespace)
        name = issuer.spec.ca.secret_name if issuer.spec.ca else ""
        if name and (namespace, name) not in made and objects.get(core.Secret, namespace, name) is None:
            made.add((namespace, name))
            why = f"Secret {namespace}/{name}: created with a CA of this edge's own, because {issuer.key} signs with it"
            yield KeyPair(namespace, name, (name,), why, authority=True)


def service_accounts(objects: Objects, cluster_namespace: str) -> Iterator[Object]:
    """The ServiceAccounts whose tokens issuers use to assume roles."""
    there = {(each.namespace, each.name) for each in objects.all(core.ServiceAccount)}
    for issuer, _, route53 in route53_solvers(issuers(objects)):
        if route53.auth is None:
            continue
        at = (issuers_namespace(issuer, cluster_namespace), route53.auth.kubernetes.service_account_ref.name)
        if at not in there:
            there.add(at)
            metadata = {"name": at[1], "namespace": at[0], "labels": {LABEL: "true"}}
            manifest = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
            yield Object(manifest, f"ServiceAccount {'/'.join(at)}: created, because {issuer.key} uses its tokens")


@dataclass
class _Values:
    """Values of Secrets: existing and generated ones."""

    objects: Objects
    made: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)

    def of(self, namespace: str, name: str, key: str, otherwise: str) -> str:
        if there := self.objects.get(core.Secret, namespace, name):
            return there.decoded.get(key, b"").decode("utf-8", "replace")
        return self.made.setdefault((namespace, name), {}).setdefault(key, otherwise)


def _secret(namespace: str, name: str, data: Mapping[str, str], why: str) -> Object:
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": {LABEL: "true"}},
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in data.items()},
    }
    return Object(manifest, why)
