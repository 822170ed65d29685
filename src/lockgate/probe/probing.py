"""One probe: observe, read the evidence, and name the causes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeAlias, TypeVar

from lockgate.controllers.aws import Aws, AwsError
from lockgate.errors import CommandError
from lockgate.probe import access_log, reading
from lockgate.probe import cluster as in_cluster
from lockgate.probe.causes import Cause, causes
from lockgate.probe.cluster import Cluster
from lockgate.probe.evidence import Evidence, Json
from lockgate.probe.observed import Asked, Connection, Observation
from lockgate.probe.observing import Place, behind_the_load_balancer, observe
from lockgate.resources.status import ApiError
from lockgate.trace.model import Request

Part = TypeVar("Part")
Predict: TypeAlias = Callable[[Request], Awaitable[Json | None]]
"""What `trace` says of a request, as `trace.text.as_json`; None where nobody can say. May raise `CommandError`."""


@dataclass(frozen=True, slots=True)
class Result:
    observation: Observation
    evidence: Evidence
    causes: tuple[Cause, ...]

    @property
    def failed(self) -> bool:
        return any(not cause.warning for cause in self.causes)


async def probe(
    place: Place,
    request: Request,
    asked: Asked,
    *,
    aws: Aws | None,
    cluster: Cluster | None,
    predict: Predict,
    balancer: str = "",
    logs_within: float = 0.0,
) -> Result:
    """`aws` and `cluster` are where the load balancer and the gateway are, if there are credentials for them.
    `balancer` is the name of the one whose DNS name is `place.entrance`. `logs_within` are the seconds to wait for the
    access log of the load balancer; 0 does not read it."""
    since = datetime.now(UTC)
    seen = await observe(place, asked)
    unseen: tuple[str, ...] = ()
    try:
        predicted = await predict(_as_sent(request, seen))
    except CommandError as error:
        predicted, unseen = None, (f"a prediction: {error}",)
    if balancer and predicted is not None and not _enters(predicted, balancer):
        predicted, unseen = None, (f"a prediction: no record of {asked.host} leads to {balancer}",)
    known = await _of_account(asked, aws, predicted, balancer)
    if logs_within and aws is not None:
        known = await _of_access_log(seen, known, aws, since, logs_within)
    known = replace(known, unseen=(*unseen, *known.unseen))
    if cluster is None:
        known = replace(known, unseen=(*known.unseen, "the cluster: no kubeconfig"))
    else:
        known, behind = await _of_cluster(seen, known, cluster, follow=bool(logs_within))
        seen = replace(seen, direct=behind)
    return Result(seen, known, causes(seen, known, datetime.now(UTC)))


def _as_sent(request: Request, seen: Observation) -> Request:
    """The request with the protocol that the server chose, and what the kind of request adds."""
    protocol = next((each.protocol for each in seen.exchanges), "1.1")
    sent = replace(request, protocol="HTTP/2" if protocol == "2" else "HTTP/1.1")
    match seen.asked.kind:
        case "grpc":
            return replace(sent, method="POST", headers=(*sent.headers, ("content-type", "application/grpc")))
        case "websocket":
            upgrade = (("Connection", "Upgrade"), ("Upgrade", "websocket"))
            return replace(sent, headers=(*sent.headers, *upgrade))
        case _:
            return sent


def _enters(predicted: Json, balancer: str) -> bool:
    return any(hop.get("load_balancer") == balancer for hop in predicted["hops"])


async def _of_access_log(seen: Observation, known: Evidence, aws: Aws, since: datetime, within: float) -> Evidence:
    """The load balancer's own line about the request."""
    balancer, unseen = known.entered, known.unseen
    if balancer is None:
        return replace(known, unseen=(*unseen, "an access log: no load balancer of the account is known to be asked"))
    what = f"the access log of {balancer.name}"
    if not access_log.is_on(balancer):
        return replace(known, unseen=(*unseen, f"{what}: its attribute access_logs.s3.enabled is not true"))
    try:
        found = await access_log.logged(aws, balancer, seen.asked.trace_id, since, within)
    except AwsError as error:
        action = "s3:ListBucket" if "list" in error.operation else "s3:GetObject"
        return replace(known, unseen=(*unseen, f"{what}: {reading.denied(error, action)}"))
    if found is None:
        return replace(known, unseen=(*unseen, f"{what}: no line of the request within {within:.0f} s"))
    return replace(known, balancer_log=found)


async def _of_account(asked: Asked, aws: Aws | None, predicted: Json | None, chosen: str) -> Evidence:
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
        chosen=chosen,
    )
    if (balancer := known.entered) is not None and asked.scheme == "https":
        found = await part("acm:DescribeCertificate", lambda: reading.certificates(aws, balancer, asked.port))
        known = replace(known, certificates=found or ())
    return replace(known, unseen=tuple(unseen))


async def _of_cluster(
    seen: Observation, known: Evidence, cluster: Cluster, *, follow: bool
) -> tuple[Evidence, dict[str, Connection]]:
    """With `follow`, the gateway's log is read of answers that did not fail, too."""
    unseen: list[str] = []

    async def part(what: str, read: Callable[[], Awaitable[Part]]) -> Part | None:
        try:
            return await read()
        except ApiError as error:
            unseen.append(f"{what}: {error}")
            return None

    asked, answer = seen.asked, seen.answer
    gateways = await part("Gateways", lambda: in_cluster.gateways(cluster)) or []
    pods = await part("the gateway's Pods", lambda: in_cluster.pods(cluster, gateways)) or []
    if answer is not None and answer.speaker in ("gateway", "backend") and (follow or (answer.status or 0) >= 400):
        log = await part("the gateway's log", lambda: in_cluster.logged(cluster, pods, asked.agent))
        if log is None and pods:
            unseen.append("the gateway's log: it has no line of the request; `meshConfig.accessLogFile` turns it on")
        known = replace(known, gateway_log=log)
    if known.entered is None and any(each.tls is not None for each in seen.connections):
        keys = await part("Secrets of Gateways", lambda: in_cluster.secret_keys(cluster, gateways, pods))
        known = replace(known, secrets=keys or {})
    issuances = await part("Certificates", lambda: in_cluster.certificates(cluster, asked.host))
    behind = await part("the gateway's addresses", lambda: _behind(known, cluster))
    known = replace(known, issuances=issuances or (), unseen=(*known.unseen, *unseen))
    return known, behind or {}


async def _behind(known: Evidence, cluster: Cluster) -> dict[str, Connection]:
    """The connection that the load balancer makes to the gateway, where it is reachable from here."""
    hop, group = known.hop("target group"), known.group
    if hop is None or group is None or not hop.get("backend") or group.protocol not in ("HTTPS", "TLS"):
        return {}
    service, _, port = str(hop["backend"]).rpartition(":")
    return await behind_the_load_balancer(await in_cluster.addresses(cluster, service, int(port)))
