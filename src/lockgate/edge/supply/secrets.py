"""Secrets with AWS keys that issuers name, and the keys as the AWS API must know them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from lockgate.edge.objects import Objects
from lockgate.edge.supply.pieces import LABEL, Credential, Object
from lockgate.edge.supply.zones import AnyIssuer, issuers, route53_solvers
from lockgate.resources.kinds import ClusterIssuer, Secret


def issuers_namespace(issuer: AnyIssuer, cluster_namespace: str) -> str:
    """Where cert-manager looks for an issuer's Secrets."""
    return cluster_namespace if isinstance(issuer, ClusterIssuer) else issuer.namespace or "default"


def aws_keys(
    objects: Objects, cluster_namespace: str, secret: str
) -> tuple[tuple[Object, ...], tuple[Credential, ...]]:
    """The Secrets that are missing, with `secret` for their secret key, and all keys that issuers use."""
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
            namespace, name, data, f"Secret {namespace}/{name}: made, with a key that only this edge's AWS API knows"
        )
        for (namespace, name), data in values.made.items()
    )
    return made, tuple(Credential(key, text) for key, text in credentials.items())


@dataclass
class _Values:
    """Values of Secrets: those that are there, and those that are made."""

    objects: Objects
    made: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)

    def of(self, namespace: str, name: str, key: str, otherwise: str) -> str:
        if there := self.objects.get(Secret, namespace, name):
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
