"""moto's Amazon Cognito user pools, for load balancers and for supplied resources.

Imported at the first use of a user pool, because few edges have any.
"""

from __future__ import annotations

from typing import Any

from lockgate.embedded.aws import moto_import


def client_secret(account: str, region: str, arn: str, client: str) -> str:
    """The client secret, or "" if the client has none. Raises `LookupError` with Cognito's text for a missing one."""
    pool = _pools(account, region).get(_id(arn))
    if pool is None or pool.arn != arn:
        raise LookupError(f"User pool {_id(arn)} does not exist.")
    if client not in pool.clients:
        raise LookupError(f"User pool client {client} does not exist.")
    found = pool.clients[client]
    return str(found.secret) if found.generate_secret else ""


def create(account: str, arn: str, client: str, secret: str) -> None:
    """Creates a client with exactly this ID and secret, and its pool if it does not exist."""
    from moto.cognitoidp.models import cognitoidp_backends

    region, id_ = arn.split(":")[3], _id(arn)
    backend = cognitoidp_backends[account][region]
    if id_ not in backend.user_pools:
        made = backend.create_user_pool(id_, {})
        del backend.user_pools[made.id]
        made.id, made.arn = id_, arn
        backend.user_pools[id_] = made
    pool = backend.user_pools[id_]
    if client not in pool.clients:
        extended: Any = {"ClientName": client, "AllowedOAuthFlows": ["code"], "AllowedOAuthFlowsUserPoolClient": True}
        registered = backend.create_user_pool_client(id_, True, extended)
        del pool.clients[registered.id]
        registered.id = client
        pool.clients[client] = registered
    pool.clients[client].secret = secret


def _pools(account: str, region: str) -> dict[str, Any]:
    moto_import.load()
    from moto.cognitoidp.models import cognitoidp_backends

    pools: dict[str, Any] = cognitoidp_backends[account][region].user_pools
    return pools


def _id(arn: str) -> str:
    return arn.rpartition("/")[2]
