"""The rate limits of the gateway that a request meets: what each may do to it."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.gateway import routing
from lockgate.gateway.rate_limits import GlobalLimit, Limit, LocalLimit
from lockgate.trace.model import Ending, Fact, Hop, Verdict


def hops(decision: routing.Decision) -> Iterator[Hop]:
    for each in decision.limits:
        refuses = isinstance(each, GlobalLimit) and each.refuses
        verdict = Verdict.ANSWERS if refuses else Verdict.PASSES
        yield Hop("rate limit", said(each), verdict, each.origin, tuple(_facts(each)), {"may refuse": not each.idle})


def ending(decision: routing.Decision) -> Ending | None:
    """The end of a request that a limit refuses because its service does not exist."""
    last = decision.limits[-1] if decision.limits else None
    if not isinstance(last, GlobalLimit) or not last.refuses:
        return None
    cause = f"The gateway answers {last.on_failure} (RLSE): the rate limit service at {last.cluster} does not exist."
    fix = "Correct `cluster_name`, deploy the service, or leave out `failure_mode_deny`."
    return Ending(last.on_failure, "gateway", cause=cause, fix=fix, where=last.origin)


def said(limit: Limit) -> str:
    if isinstance(limit, LocalLimit):
        if limit.idle or limit.bucket is None:
            return f"the local rate limit of EnvoyFilter {limit.filter} never refuses a request: {limit.idle}"
        bucket = limit.bucket
        return (
            f"a local rate limit may refuse it with {limit.status}: {bucket.tokens} requests pass, "
            f"and {bucket.fill} more each {bucket.interval:g} s"
        )
    if limit.refuses:
        return f"the rate limit service at {limit.cluster} does not exist"
    if limit.idle:
        return f"the rate limit of EnvoyFilter {limit.filter} does not refuse it: {limit.idle}"
    return f"the rate limit service at {limit.cluster} decides, and may refuse it with {limit.status}"


def _facts(limit: Limit) -> Iterator[Fact]:
    if isinstance(limit, LocalLimit):
        if limit.idle:
            return
        for name, share in (("checked", limit.enabled), ("refused when over the limit", limit.enforced)):
            if share < 100:
                yield Fact(f"{share:g} % of requests are {name}")
        if limit.descriptors:
            yield Fact(f"{limit.descriptors} descriptors have limits of their own, which are not followed here")
        return
    for each in limit.asked:
        entries = ", ".join(f"{name}={value}" for name, value in each)
        yield Fact(f"it is asked about {entries} in the domain {limit.domain}")
    if limit.asked and not limit.missing:
        lets = f"the request gets {limit.on_failure}" if limit.on_failure else "the request passes"
        yield Fact(f"without an answer of the service {lets}")
