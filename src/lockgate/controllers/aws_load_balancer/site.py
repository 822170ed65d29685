"""Where a deploy acts, and the small acts that its steps share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from lockgate.controllers.aws import Aws, AwsError
from lockgate.controllers.aws_load_balancer.cluster import Cluster
from lockgate.controllers.aws_load_balancer.existing import Inventory
from lockgate.controllers.kubernetes import Kubernetes
from lockgate.ingress import shapes
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


async def set_tags(site: Site, arn: str, desired: Mapping[str, str], current: Mapping[str, str]) -> None:
    """Tags of an ELBv2 resource become exactly `desired`, but for those that others keep there."""
    missing = {key: value for key, value in desired.items() if current.get(key) != value}
    if missing:
        await site.aws.call("elbv2", "add_tags", ResourceArns=[arn], Tags=shapes.tags(missing))
    if spare := spare_tags(site, desired, current):
        await site.aws.call("elbv2", "remove_tags", ResourceArns=[arn], TagKeys=spare)


def spare_tags(site: Site, desired: Mapping[str, str], current: Mapping[str, str]) -> list[str]:
    """Keys to take away: not AWS's own, not those of the controller's first version, not those said to be managed."""
    kept = {
        f"kubernetes.io/cluster/{site.settings.cluster_name}",
        "kubernetes.io/cluster-name",
        "kubernetes.io/namespace",
        "kubernetes.io/ingress-name",
        "kubernetes.io/service-name",
        "kubernetes.io/service-port",
        "ingress.k8s.aws/cluster",
        *site.settings.external_managed_tags,
    }
    return sorted(key for key in current if key not in desired and key not in kept and not key.startswith("aws:"))


async def ensure_attributes(
    site: Site, kind: Literal["load_balancer", "target_group", "listener"], arn: str, desired: Mapping[str, str]
) -> None:
    """Only attributes that somebody asked for are looked at: one that is asked for no more stays as it is."""
    if not desired:
        return
    parameter = {"load_balancer": "LoadBalancerArn", "target_group": "TargetGroupArn", "listener": "ListenerArn"}[kind]
    found = await site.aws.list("elbv2", f"describe_{kind}_attributes", "Attributes", **{parameter: arn})
    current = {item["Key"]: item.get("Value") for item in found}
    changed = {key: value for key, value in desired.items() if current.get(key) != value}
    if changed:
        arguments = {parameter: arn, "Attributes": shapes.attributes(changed)}
        await site.aws.call("elbv2", f"modify_{kind}_attributes", **arguments)


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
def failing(said: str) -> Iterator[None]:
    """What AWS refuses within is told behind `said`, as the controller wraps its errors."""
    try:
        yield
    except AwsError as error:
        error.add_note(said)
        raise


_SERVICES = {"elbv2": "Elastic Load Balancing v2", "ec2": "EC2", "acm": "ACM", "wafv2": "WAFV2", "shield": "Shield"}


def told(error: Exception) -> str:
    """An error as the controller's own SDK prints it, which is what users search for; without the request's id."""
    if not isinstance(error, AwsError):
        return str(error)
    operation = "".join(word.capitalize() for word in error.operation.split("_")).replace("Acl", "ACL")
    service = _SERVICES.get(error.service, error.service)
    answer = f"operation error {service}: {operation}, api error {error.code}: {error.message}"
    return ": ".join([*reversed(getattr(error, "__notes__", ())), answer])
