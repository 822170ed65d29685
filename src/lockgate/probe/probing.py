"""One probe: observe, read the evidence, and name the causes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from lockgate.controllers.aws import Aws, AwsError
from lockgate.probe import reading
from lockgate.probe.causes import Cause, causes
from lockgate.probe.evidence import Evidence, Json
from lockgate.probe.observed import Asked, Observation
from lockgate.probe.observing import Place, observe

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class Result:
    observation: Observation
    evidence: Evidence
    causes: tuple[Cause, ...]

    @property
    def failed(self) -> bool:
        return any(not cause.warning for cause in self.causes)


async def probe(place: Place, asked: Asked, *, aws: Aws | None, predicted: Json | None) -> Result:
    """`aws` is the account that the load balancer is in, if there are credentials; `predicted` is what `trace` says."""
    seen = await observe(place, asked)
    known = await evidence(asked, aws, predicted)
    return Result(seen, known, causes(seen, known, datetime.now(UTC)))


async def evidence(asked: Asked, aws: Aws | None, predicted: Json | None) -> Evidence:
    if aws is None:
        return Evidence(predicted, unseen=("the AWS account: no credentials",))
    unseen: list[str] = []

    async def part(action: str, read: Callable[[], Awaitable[Part]]) -> Part | None:
        try:
            return await read()
        except AwsError as error:
            unseen.append(reading.denied(error, action))
            return None

    known = Evidence(
        predicted,
        await part("route53:ListResourceRecordSets", lambda: reading.records(aws, asked.host)),
        await part("elasticloadbalancing:Describe*", lambda: reading.balancers(aws)),
    )
    if (balancer := known.entered) is not None and asked.scheme == "https":
        found = await part("acm:DescribeCertificate", lambda: reading.certificates(aws, balancer, asked.port))
        known = replace(known, certificates=found or ())
    return replace(known, unseen=tuple(unseen))
