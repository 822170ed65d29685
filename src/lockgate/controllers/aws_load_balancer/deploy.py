"""Makes AWS and the cluster match a stack: observes, computes changes, and performs them."""

from __future__ import annotations

import logging

from lockgate.controllers.aws_load_balancer.observe import observe, observe_addons
from lockgate.controllers.aws_load_balancer.perform import perform
from lockgate.controllers.aws_load_balancer.site import Deployed, Site
from lockgate.ingress.changes import changes
from lockgate.ingress.changes.load_balancers import matching
from lockgate.ingress.existing import Existing
from lockgate.ingress.stack import LOAD_BALANCER, Stack
from lockgate.loadbalancer.network import AnyLoadBalancer

log = logging.getLogger("lockgate.controllers.aws_load_balancer")


async def deploy(site: Site, stack: Stack, existing: Existing) -> tuple[Deployed, ...]:
    """The deployed load balancer, and the one in front of it, if any. Nothing for a stack without one.

    Raises `AwsError`, `ApiError`, `NotIssued`, `TooManyAttached`, `TimeoutError` and `LookAgain`.
    """
    stack, existing, refused = await observe_addons(site, stack, await observe(site, stack, existing))
    steps = changes(stack, existing, site.settings, vpc_id=site.vpc_id)
    for step in steps:
        log.debug("%s: %s", stack.id, step)
    performed = await perform(site, stack.id, steps)
    if refused is not None:
        raise refused
    there: list[tuple[str, AnyLoadBalancer | None]] = []
    if stack.load_balancer is not None:
        there.append((LOAD_BALANCER, matching(stack.load_balancer, existing.balancers, LOAD_BALANCER)))
    if stack.network is not None:
        resource = stack.network_resource
        there.append((resource, matching(stack.network, existing.networks, resource)))
    return tuple(
        Deployed(current.arn, current.dns_name)
        if current is not None
        else Deployed(performed.ids[reference], performed.dns_names[reference])
        for reference, current in there
    )
