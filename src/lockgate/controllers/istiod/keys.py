"""Fetches the keys by which gateways verify JWTs, as istiod does: it gives them to Envoy inside its configuration.

Keys are fetched when a policy names their place, again every 20 minutes, and sooner after a failure.

Source: istio/istio `pilot/pkg/model/jwks_resolver.go`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final, TypeAlias

from lockgate.controllers.istiod.fetching import Failed, Followed, Network
from lockgate.gateway.policies.keys import Fetched, KeyPlace

REFRESH: Final = 20 * 60.0  # s
MOST_BYTES: Final = 1 << 20

Keys: TypeAlias = Followed[KeyPlace, Fetched]


def keys(changed: Callable[[], None], network: Network) -> Keys:
    async def fetch(place: KeyPlace) -> Fetched:
        uri = await _discovered(network, place) if place.discovery else place.uri
        return Fetched(await _get(network, uri, place))

    def failed(reason: str, earlier: Fetched | None) -> Fetched:
        return Fetched(earlier.jwks if earlier else "", reason)

    return Followed(changed, fetch, failed, REFRESH)


async def _discovered(network: Network, place: KeyPlace) -> str:
    try:
        uri = json.loads(await _get(network, place.uri, place))["jwks_uri"]
    except (ValueError, TypeError, KeyError):
        uri = None
    if not isinstance(uri, str):
        raise Failed("the OpenID configuration has no jwks_uri")
    return uri


async def _get(network: Network, uri: str, place: KeyPlace) -> str:
    body = await network.get(uri, timeout=place.timeout, most=MOST_BYTES, accept="application/json")
    return body.decode(errors="replace")
