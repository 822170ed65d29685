"""Where a deploy acts, and the small acts that its steps share."""

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
    """Held while something that all groups share is made or deleted."""


@dataclass(frozen=True, slots=True)
class Deployed:
    arn: str
    dns_name: str


class LookAgain(Exception):
    """AWS is not ready: no fault, but the group is to be looked at again in `seconds`."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


async def retrying(call: Callable[[], Awaitable[object]], code: str, *, every: float, within: float) -> None:
    """Call again while AWS answers `code`: what uses the thing is on its way out. The last such answer is raised."""
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
    """Puts `step` before what AWS refuses in the block, as the controller wraps its errors."""
    try:
        yield
    except AwsError as error:
        error.add_note(step)
        raise


_SERVICES = {"elbv2": "Elastic Load Balancing v2", "ec2": "EC2", "acm": "ACM", "wafv2": "WAFV2", "shield": "Shield"}


def sdk_message(error: Exception) -> str:
    """An error as the controller's own SDK prints it, which is what users search for; without the request's id."""
    if not isinstance(error, AwsError):
        return str(error)
    operation = "".join(word.capitalize() for word in error.operation.split("_")).replace("Acl", "ACL")
    service = _SERVICES.get(error.service, error.service)
    answer = f"operation error {service}: {operation}, api error {error.code}: {error.message}"
    return ": ".join([*reversed(getattr(error, "__notes__", ())), answer])
