"""Adds the subscription to moto's Shield. Without one, AWS refuses to create protections.

Source: AWS Shield Advanced API Reference, GetSubscriptionState, CreateProtection.
"""

from __future__ import annotations

from collections.abc import Callable

from lockgate.embedded.aws.protocol import Call, Refusal, Result

OPERATIONS = frozenset({"GetSubscriptionState", "CreateProtection", "CreateSubscription"})


def answer(account: str, call: Call, exists: Callable[[str], bool]) -> Result | None:
    """Returns None if moto must answer. `exists` is whether a load balancer exists, by its ARN. Raises `Refusal`."""
    from moto.shield.models import shield_backends

    subscribed = shield_backends[account]["aws"].subscription is not None
    match call.operation:
        case "GetSubscriptionState":
            return {"SubscriptionState": "ACTIVE" if subscribed else "INACTIVE"}
        case "CreateSubscription" if subscribed:
            raise Refusal("ResourceAlreadyExistsException", "The subscription already exists.")
        case "CreateProtection":
            if not subscribed:
                raise Refusal("ResourceNotFoundException", "The subscription does not exist.")
            arn = call.parameters.get("ResourceArn", "")
            if ":loadbalancer/" in arn and not exists(arn):
                raise Refusal("ResourceNotFoundException", "The referenced resource does not exist.")
            return None
        case _:
            return None
