"""Clients of Amazon Cognito user pools that manifests have users log in at, and no manifest makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from lockgate.resources.kinds import Ingress, Service
from lockgate.resources.model import Resource

_COGNITO = "alb.ingress.kubernetes.io/auth-idp-cognito"


@dataclass(frozen=True, slots=True)
class UserPoolClient:
    """Load balancers need its secret to log users in; `why` is what the user is told of it."""

    pool_arn: str
    client_id: str
    secret: str = field(repr=False)
    why: str


def user_pool_clients(
    resources: Sequence[Resource], settled: Mapping[str, str], secret_key: str
) -> Iterator[UserPoolClient]:
    """Each once. `settled` has secrets by client id; others follow from `secret_key`, the edge's own."""
    made: set[tuple[str, str]] = set()
    for resource in resources:
        if not isinstance(resource, Ingress | Service) or _COGNITO not in resource.metadata.annotations:
            continue
        from lockgate.ingress.authentication import user_pool
        from lockgate.loadbalancer.cognito import POOL

        found = user_pool(resource)
        pool = POOL.fullmatch(found.pool_arn) if found else None
        if found is None or pool is None or (found.pool_arn, found.client_id) in made:
            continue
        made.add((found.pool_arn, found.client_id))
        key = secret_key.encode()[:64]
        secret = blake2b(found.client_id.encode(), key=key, digest_size=26).hexdigest()
        told = "lockgate.yaml names" if found.client_id in settled else "Cognito's API tells"
        yield UserPoolClient(
            found.pool_arn,
            found.client_id,
            settled.get(found.client_id, secret),
            f"user pool {pool['id']}: made, with client {found.client_id}, whose secret {told}",
        )
