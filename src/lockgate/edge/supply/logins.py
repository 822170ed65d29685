"""Clients of Amazon Cognito user pools that manifests reference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b

from lockgate.edge.supply.pieces import UserPoolClient
from lockgate.ingress.references import References


def user_pool_clients(
    references: Iterable[References], named: Mapping[str, str], secret_key: str
) -> Iterator[UserPoolClient]:
    """Clients without duplicates. `named` has secrets by client ID; others are derived from the edge's `secret_key`."""
    made: set[tuple[str, str]] = set()
    for found in (each.user_pool for each in references if each.user_pool is not None):
        from lockgate.loadbalancer.cognito import POOL

        pool = POOL.fullmatch(found.pool_arn)
        if pool is None or (found.pool_arn, found.client_id) in made:
            continue
        made.add((found.pool_arn, found.client_id))
        key = secret_key.encode()[:64]
        secret = blake2b(found.client_id.encode(), key=key, digest_size=26).hexdigest()
        where = "is in lockgate.yaml" if found.client_id in named else "Cognito's API returns"
        yield UserPoolClient(
            found.pool_arn,
            found.client_id,
            named.get(found.client_id, secret),
            f"user pool {pool['id']}: created, with the client {found.client_id}, whose secret {where}",
        )
