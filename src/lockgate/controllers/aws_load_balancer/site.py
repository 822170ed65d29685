"""The environment of a deploy, and operations that its steps share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from lockgate.controllers.aws import Aws, AwsError
from lockgate.controllers.aws_load_balancer.cluster import Cluster
from lockgate.controllers.aws_load_balancer.inventory import Inventory
from lockgate.controllers.kubernetes import Kubernetes
from lockgate.ingress.world import Settings

MANAGER = "aws-load-balancer-controller"


@dataclass(frozen=True, slots=True)
class Site:
    kubernetes: Kubernetes
    aws: Aws
    cluster: Cluster
    inventory: Inventory
    settings: Settings
    vpc_id: str
    now: Callable[[], datetime]
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a resource that all groups share is created or deleted."""


@dataclass(frozen=True, slots=True)
class Deployed:
    arn: str
    dns_name: str


class LookAgain(Exception):
    """AWS is not ready yet. This is not an error: the group is reconciled again in `seconds`."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


async def retrying(call: Callable[[], Awaitable[object]], code: str, *, every: float, within: float) -> None:
    """Retries while AWS answers `code`, because users of the resource are being deleted. Raises the last such error."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    while True:
        try:
            await call()
            return
        except AwsError as error:
            if error.code != code or loop.time() + every > end:
                raise
            await asyncio.sleep(every)


@contextmanager
def failing(step: str) -> Iterator[None]:
    """Prefixes AWS errors of the block with `step`, as the controller wraps its errors."""
    try:
        yield
    except AwsError as error:
        error.add_note(step)
        raise


_SERVICES = {"elbv2": "Elastic Load Balancing v2", "ec2": "EC2", "acm": "ACM", "wafv2": "WAFV2", "shield": "Shield"}


def sdk_message(error: Exception) -> str:
    """An error in the text of the controller's SDK, which users search for, but without the request ID."""
    if not isinstance(error, AwsError):
        return str(error)
    operation = "".join(word.capitalize() for word in error.operation.split("_")).replace("Acl", "ACL")
    service = _SERVICES.get(error.service, error.service)
    answer = f"operation error {service}: {operation}, api error {error.code}: {error.message}"
    return ": ".join([*reversed(getattr(error, "__notes__", ())), answer])
