"""Makes AWS and the cluster match a stack: observes, computes changes, and performs them."""

from __future__ import annotations

import logging

from lockgate.controllers.aws_load_balancer.observe import observe, observe_addons
from lockgate.controllers.aws_load_balancer.perform import perform
from lockgate.controllers.aws_load_balancer.site import Deployed, Site
from lockgate.ingress.changes import changes
from lockgate.ingress.changes.load_balancers import matching
from lockgate.ingress.existing import Existing
from lockgate.ingress.stack import FRONTEND, LOAD_BALANCER, Stack

log = logging.getLogger("lockgate.controllers.aws_load_balancer")


async def deploy(site: Site, stack: Stack, existing: Existing) -> tuple[Deployed, ...]:
    """The deployed load balancer, and the one in front of it, if any. Nothing for a group without one.

    Raises `AwsError`, `ApiError`, `NotIssued`, `TooManyAttached`, `TimeoutError` and `LookAgain`.
    """
    stack, existing, refused = await observe_addons(site, stack, await observe(site, stack, existing))
    steps = changes(stack, existing, site.settings, vpc_id=site.vpc_id)
    for step in steps:
        log.debug("%s: %s", stack.group, step)
    performed = await perform(site, stack.group, steps)
    if refused is not None:
        raise refused
    there = (
        (LOAD_BALANCER, matching(stack.load_balancer, existing.balancers, LOAD_BALANCER)),
        (FRONTEND, matching(stack.frontend, existing.networks, FRONTEND)),
    )
    return tuple(
        Deployed(current.arn, current.dns_name)
        if current is not None
        else Deployed(performed.ids[reference], performed.dns_names[reference])
        for reference, current in there
        if current is not None or reference in performed.ids
    )
